"""The records of tables.json, with fields in the order of its keys.

Shares are in [0, 1], BLEU and chrF from 0 to 100; differences are against the dense model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jaxprune.evaluation.scoring import Interval
from jaxprune.evaluation.translation import LanguageScores
from jaxprune.files import LEFT_OUT_IF_NONE
from jaxprune.sweeps.over_draws import DrawnRow
from jaxprune.tables import Shown, TextTable


@dataclass(frozen=True, kw_only=True)
class DenseCell:
    """The dense model in one language; see `Cell`."""

    rows: int
    accuracy: float
    interval: Interval
    rankc: float | None
    probability: float
    chosen: tuple[float, ...]
    without_prior: float
    discrimination: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class CellP:
    """p-values of a cell.

    Attributes:
      mcnemar: exact test against dense.
      holm: after Holm's correction over the languages of the variant, as in `jaxprune compare`.
      holm_table: after Holm's correction over all cells of a task's rows; None for a cell outside of the rows.
    """

    mcnemar: float | None
    holm: float | None
    holm_table: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class MeasureCell:
    """The mean of a measure over rows, and its difference by the paired bootstrap; see `MeanDifference`."""

    mean: float
    difference: float
    interval: Interval
    p: float


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A variant in one language.

    Attributes:
      rows: number of rows.
      accuracy: with Wilson's `interval`.
      difference: of accuracy, with the `difference_interval` of the paired bootstrap; `p`: see `CellP`.
      significant: whether p.holm is at most ALPHA.
      rankc: corrected; None without the same rows in English.
      probability, chosen, without_prior, discrimination: see `LanguageComparison`.
      significant_table: whether p.holm_table is at most ALPHA; None for a cell outside of the rows.
    """

    rows: int
    accuracy: float
    interval: Interval
    difference: float
    difference_interval: Interval
    p: CellP
    significant: bool
    rankc: float | None
    probability: MeasureCell
    chosen: tuple[float, ...]
    without_prior: MeasureCell
    discrimination: MeasureCell | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    significant_table: bool | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class _ShownVariant:
    """The variant of a row in a language, and the language of its calibration."""

    variant: str
    language: str | None


@dataclass(frozen=True, kw_only=True)
class RowCell(Cell, _ShownVariant):  # the fields of the last base come first
    """A row in one language."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean over the languages other than English, with p of the bootstrap and no test of significance."""

    interval: ClassVar[None] = None
    significant: ClassVar[None] = None
    significant_table: ClassVar[None] = None
    accuracy: float
    difference: float
    difference_interval: Interval
    p: float
    probability: MeasureCell
    without_prior: MeasureCell
    discrimination: MeasureCell | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True)
class DenseRow:
    """The dense model in every language, and its means over the languages other than English."""

    languages: Mapping[str, DenseCell]
    mean_non_english: float | None


@dataclass(frozen=True, kw_only=True)
class CalibrationRow:
    """A calibration at a sparsity (None without pruning).

    Attributes:
      calibration, sparsity: of all its variants.
      mixture: languages of the calibration of its only variant, as "fr+ru+sw"; None if variants have one each.
      draw: of all its variants; None if the sweep has one.
      languages: by language, the variant that was calibrated on its text, or the only variant.
      mean_non_english: None if a language is missing.
    """

    calibration: str
    sparsity: float | None
    languages: Mapping[str, RowCell]
    mean_non_english: Mean | None
    mixture: str | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    draw: int | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class _OneVariant:
    """A variant; `language` and `draw` are those of its calibration."""

    variant: str
    calibration: str
    language: str | None
    sparsity: float | None
    draw: int | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class VariantRow(_OneVariant):
    """A variant in every evaluated language; its mean is None if a language is missing."""

    languages: Mapping[str, Cell]
    mean_non_english: Mean | None


@dataclass(frozen=True, kw_only=True)
class TaskTables:
    """The tables of a task."""

    protocol: str | None
    dense: DenseRow
    rows: tuple[CalibrationRow, ...]
    variants: tuple[VariantRow, ...]

    @property
    def codes(self) -> list[str]:
        """The languages, in the order of the tables."""
        return list(self.dense.languages)


@dataclass(frozen=True)
class ScorePair:
    """BLEU and chrF."""

    bleu: float
    chrf: float


@dataclass(frozen=True, kw_only=True)
class TranslationP:
    """p-values of translations: sacrebleu's paired bootstrap, and for BLEU corrected as in `CellP`."""

    bleu: float
    chrf: float
    holm: float
    holm_table: float


@dataclass(frozen=True, kw_only=True)
class TranslationCell(_ShownVariant):
    """The translations from one language by the variant of a row."""

    rows: int
    bleu: float
    chrf: float
    bleu_interval: Interval
    difference: ScorePair
    p: TranslationP
    significant: bool
    significant_table: bool


@dataclass(frozen=True, kw_only=True)
class TranslationRow:
    """Translations of a calibration at a sparsity; see `CalibrationRow`."""

    calibration: str
    sparsity: float | None
    languages: Mapping[str, TranslationCell]
    mixture: str | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    draw: int | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True)
class DenseTranslations:
    """The dense model's translations."""

    languages: Mapping[str, LanguageScores]


@dataclass(frozen=True, kw_only=True)
class TranslationTables:
    """The tables of translation; `data` is the source of the sentences."""

    target: str
    shots: int
    data: str | None
    signatures: Mapping[str, str]
    dense: DenseTranslations
    rows: tuple[TranslationRow, ...]


@dataclass(frozen=True)
class DensePerplexity:
    """The dense model on the text of a language, and the number of predicted tokens."""

    perplexity: float
    tokens: int
    bits_per_byte: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True)
class PerplexityCell:
    """A variant on the text of a language, and the ratio of its perplexity to the dense model's, with its interval."""

    perplexity: float
    ratio: float
    interval: tuple[float, float] | None
    bits_per_byte: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class PerplexityRow(_OneVariant):
    """A variant on the text of every evaluated language.

    Attributes:
      calibration_overlap: by language, the number of lines of the text that its calibration set contains.
    """

    languages: Mapping[str, PerplexityCell]
    calibration_overlap: Mapping[str, int] | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class PerplexityTables:
    """The tables of perplexity; `data` is the source of the text, `lines` the range of its lines."""

    data: str | None
    lines: str | None
    dense: Mapping[str, DensePerplexity]
    variants: tuple[PerplexityRow, ...]


@dataclass(frozen=True, kw_only=True)
class CalibrationFacts:
    """The fields of `config.calibration` that all variants share."""

    data: str | None
    target: str
    shots: int
    samples: int


@dataclass(frozen=True)
class SweepMethod:
    """The tests of differences."""

    alpha: float
    significant: str


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepTables(Shown):
    """All tables of a sweep. Notebooks show the changes against the dense model.

    Attributes:
      model, revision, propagate, calibration: of its config.
      tasks: by name.
      translation: None without translations.
      perplexity: None without perplexities.
      seconds: by stage, over all variants.
      method: of the tests of differences.
      draws: comparisons over the draws; None if there is one.
      missing: names of the variants that are not finished; None if all are.
    """

    model: str
    revision: str | None
    propagate: str
    calibration: CalibrationFacts
    tasks: Mapping[str, TaskTables]
    translation: TranslationTables | None
    seconds: Mapping[str, float]
    method: SweepMethod
    perplexity: PerplexityTables | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    draws: tuple[DrawnRow, ...] | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    missing: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT_IF_NONE)

    def _shown(self) -> tuple[str, list[TextTable]]:
        from jaxprune.sweeps.text import change_table  # late: it imports this file

        tables = [change_table(task)._replace(title=name) for name, task in self.tasks.items()]
        return f"{Path(self.model).name}: points of accuracy against dense", tables
