"""The records of compare.json, a comparison of two runs, with fields in the order of its keys.

Shares are in [0, 1], differences are B minus A.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from jaxprune.charts import Chart, Estimate, grid, interval_chart, verdict
from jaxprune.evaluation.scoring import Interval, LanguageAccuracy, RankC
from jaxprune.evaluation.translation import ScoreComparison
from jaxprune.files import LEFT_OUT_IF_NONE
from jaxprune.tables import Shown, TextTable, data_frame, signed

Value = TypeVar("Value")
# `Comparison.masks_note` of runs without masks, by whether A and B have masks.
NO_MASKS: Mapping[tuple[bool, ...], str] = {
    (False, True): "A has none",
    (True, False): "B has none",
    (False, False): "neither run has any",
}


@dataclass(frozen=True)
class Sides(Generic[Value]):
    """A value of run A and the same of run B."""

    a: Value
    b: Value

    def __iter__(self) -> Iterator[Value]:
        return iter((self.a, self.b))


@dataclass(frozen=True)
class PValues:
    """Two-sided p-values of no difference.

    Attributes:
      bootstrap: paired bootstrap over rows, or over groups of rows.
      mcnemar: McNemar's exact test; None for means.
      holm: `mcnemar` after Holm's correction over the languages of a task; None for means.
    """

    bootstrap: float
    mcnemar: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    holm: float | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """The mean of a value over shared rows and over languages.

    Attributes:
      mean: of each run.
      difference, interval, p: of the paired bootstrap over rows or groups of rows; p is not corrected.
    """

    mean: Sides[float]
    difference: float
    interval: Interval
    p: float


@dataclass(frozen=True)
class ContrastComparison:
    """Mean contrast within groups, `priors.within_groups`.

    Attributes:
      mean: of each run.
      share: B's over A's; None if the interval of A's contains 0.
      interval: of the share, 95%, by the paired bootstrap over groups.
    """

    mean: Sides[float]
    share: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class LanguageComparison:
    """A task in one language, over shared rows.

    Attributes:
      rows: number of shared rows.
      accuracy, f1: of each run.
      accuracy_interval: Wilson's, of each run.
      difference: of the accuracies.
      interval: of the difference, by the bootstrap.
      p: all three.
      gap_to_english: accuracy in English minus that in this language; None in English or without it.
      rankc: None if either run has none.
      rows_a, rows_b: number of rows of a run.
      significant: whether Holm's p is at most ALPHA.
      probability: of the right option, `Scored.probability`.
      chosen: by option, share of the rows in which it is the prediction.
      without_prior: accuracy after each option's mean is subtracted (`priors.right_without_prior`); the bootstrap
        keeps these means fixed.
      discrimination, contrast: within groups (`priors.within_groups`); None without groups.
    """

    rows: int
    accuracy: Sides[float]
    f1: Sides[float]
    accuracy_interval: Sides[Interval]
    difference: float
    interval: Interval
    p: PValues
    gap_to_english: Sides[float] | None
    rankc: Sides[RankC] | None
    rows_a: int
    rows_b: int
    significant: bool
    probability: MeanDifference
    chosen: Sides[tuple[float, ...]]
    without_prior: MeanDifference
    discrimination: MeanDifference | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    contrast: ContrastComparison | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class MeanComparison:
    """The mean over languages; `p` has the bootstrap only and is not corrected.

    Attributes of `LanguageComparison` that means lack are None.
    """

    rows: ClassVar[None] = None
    f1: ClassVar[None] = None
    gap_to_english: ClassVar[None] = None
    rankc: ClassVar[None] = None
    significant: ClassVar[None] = None
    chosen: ClassVar[None] = None
    accuracy: Sides[float]
    difference: float
    interval: Interval
    p: PValues
    probability: MeanDifference
    without_prior: MeanDifference
    discrimination: MeanDifference | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    contrast: ContrastComparison | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class TaskComparison:
    """A task in the shared languages.

    Attributes:
      protocol: of the runs; None if neither metrics.json has it.
      languages: by code, English first.
      mean, mean_non_english: over all languages; over all but English, None if only English is shared.
      worst: the language with the lowest accuracy in each run.
    """

    protocol: str | None
    languages: Mapping[str, LanguageComparison]
    mean: MeanComparison
    mean_non_english: MeanComparison | None
    worst: Sides[LanguageAccuracy]

    @property
    def means(self) -> Mapping[str, MeanComparison]:
        """The means by short name."""
        means = {"mean": self.mean, "mean non-en": self.mean_non_english}
        return {name: mean for name, mean in means.items() if mean is not None}

    @property
    def changes(self) -> dict[str, Estimate]:
        """The changes in accuracy of `figures`, in points."""
        return {
            name: Estimate(
                one.difference, *one.interval, verdict(one.difference, one.significant)
            ).scaled(100)
            for name, one in self.figures.items()
        }

    @property
    def figures(self) -> Mapping[str, LanguageComparison | MeanComparison]:
        """Languages by code, then the means."""
        return {**self.languages, **self.means}


@dataclass(frozen=True)
class PerplexityComparison:
    """Perplexities of the same text, and their ratio B/A. If the tokenizers differ, B's is also per token of A.

    Attributes:
      interval: of the ratio, 95%, by paired differences of documents or runs of ten lines, or of windows for tokenizers
        without character offsets (`scoring.ratio_interval`); None with fewer than two.
      bits_per_byte: None if a run has none.
    """

    tokens: int
    perplexity: Sides[float]
    ratio: float
    interval: tuple[float, float] | None = None
    bits_per_byte: Sides[float] | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class TranslationLanguage:
    """Translations of the same sentences.

    Attributes:
      rows: number of sentences.
      bleu, chrf: of both runs, with sacrebleu's test.
      holm: p of BLEU after Holm's correction over the languages.
      significant: whether `holm` is at most ALPHA.
    """

    rows: int
    bleu: ScoreComparison
    chrf: ScoreComparison
    holm: float
    significant: bool


@dataclass(frozen=True)
class TranslationComparison:
    """Translations into one language, by source language."""

    target: str
    languages: Mapping[str, TranslationLanguage]


@dataclass(frozen=True)
class LeftOut:
    """Tasks and languages, as "xnli/fr", that only one run has."""

    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MaskComparison:
    """Intersection over union of the kept weights.

    Attributes:
      overall: of all weights.
      independent: expected for independent masks with the densities of each kernel and layer.
      layers: of each block.
      kernels: by path.
      density: share of kept weights of a run.
    """

    overall: float
    independent: float
    layers: tuple[float, ...]
    kernels: Mapping[str, float]
    density: Sides[float]

    @property
    def by_kernel(self) -> Mapping[str, float]:
        """`kernels` by a short name."""
        return {
            path.removeprefix("blocks/").removesuffix("/kernel"): share
            for path, share in self.kernels.items()
        }


@dataclass(frozen=True)
class ComparisonMethod:
    """The tests of differences; `significant` explains the star in words."""

    confidence: float
    resamples: int
    seed: int
    alpha: float
    significant: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Shown):
    """The changes from run A to run B. Notebooks show them as tables.

    Attributes:
      a, b: names of the runs: their folders, or the model's folder for a run in memory.
      tasks: by name.
      perplexity, translation: None without a shared language.
      left_out: evaluations of one run only.
      masks: None if they cannot be compared; `masks_note` is the reason.
      method: of the tests.
      dtypes: of both runs by folder, where they differ; None if they are the same everywhere.
      other_tokenizer: a run is of a model with a smaller vocabulary, so the tokenizers differ.
      translation_note: the reason why shared translations are not compared; None if they are.
    """

    a: str
    b: str
    tasks: Mapping[str, TaskComparison]
    perplexity: Mapping[str, PerplexityComparison] | None
    translation: TranslationComparison | None
    left_out: LeftOut
    masks: MaskComparison | None
    masks_note: str | None
    method: ComparisonMethod
    dtypes: Mapping[str, Sides[str]] | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    translation_note: str | None = field(default=None, metadata=LEFT_OUT_IF_NONE)
    other_tokenizer: bool | None = field(default=None, metadata=LEFT_OUT_IF_NONE)

    def plot(self) -> Chart:
        """The changes by language with intervals: points of accuracy of each task, and ratios of perplexity."""
        unit = "points, B \N{MINUS SIGN} A"
        charts = [
            interval_chart(
                {"": task.changes}, title=name, unit=unit, reference=("unchanged", 0.0), show=signed
            )
            for name, task in self.tasks.items()
        ]
        if texts := self.perplexity:
            ratios = {
                code: Estimate(one.ratio, *(one.interval or ())) for code, one in texts.items()
            }
            unchanged = ("unchanged", 1.0)
            ratio = interval_chart(
                {"": ratios}, title="perplexity", unit="B / A", reference=unchanged, log=True
            )
            charts.append(ratio)
        return grid(charts, title=self._shown()[0], columns=2, one_legend=False)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row for each task, text or translation and language.

        Columns are the keys of compare.json, nested ones joined by `_`, as accuracy_a; low and high are the bounds of
        the interval of the difference or, for perplexity, the ratio. InputError if pandas is not installed.
        """
        translated = self.translation.languages if self.translation else {}
        tasks = {name: task.languages for name, task in self.tasks.items()}
        return data_frame({**tasks, "perplexity": self.perplexity or {}, "translation": translated})

    def _shown(self) -> tuple[str, Iterator[TextTable]]:
        # late, as it imports this file
        from jaxprune.evaluation.comparison.table import comparison_tables

        compared = ", ".join([*self.tasks, *["perplexity"] * bool(self.perplexity)])
        caption = f"A {Path(self.a).name}, B {Path(self.b).name}: {compared}"
        return caption, comparison_tables(self)
