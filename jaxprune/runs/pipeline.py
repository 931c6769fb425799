"""A config → a workdir: load, calibrate, prune block by block, report."""

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from jaxprune import calibration
from jaxprune.calibration import Batch
from jaxprune.devices import device_mesh, hosts
from jaxprune.hf import Model, load
from jaxprune.passes import ActivationStats, order_of_sums
from jaxprune.pruning import PrunedBlock, prune_blocks
from jaxprune.runs.job import Finished, write_run
from jaxprune.runs.planning import PruneConfig, check_fits, plan_of
from jaxprune.runs.summary import print_summary


def prune_from_config(
    config: PruneConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a pruning job, or resumes an interrupted one.

    Args:
      config: validated (`jaxprune.config.validate`).
      workdir: receives config.json, report.json and the folders of `OUTPUTS`, and progress/ until the job is complete.
        report.json is written last: a workdir with it is complete, and repeating the same job does nothing.
      overwrite: discard an unfinished run; replace a complete one once this one is complete.

    Returns:
      The content of report.json.

    Raises:
      InputError: an error in config, model or data; a run with another config, model or code, or files that this
        package did not write in the workdir.
      TerminatedError: SIGTERM ended the run; finished layers are kept.
    """
    began = time.perf_counter()
    model = load(config.model, config.revision)
    settings = config.settings
    batches = calibration_batches(config, model) if settings.needs_statistics else []
    report = prune_to_workdir(model, batches, config, workdir, began=began, overwrite=overwrite)
    if hosts.is_first():
        print_summary(config, report, workdir)
    return report


def prune_to_workdir(
    model: Model,
    batches: Sequence[Batch],
    config: PruneConfig,
    workdir: Path,
    *,
    stats: ActivationStats | None = None,
    began: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """`prune_from_config` for an open model and its samples.

    Args:
      batches: none for criteria without statistics.
      stats: see `prune_blocks`.
      began: `time.perf_counter()` at the start of the job; by default now.
    """
    mesh, settings = device_mesh(config.mesh.data, config.mesh.model), config.settings
    running = order_of_sums(settings.method.statistics, mesh)

    def samples_of(begun: int | None) -> int:
        plan = plan_of(model.config, model.dtype, batches, config, mesh, begun)
        check_fits(plan)
        return plan.samples_per_device

    def pruned(finished: Finished, samples: int) -> Generator[PrunedBlock, None, None]:
        return prune_blocks(
            model, batches, settings, mesh=mesh, stats=stats, finished=finished,
            samples_per_device=samples, progress=hosts.is_first(),
        )  # fmt: skip

    return write_run(
        model, batches, config, workdir, pruned, samples_of,
        identity={} if running is None else {"running sums": running},
        began=began, overwrite=overwrite,
    )  # fmt: skip


def calibration_batches(config: PruneConfig, model: Model) -> list[Batch]:
    """The calibration set of `config.calibration`."""
    fields, compat = config.calibration, config.compat
    if not calibration.KINDS[fields.kind].reads_text:
        return calibration.token_batches(fields.data, compat=compat)
    return calibration.demonstrations(
        model.tokenizer, fields.data, kind=fields.kind, source=fields.source, target=fields.target,
        shots=fields.shots, samples=fields.samples, max_length=fields.max_length,
        seed=config.seed, compat=compat, code=fields.code, lines=fields.lines,
    )  # fmt: skip
