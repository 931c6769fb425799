"""A packing: its settings, model and texts, the folders of its steps, and their evaluation."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.data.config import TextFields
from jaxprune.evaluation.changes import on_common_text
from jaxprune.evaluation.config import EvaluateConfig, EvaluationFields
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity
from jaxprune.hf.model import Model
from jaxprune.pages.card import model_card
from jaxprune.pruning.quantization import QuantizeFields
from jaxprune.recovery.config import DISTIL, RecoveryFields
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.runs.store import Store
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.steps import GRID, Losses, Vocabulary
from jaxprune.search.packing.texts import Parts
from jaxprune.stats.config import CalibrationFields
from jaxprune.steps.configs import QuantizeConfig, RecoverConfig

STEPS, TEXTS, DENSE, GENERATED = "steps", "texts", "dense", "generated"
CHOOSING = "choosing"  # the part of the texts on which choices are measured
_SAMPLES, _SAMPLES_OF_LANGUAGE = 128, 16

Perplexities = Mapping[str, Perplexity]


@dataclasses.dataclass(frozen=True)
class Job:
    """A packing.

    Attributes:
      config: validated.
      model: the dense model.
      parts: its texts, in folders below `steps/texts/`.
      workdir: receives the result, and below `steps/` those of each step.
    """

    config: PackConfig
    model: Model
    parts: Parts
    workdir: Path

    @property
    def steps(self) -> Path:
        """The folder of the steps."""
        return self.workdir / STEPS

    def texts(self, part: str) -> str:
        """The folder of a part of the texts, a field of `Parts`."""
        return str(self.steps / TEXTS / part)

    def folder_of(self, vocabulary: Vocabulary) -> str:
        """The model with these tokens before rounding."""
        if not vocabulary.coverage:
            return self.config.model
        assert vocabulary.name is not None  # only models that were made are rounded
        return str(self.steps / vocabulary.name / "hf")

    @property
    def store(self) -> Store:
        """Its finished steps."""
        return Store(self.steps, model_card)

    @property
    def calibration(self) -> dict[str, Any]:
        """The fields `calibration.*` of samples of the kept texts."""
        languages = self.config.languages
        fields = TextFields(kind="monolingual", data=self.texts("kept"), source=languages)
        most = max(_SAMPLES, _SAMPLES_OF_LANGUAGE * len(languages))
        fewest = min(len(lines) for lines in self.parts.kept.values()) // fields.shots
        return {**vars(fields), "samples": min(most, fewest)}

    def rounding(self, model: str, size: int | None = None) -> QuantizeConfig:
        """The config of a rounding calibrated on the kept texts."""
        return QuantizeConfig(
            model=model, seed=self.config.seed, calibration=CalibrationFields(**self.calibration),
            quantize=QuantizeFields(grid=GRID, size=size),
        )  # fmt: skip

    def recovery(self, model: str, run: Path) -> RecoverConfig:
        """The config of a recovery of a rounded model, whose dense model is `model`, on the kept texts."""
        return RecoverConfig(
            model=model, seed=self.config.seed, calibration=TextFields(**self.calibration),
            recovery=RecoveryFields(run=str(run), how=DISTIL, minutes=self.config.recover),
        )  # fmt: skip


def measured_texts(job: Job, name: str, model: str) -> Perplexities:
    """The log-probabilities of a step's model on the text on which choices are measured."""
    folder = job.steps / name / CHOOSING
    evaluate(job, CHOOSING, model, folder)
    return open_evaluation(folder).perplexities


def evaluate(job: Job, part: str, model: str, workdir: Path) -> None:
    """Evaluates a model on a part of the texts, unless that is done."""
    if not (workdir / PERPLEXITY).is_dir():
        fields = EvaluationFields(
            name=workdir.resolve().name, tasks=(), languages=job.config.languages,
            perplexity=job.texts(part),
        )  # fmt: skip
        evaluate_from_config(EvaluateConfig(model=model, evaluation=fields), workdir)


def losses_of(measured: Perplexities, dense: Perplexities) -> Losses:
    """The share of bits per byte that a model has more than the dense one, by language."""
    pairs = {code: on_common_text(dense[code], measured[code]) for code in dense}
    return {code: b.bits_per_byte / a.bits_per_byte - 1 for code, (a, b) in pairs.items()}
