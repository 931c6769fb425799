"""The protocol of a step: what a run, a recipe and the command line ask of prune, quantize, recover and shrink."""

import abc
import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from jax.sharding import Mesh

from jaxprune.base.progress import Clock
from jaxprune.base.workdir.json_files import Report
from jaxprune.data.batches import Batch, SetKey, by_kind, by_language, set_tokens
from jaxprune.devices.machine import environment
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.model import Model
from jaxprune.hf.origin import origin_of
from jaxprune.models.config import ModelConfig
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.pruning.summary import seconds_by_stage
from jaxprune.stats.config import JobConfig
from jaxprune.stats.finished import FinishedLayer, PrunedBlock
from jaxprune.stats.stats import ActivationStats


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """The models and samples of a step.

    Attributes:
      model: the model whose blocks change; that of a rounding is in float32, with its tables on their grid.
      models: the models whose files are read, the dense one first; the files must not change during a run.
      mesh: devices.
      batches: samples; none if none are read.
      stats: saved statistics, or those that other steps share, in place of passes over the samples.
      before: the report of the run that the step begins with; empty if it begins with the dense model.
      layers: layer → the result of the run that is recovered; None if all its layers are whole.
      masks: of a pruned model that is rounded, whose dropped weights stay 0; None if nothing was dropped before.
    """

    model: Model
    models: Sequence[Model]
    mesh: Mesh
    batches: Sequence[Batch] = ()
    stats: ActivationStats | None = None
    before: Report = dataclasses.field(default_factory=dict)
    layers: Callable[[int], FinishedLayer] | None = None
    masks: PackedMasks | None = None

    @property
    def tokens(self) -> dict[SetKey, int]:
        """Real tokens of each set of samples."""
        return set_tokens(self.batches) if self.stats is None else dict(self.stats.tokens)


@runtime_checkable
class Progress(Protocol):
    """What a step keeps while it runs, and finds again when it is resumed."""

    @property
    def folder(self) -> Path | None:
        """For the files of a fit; None to keep none."""

    @property
    def record(self) -> Mapping[str, Any]:
        """The values that were kept."""

    def keep(self, **values: Any) -> None:
        """Keeps values, such as what an allocation measured."""

    def finished(self, layer: int) -> FinishedLayer | None:
        """The result of a layer in an interrupted run, or None."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files that have the result of a step.

    Attributes:
      hf: whether a Hugging Face folder has the model.
      masks: whether a checkpoint has the masks.
      params: whether the checkpoint has all parameters, too.
      propagate: the propagation of the statistics, which are saved if there are any.
      types: the grids of a model.gguf; None without one.
    """

    hf: bool = True
    masks: bool = False
    params: bool = False
    propagate: str = "block"
    types: Types | None = None


@dataclasses.dataclass
class Totals:
    """What is known of all blocks when the last one is made, by layer.

    Attributes:
      kept: `PrunedBlock.kept`.
      seconds: seconds by stage.
      digests: SHA-256 by name: "weights", "masks" and "calibration", and "changed" if any kept weight has a new value.
      damping: site → damping, where it was raised; layers are keys.
      errors: `FinishedLayer.errors`, of methods that measure them.
      losses: `FinishedLayer.loss` of the fits of a recovery.
    """

    kept: list[dict[str, tuple[int, int]]] = dataclasses.field(default_factory=list)
    seconds: list[dict[str, float]] = dataclasses.field(default_factory=list)
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    damping: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    errors: list[dict[str, float]] = dataclasses.field(default_factory=list)
    losses: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def add(self, block: PrunedBlock) -> None:
        """Adds a block; digests are those of all blocks."""
        finished = block.finished
        self.kept.append(block.kept)
        self.seconds.append(block.seconds)
        if finished.damping:
            self.damping[str(block.layer)] = finished.damping
        if finished.errors:
            self.errors.append(dict(finished.errors))
        if finished.loss is not None:
            self.losses.append(finished.loss)


class Step(abc.ABC):
    """A job that makes a model smaller.

    Attributes:
      name: of its command.
      config: its settings.
    """

    name: ClassVar[str]
    config: Any

    @property
    @abc.abstractmethod
    def written(self) -> dict[str, Any]:
        """The content of config.json: the fields that the step reads."""

    @property
    @abc.abstractmethod
    def has_card(self) -> bool:
        """Whether `hf/` gets a model card."""

    @abc.abstractmethod
    def out(self, spec: ModelConfig) -> ModelConfig:
        """The sizes of the model after the step, from those before it; reads nothing.

        Raises:
          InputError: the step cannot work on such a model.
        """

    @abc.abstractmethod
    def after(self, before: "Step", folder: Path) -> "Step":
        """The same step on the model of another one, whose finished run is in a folder."""

    @abc.abstractmethod
    def open(self) -> Opened:
        """Reads the models and samples.

        Raises:
          InputError: an error in config, model or data.
        """

    @abc.abstractmethod
    def check(self, opened: Opened, workdir: Path) -> None:
        """Rejects a workdir or outputs that cannot have the result; raises InputError."""

    @abc.abstractmethod
    def identity(self, opened: Any) -> dict[str, Any]:
        """The values, by name, that are equal for two runs of the same job; see `identity.run_identity`."""


class BlockStep(Step):
    """A step that changes every block of a model."""

    @abc.abstractmethod
    def prepare(self, opened: Opened, progress: Progress, clock: Clock) -> Opened:
        """Decides and measures what comes before the first block, unless `progress` has it.

        Returns:
          `opened`, with the samples that are used.

        Raises:
          InputError: the machine is too small.
        """

    @abc.abstractmethod
    def outputs(self, opened: Opened, progress: Progress) -> Outputs:
        """The files that have its result."""

    @abc.abstractmethod
    def blocks(self, opened: Opened, progress: Progress) -> Generator[PrunedBlock, None, None]:
        """The changed blocks in order."""

    @abc.abstractmethod
    def is_by_block(self, opened: Opened) -> bool:
        """Whether blocks become ready one after the other, so that the end of a run can wait for the current one."""

    @abc.abstractmethod
    def report(self, opened: Opened, progress: Progress, totals: Totals) -> dict[str, Any]:
        """Its part of report.json."""


class FolderStep(Step):
    """A step that writes a model that is more than other blocks."""

    @abc.abstractmethod
    def write(self, opened: Any, folder: Path) -> dict[str, Any]:
        """Writes the model to a folder; returns the step's part of report.json."""


def block_report(config: JobConfig, opened: Opened, totals: Totals) -> dict[str, Any]:
    """The part of report.json that all steps share which change blocks."""
    tokens = opened.tokens
    report: dict[str, Any] = {
        "tokens": by_kind(tokens),
        "seconds": seconds_by_stage(totals.seconds),
        "digests": totals.digests,
        "environment": environment(opened.mesh),
        "origin": origin_of(opened.models[0], config.model),
    }
    if languages := by_language(tokens):
        report["languages"] = languages
    for name in ("damping", "losses"):
        if values := getattr(totals, name):
            report[name] = values
    return report
