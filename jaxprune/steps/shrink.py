"""The step that makes a smaller model of a model, texts and samples: fewer tokens, layers, neurons."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from jaxprune.base.errors import invalid_value
from jaxprune.base.progress import Clock
from jaxprune.data.texts import line_digests
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.origin import origin_of
from jaxprune.models.config import ModelConfig
from jaxprune.shrinking.choose import Samples, choose, kept_neurons
from jaxprune.shrinking.expected import Shares
from jaxprune.shrinking.texts import RunTexts, read_texts
from jaxprune.shrinking.width import STATISTICS_OF_NEURONS
from jaxprune.shrinking.write import report_on, write_smaller
from jaxprune.stats.combinations import SUM
from jaxprune.stats.combine import mixture_of
from jaxprune.stats.mixture import Mixture
from jaxprune.stats.running import order_of_sums
from jaxprune.steps.configs import ShrinkConfig
from jaxprune.steps.identity import shrink_identity
from jaxprune.steps.samples import calibration_batches, text_record
from jaxprune.steps.step import FolderStep, Opened, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedTexts(Opened):
    """The model and the samples that measure layers and neurons, with the texts whose tokens are kept."""

    texts: RunTexts


@dataclasses.dataclass(frozen=True)
class Shrink(FolderStep):
    """Writes a model with fewer tokens, layers or neurons, which is no matter of blocks alone.

    Attributes:
      config: validated.
      expected: the result of `expected_shares` for its texts, if it is known.
    """

    config: ShrinkConfig
    expected: Shares | None = None
    name: ClassVar[str] = "shrink"

    @property
    def written(self) -> dict[str, Any]:
        """See `Step`, as for the other members."""
        return self.config.json()

    @property
    def has_card(self) -> bool:
        return True

    def out(self, spec: ModelConfig) -> ModelConfig:
        """The sizes without those of the vocabulary, which depend on the texts."""
        fields = self.config.shrink
        fields.check_alternatives()
        layers = fields.layers or spec.n_layers - len(fields.drop_layers or ())
        return dataclasses.replace(
            spec, n_layers=layers, d_ff=kept_neurons(spec, fields) or spec.d_ff
        )

    def after(self, before: Step, folder: Path) -> "Shrink":
        config = dataclasses.replace(self.config, model=str(folder / "hf"))
        return dataclasses.replace(self, config=config)

    def open(self) -> OpenedTexts:
        self.config.shrink.check_alternatives()
        model, fields = self.config.open_model(), self.config.shrink
        texts = read_texts(fields)
        measures = fields.layers is not None or fields.mlp is not None
        batches = calibration_batches(self.config, model) if measures else []
        return OpenedTexts(
            model=model, models=[model], mesh=device_mesh(), batches=batches, texts=texts
        )

    def check(self, opened: Opened, workdir: Path) -> None:
        self._mixture(opened)

    def identity(self, opened: OpenedTexts) -> dict[str, Any]:
        is_running = self.config.shrink.mlp is not None
        order = order_of_sums(STATISTICS_OF_NEURONS, opened.mesh) if is_running else None
        return shrink_identity(
            opened.model, self.config.json(), opened.texts.digest, opened.batches, order
        )

    def write(self, opened: OpenedTexts, folder: Path) -> dict[str, Any]:
        """Writes the smaller model to a folder; returns its part of report.json."""
        clock, model, texts = Clock(), opened.model, opened.texts
        samples = Samples(opened.batches, self._mixture(opened), self.config.dtype)
        kept = choose(model, self.config.shrink, texts.chosen, samples, texts.words, self.expected)
        clock.lap("choose")
        smaller, narrow = write_smaller(model, kept, samples, folder, card=True)
        clock.lap("write")
        shrunk = report_on(model, smaller, kept, narrow, texts.chosen, texts.heldout)
        clock.lap("compare")
        lines = line_digests(line for lines in texts.chosen.values() for line in lines)
        return {
            "shrunk": shrunk,
            **text_record(self.config, model, opened.batches, lines),
            "origin": origin_of(model, self.config.model),
            "environment": environment(opened.mesh),
            "seconds": clock.rounded(),
        }

    def _mixture(self, opened: Opened) -> Mixture:
        """The combination of the languages of the samples that measure neurons; raises InputError."""
        calibration, mlp = self.config.calibration, self.config.shrink.mlp
        names = {statistic.name for statistic in STATISTICS_OF_NEURONS}
        mixture = mixture_of(calibration.combine, calibration.weights, names, ", with shrink.mlp")
        if mlp is not None:
            codes = (code for batch in opened.batches for code in batch.languages)
            mixture.check(list(dict.fromkeys(codes)))
        elif calibration.combine != SUM.name:
            raise invalid_value(
                "calibration.combine",
                calibration.combine,
                f"{SUM.name}; others only with shrink.mlp",
            )
        return mixture
