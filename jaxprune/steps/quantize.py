"""The step that rounds kernels, embedding and head to grids of llama.cpp."""

import dataclasses
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from jaxprune.base.errors import InputError
from jaxprune.base.progress import Clock
from jaxprune.data.batches import Batch
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.gguf.tokenizer import split_warning
from jaxprune.hf.gguf.write import check_written
from jaxprune.hf.layer_digests import masks_digest
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.pruning.quantization import check_grids, check_zero, with_rounded_tables
from jaxprune.pruning.summary import sparsity_of
from jaxprune.stats.finished import PrunedBlock
from jaxprune.stats.stats import ActivationStats
from jaxprune.steps.configs import QuantizeConfig
from jaxprune.steps.finished_run import masks_beside
from jaxprune.steps.prune import method_blocks, method_identity, method_report, prepare_method
from jaxprune.steps.samples import calibration_of
from jaxprune.steps.step import BlockStep, Opened, Outputs, Progress, Step, Totals


@dataclasses.dataclass(frozen=True)
class Quantize(BlockStep):
    """Rounds all weights that an earlier run kept; `model.gguf` is written if llama.cpp has the model.

    Weights that a pruning dropped stay 0 where the model is `hf/` of its run.

    Attributes:
      config: validated.
      measured: the errors of its grids, from the report of a run with another `quantize.size`; measured by default.
      keeps_masks: whether dropped weights stay 0; `pack` rounds them like others, to a grid without a zero.
    """

    config: QuantizeConfig
    measured: Sequence[Any] | None = None
    keeps_masks: bool = True
    name: ClassVar[str] = "quantize"

    @property
    def written(self) -> dict[str, Any]:
        """See `Step`, as for the other members."""
        return self.config.json()

    @property
    def has_card(self) -> bool:
        return self.config.output.card

    def out(self, spec: ModelConfig) -> ModelConfig:
        check_grids(spec, self.config.quantize)
        return spec

    def after(self, before: Step, folder: Path) -> "Quantize":
        config = dataclasses.replace(self.config, model=str(folder / "hf"))
        return dataclasses.replace(self, config=config)

    def open(self) -> Opened:
        stored = self.config.open_model()
        check_grids(stored.config, self.config.quantize)  # before a tokenizer is needed
        return self.opened(stored, *calibration_of(self.config, stored))

    def opened(
        self, stored: Model, batches: Sequence[Batch], stats: ActivationStats | None = None
    ) -> Opened:
        """The open step of an open model and its samples, or statistics of the dense model."""
        model = with_rounded_tables(stored, self.config.quantize)
        mesh = device_mesh(self.config.mesh.data, self.config.mesh.model)
        return Opened(
            model=model, models=[stored], mesh=mesh, batches=batches, stats=stats,
            masks=masks_beside(stored) if self.keeps_masks else None,
        )  # fmt: skip

    def check(self, opened: Opened, workdir: Path) -> None:
        if opened.masks is not None:
            check_zero(self.config.quantize, str(opened.models[0].folder.parent))

    def identity(self, opened: Opened) -> dict[str, Any]:
        masks = {} if opened.masks is None else {"masks": masks_digest(opened.masks)}
        return method_identity(self.config, opened) | masks

    def prepare(self, opened: Opened, progress: Progress, clock: Clock) -> Opened:
        if "no_gguf" not in progress.record:
            progress.keep(no_gguf=no_gguf(opened.models[0]))
            opened.models[0].release_tokenizer()
        if self.measured is not None:
            progress.keep(measured=self.measured)
        prepare_method(self.config, opened, progress, clock)
        return opened

    def outputs(self, opened: Opened, progress: Progress) -> Outputs:
        types = self.config.quantize.types(opened.model, progress.record["measured"])
        has_gguf = progress.record["no_gguf"] is None
        return Outputs(propagate=self.config.settings.propagate, types=types if has_gguf else None)

    def is_by_block(self, opened: Opened) -> bool:
        return True

    def blocks(self, opened: Opened, progress: Progress) -> Generator[PrunedBlock, None, None]:
        return method_blocks(self.config, opened, progress)

    def report(self, opened: Opened, progress: Progress, totals: Totals) -> dict[str, Any]:
        fields, measured = self.config.quantize, progress.record["measured"]
        quantized = {
            **vars(fields),
            "grids": fields.types(opened.model, measured).by_layer,
            "errors": totals.errors,
        }
        if opened.masks is not None:
            quantized["sparsity"] = sparsity_of(totals.kept)
        if reason := progress.record["no_gguf"]:
            quantized["no_gguf"] = reason
        elif warning := split_warning(opened.models[0]):
            quantized["warning"] = warning
        report = {**method_report(self.config, opened, totals), "quantized": quantized}
        if fields.size is not None:
            report["allocation"] = {"measured": measured}
        return report


def no_gguf(model: Model) -> str | None:
    """Why there is no model.gguf of a model, in a line; None if llama.cpp has it."""
    try:
        check_written(model)
    except InputError as error:
        return str(error)
    return None
