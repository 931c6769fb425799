"""A config → a workdir: load, calibrate, prune block by block, report."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxprune.base.files.places import local_path
from jaxprune.base.progress import Clock
from jaxprune.base.workdir.reading import check_workdir, read_report
from jaxprune.data.batches import Batch, set_tokens
from jaxprune.data.config import check_all_rows
from jaxprune.data.demonstrations import sampled, sampled_lines
from jaxprune.data.kinds import KINDS
from jaxprune.devices import hosts
from jaxprune.devices.machine import environment
from jaxprune.devices.memory import release_freed
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model
from jaxprune.hf.origin import origin_of
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.allocated import ignored_kernels, kernel_shares, layer_shares, measure_blocks
from jaxprune.pruning.loop import prune_blocks
from jaxprune.pruning.settings import Settings
from jaxprune.runs.block_writer import BlockWriter, check_outputs
from jaxprune.runs.card import model_card
from jaxprune.runs.generated import batches_of, first_texts
from jaxprune.runs.identity import run_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.planning.config import BlocksConfig, MethodConfig, PruneConfig, ShrinkConfig
from jaxprune.runs.planning.plan import check_fits, plan_of
from jaxprune.runs.run import Run
from jaxprune.runs.saved_stats import stats_for
from jaxprune.runs.summary import print_summary
from jaxprune.stats.calibration_sets import token_batches
from jaxprune.stats.grouping import grouped
from jaxprune.stats.running import order_of_sums
from jaxprune.stats.stats import ActivationStats


def prune_from_config(
    config: PruneConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a pruning job, or resumes an interrupted one.

    Args:
      config: validated (`jaxprune.cli.config.validate`).
      workdir: receives config.json, report.json and the folders of `OUTPUTS`, and progress/ until the job is complete.
        report.json is written last: a workdir with it is complete, and repeating the same job does nothing.
      overwrite: discard an unfinished run; replace a complete one once this one is complete.

    Returns:
      The content of report.json.

    Raises:
      InputError: an error in config, model or data; a complete run with another config, model or text, or an unfinished
        one also with other code, or files that this package did not write in the workdir.
      TerminatedError: SIGTERM ended the run; finished layers are kept.
    """
    began = time.perf_counter()
    model = config.open_model()
    batches, stats = calibration_of(config, model)
    report = prune_to_workdir(
        model, batches, config, workdir, stats=stats, began=began, overwrite=overwrite
    )
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
      batches: none for criteria without statistics, and with saved ones.
      stats: see `prune_blocks`.
      began: `time.perf_counter()` at the start of the job; by default now.
    """
    began = time.perf_counter() if began is None else began
    clock = Clock(began)
    check_workdir(workdir, model.folder)
    check_outputs(config, model, changes_weights=config.settings.method.updates_weights)
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    running = order_of_sums(config.settings.method.statistics, mesh)
    identity = run_identity(
        model, config.json(), batches,
        {} if running is None else {"running sums": running},
        None if batches or stats is None else stats.digest,
    )  # fmt: skip
    with open_run(
        workdir, [model], identity, config.json(), began=began, overwrite=overwrite,
        card=model_card if config.output.hf and config.output.card else None,
    ) as run:  # fmt: skip
        if run.result is None:
            text = calibration_record(config, model, batches)
            writer, report = prune_to_run(run, model, batches, config, mesh, stats, clock)
            report |= _allocation(model, config.settings, run.record["measured"])
            writer.close(report, set_tokens(batches) if stats is None else dict(stats.tokens))
            run.result = report | text
    return run.result


def prune_to_run(
    run: Run,
    model: Model,
    batches: Sequence[Batch],
    config: MethodConfig,
    mesh: Mesh,
    stats: ActivationStats | None,
    clock: Clock,
) -> tuple[BlockWriter, dict[str, Any]]:
    """Prunes the blocks of a run, and writes them to its folder.

    Returns:
      The writer, which is not closed, and its part of report.json.
    """
    settings, writer = config.settings, BlockWriter(model, config, run)
    plan = plan_of(model.config, model.dtype, batches, config, mesh, run.record)
    check_fits(plan)
    run.keep(samples_per_device=plan.samples_per_device)
    options: dict[str, Any] = {
        "mesh": mesh, "samples_per_device": plan.samples_per_device,
        "progress": hosts.is_first(), "stats": stats,
    }  # fmt: skip
    clock.lap("prepare")
    measured = run.record.get("measured")
    if measured is None:
        measured = measure_blocks(model, batches, settings, **options)
        run.keep(measured=measured)
    clock.lap("allocate")
    writer.write_all(
        prune_blocks(
            model, batches, settings, measured=measured, finished=writer.finished, **options
        )
    )  # fmt: skip
    tokens = set_tokens(batches) if stats is None else dict(stats.tokens)
    report = writer.report(tokens)
    report["seconds"] = {**clock.rounded(), **report["seconds"]}
    report["environment"] = environment(mesh)
    report["origin"] = origin_of(model, config.model)
    if any(s.name == "gram" for s in settings.method.statistics):
        report["gram_width"] = max(shape[0] for shape in kernel_shapes(model.config).values())
    return writer, report


def calibration_record(
    config: MethodConfig, model: Model, batches: Sequence[Batch]
) -> dict[str, Any]:
    """`text_record` of the samples of a run, or the lines of the run whose statistics it reads."""
    if config.calibration.stats and not batches and config.settings.needs_statistics:
        # a run lists them, a folder of statistics does not
        saved_run = read_report(local_path(config.calibration.stats)) or {}
        return {"calibration_lines": saved_run.get("calibration_lines", [])}
    return text_record(config, model, batches)


def text_record(
    config: BlocksConfig | ShrinkConfig,
    model: Model,
    batches: Sequence[Batch],
    others: Iterable[str] = (),
) -> dict[str, Any]:
    """The part of report.json on the text: digests of its lines, or of generated text the first of each language.

    Args:
      batches: the samples of `config.calibration`; none if it is not read.
      others: digests of other lines that made the model what it is.
    """
    lines = sampled_lines(config.calibration, config.seed, config.compat) if batches else []
    record: dict[str, Any] = {"calibration_lines": sorted({*lines, *others})}
    if batches and KINDS[config.calibration.kind].is_generated:
        record["generated"] = first_texts(model, batches)
    return record


def _allocation(model: Model, settings: Settings, measured: list[Any]) -> dict[str, Any]:
    """The part of report.json on requested shares, if they differ or kernels are ignored."""
    shares = layer_shares(model.config, kernel_shares(model.config, settings, measured))
    ignored = ignored_kernels(model.config, settings.ignored)
    allocation = {
        "shares": shares if len({*shares}) > 1 else [],
        "measured": measured,
        "ignored": ignored,
    }
    allocation = {name: value for name, value in allocation.items() if value}
    return {"allocation": allocation} if allocation else {}


def calibration_of(
    config: MethodConfig, model: Model
) -> tuple[list[Batch], ActivationStats | None]:
    """The calibration set of a run, or the saved statistics that it reads instead; neither if it reads no data."""
    settings, place = config.settings, config.calibration.stats
    if not settings.needs_statistics:
        return [], None
    if place is None:
        return calibration_batches(config, model), None
    names = [statistic.name for statistic in settings.statistics]
    return [], stats_for(place, model, config.dtype, names)


def calibration_batches(
    config: BlocksConfig | ShrinkConfig, model: Model, writer: Model | None = None
) -> list[Batch]:
    """The calibration set of `config.calibration`.

    Args:
      model: the model whose tokenizer splits the text.
      writer: the model that writes generated text; by default `model`.
    """
    fields = config.calibration
    kind = KINDS[fields.kind]
    if kind.is_generated:
        return batches_of(model, fields, config.seed, writer=writer, progress=hosts.is_first())
    if not kind.reads_text:
        check_all_rows(fields)
        return token_batches(fields.data, compat=config.compat)
    batches = grouped(sampled(model.tokenizer, fields, config.seed, config.compat))
    model.release_tokenizer()  # nothing else of a run needs it before the end
    release_freed()
    return batches
