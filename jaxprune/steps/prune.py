"""The steps that apply a method to every kernel: pruning, and what quantization shares with it."""

import dataclasses
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from jaxprune.base.errors import InputError
from jaxprune.base.progress import Clock
from jaxprune.data.batches import Batch
from jaxprune.devices import hosts
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.allocated import ignored_kernels, kernel_shares, layer_shares, measure_blocks
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.pruning.summary import sparsity_of
from jaxprune.stats.finished import PrunedBlock
from jaxprune.stats.running import order_of_sums
from jaxprune.stats.stats import ActivationStats
from jaxprune.steps.configs import BlocksConfig, MethodConfig, PruneConfig
from jaxprune.steps.identity import run_identity
from jaxprune.steps.planning.plan import check_fits, check_settings, plan_of
from jaxprune.steps.samples import calibration_of, calibration_record
from jaxprune.steps.step import BlockStep, Opened, Outputs, Progress, Step, Totals, block_report


@dataclasses.dataclass(frozen=True)
class Prune(BlockStep):
    """Drops weights by the scores of a criterion, or by a method that also changes weights.

    Attributes:
      config: validated.
    """

    config: PruneConfig
    name: ClassVar[str] = "prune"

    @property
    def written(self) -> dict[str, Any]:
        """See `Step`, as for the other members."""
        return self.config.json()

    @property
    def has_card(self) -> bool:
        return self.config.output.hf and self.config.output.card

    def out(self, spec: ModelConfig) -> ModelConfig:
        check_settings(spec, self.config.settings)
        return spec

    def after(self, before: Step, folder: Path) -> "Prune":
        return Prune(dataclasses.replace(self.config, model=str(folder / "hf")))

    def open(self) -> Opened:
        model = self.config.open_model()
        return self.opened(model, *calibration_of(self.config, model))

    def opened(
        self, model: Model, batches: Sequence[Batch], stats: ActivationStats | None = None
    ) -> Opened:
        """The open step of an open model and its samples, or statistics of the dense model."""
        mesh = device_mesh(self.config.mesh.data, self.config.mesh.model)
        return Opened(model=model, models=[model], mesh=mesh, batches=batches, stats=stats)

    def check(self, opened: Opened, workdir: Path) -> None:
        changes_weights = self.config.settings.method.updates_weights
        check_outputs(self.config, opened.model, changes_weights=changes_weights)

    def identity(self, opened: Opened) -> dict[str, Any]:
        return method_identity(self.config, opened)

    def prepare(self, opened: Opened, progress: Progress, clock: Clock) -> Opened:
        prepare_method(self.config, opened, progress, clock)
        return opened

    def outputs(self, opened: Opened, progress: Progress) -> Outputs:
        output = self.config.output
        propagate = self.config.settings.propagate
        return Outputs(output.hf, masks=True, params=output.params, propagate=propagate)

    def is_by_block(self, opened: Opened) -> bool:
        return True

    def blocks(self, opened: Opened, progress: Progress) -> Generator[PrunedBlock, None, None]:
        return method_blocks(self.config, opened, progress)

    def report(self, opened: Opened, progress: Progress, totals: Totals) -> dict[str, Any]:
        config, model = self.config, opened.model
        report = method_report(config, opened, totals) | sparsity_report(model, totals)
        if totals.errors:
            report["errors"] = totals.errors
        return report | _allocation(model, config.settings, progress.record["measured"])


def check_outputs(config: BlocksConfig, model: Model, *, changes_weights: bool) -> None:
    """Rejects outputs that cannot have the result of a step.

    Args:
      changes_weights: whether the step gives kept weights new values, which masks do not contain.
    """
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array cannot represent; "
            "expected output.params=false"
        )
    if changes_weights and not config.output.hf:
        raise InputError(
            "output.hf: got False, but this run changes weights, which only hf/ contains; expected output.hf=true"
        )


def method_identity(config: MethodConfig, opened: Opened) -> dict[str, Any]:
    """The identity of a step that applies a method."""
    running = order_of_sums(config.settings.method.statistics, opened.mesh)
    saved = None if opened.batches or opened.stats is None else opened.stats.digest
    more = {} if running is None else {"running sums": running}
    return run_identity(opened.model, config.json(), opened.batches, more, saved)


def prepare_method(config: MethodConfig, opened: Opened, progress: Progress, clock: Clock) -> None:
    """Keeps the size of micro-batches, and what the allocation measured on the dense model."""
    record = progress.record
    plan = plan_of(
        opened.model.config, opened.model.dtype, opened.batches, config, opened.mesh, record
    )
    check_fits(plan)
    progress.keep(samples_per_device=plan.samples_per_device)
    clock.lap("prepare")
    if "measured" not in record:
        options = _options(opened, progress)
        progress.keep(
            measured=measure_blocks(opened.model, opened.batches, config.settings, **options)
        )
    clock.lap("allocate")


def method_blocks(
    config: MethodConfig, opened: Opened, progress: Progress
) -> Generator[PrunedBlock, None, None]:
    """The blocks of a model after a method."""
    return prune_blocks(
        opened.model, opened.batches, config.settings, measured=progress.record["measured"],
        masks=opened.masks, finished=progress.finished, **_options(opened, progress),
    )  # fmt: skip


def _options(opened: Opened, progress: Progress) -> dict[str, Any]:
    return {
        "mesh": opened.mesh,
        "samples_per_device": progress.record["samples_per_device"],
        "progress": hosts.is_first(),
        "stats": opened.stats,
    }


def method_report(config: MethodConfig, opened: Opened, totals: Totals) -> dict[str, Any]:
    """The part of report.json that pruning and quantization share."""
    report = block_report(config, opened, totals)
    if any(statistic.name == "gram" for statistic in config.settings.method.statistics):
        shapes = kernel_shapes(opened.model.config).values()
        report["gram_width"] = max(shape[0] for shape in shapes)
    return report | calibration_record(config, opened.model, opened.batches)


def sparsity_report(model: Model, totals: Totals) -> dict[str, Any]:
    """The part of report.json on dropped weights."""
    counts = [pair for layer in totals.kept for pair in layer.values()]
    dropped = sum(total - kept for kept, total in counts)
    return {
        "sparsity": sparsity_of(totals.kept),
        "parameters": {"all": model.size, "dropped": dropped},
    }


def _allocation(model: Model, settings: Settings, measured: Sequence[Any]) -> dict[str, Any]:
    """The part of report.json on requested shares, if they differ or kernels are ignored."""
    shares = layer_shares(model.config, kernel_shares(model.config, settings, measured))
    allocation = {
        "shares": shares if len({*shares}) > 1 else [],
        "measured": measured,
        "ignored": ignored_kernels(model.config, settings.ignored),
    }
    allocation = {name: value for name, value in allocation.items() if value}
    return {"allocation": allocation} if allocation else {}
