"""A config → a workdir: load, calibrate, prune and write block by block, report."""

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune import calibration, charts, ledger
from jaxprune.calibration import Batch, SetKey
from jaxprune.devices import compiling, device_mesh, hosts, termination
from jaxprune.errors import InputError, TerminatedError
from jaxprune.files import sealed
from jaxprune.hf import Model, exported_digest, load, origin_of
from jaxprune.passes import ActivationStats, order_of_sums
from jaxprune.pruning import (
    FinishedLayer,
    PrunedBlock,
    Settings,
    ignored_kernels,
    kernel_shares,
    layer_shares,
    measure_blocks,
    prune_blocks,
    summarise,
)
from jaxprune.runs.layer_file import finished_layers, layer_file, read_layer
from jaxprune.runs.machine import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS, Outputs
from jaxprune.runs.planning import PruneConfig, check_fits, plan_of
from jaxprune.runs.saved_stats import stats_for
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
    batches: list[Batch] = []
    stats = None
    if settings.needs_statistics and (place := config.calibration.stats) is not None:
        names = [one.name for one in settings.statistics]
        stats = stats_for(place, model, config.dtype, names)
    elif settings.needs_statistics:
        batches = calibration_batches(config, model)
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
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array cannot represent; "
            "allowed: output.params=false"
        )
    if config.output.figures:
        charts.check_system()
    mesh, settings = device_mesh(config.mesh.data, config.mesh.model), config.settings
    running = order_of_sums(settings.method.statistics, mesh)
    # reads the model's files once
    saved = None if batches or stats is None else stats.digest
    identity = ledger.run_identity(model, config.json(), batches, running, saved)
    ledger.agree(identity)
    if not overwrite and (complete := ledger.complete_run(workdir, identity)):
        if hosts.is_first():
            print(f"{workdir} is complete; --overwrite repeats the run")
        return dict(complete)
    begun = None if overwrite else ledger.begun_with(workdir)
    how = (config.calibration, config.seed, config.compat)
    lines = calibration.sampled_lines(*how) if batches else []
    if config.calibration.stats and not batches:
        # a run lists them, a folder of statistics does not
        saved_run = ledger.read_report(Path(config.calibration.stats).expanduser()) or {}
        lines = saved_run.get("calibration_lines", [])
    plan = plan_of(model.config, model.dtype, batches, config, mesh, begun)
    check_fits(plan)
    chosen = {"samples_per_device": plan.samples_per_device, "by_site": plan.work.by_site}
    with (
        ledger.unfinished_run(workdir, identity, chosen, OUTPUTS, overwrite) as folder,
        compiling() as compilation,
    ):
        if not overwrite:  # another run may have ended meanwhile
            ledger.complete_run(workdir, identity)
        finished = finished_layers(folder)
        if hosts.is_first() and finished:
            print(f"resuming at layer {finished} of {model.config.n_layers}")

        def read(layer: int) -> FinishedLayer | None:
            return read_layer(layer_file(folder, layer)) if layer < finished else None

        prepared = time.perf_counter() - began
        where: dict[str, Any] = {
            "mesh": mesh,
            "samples_per_device": plan.samples_per_device,
            "progress": hosts.is_first(),
        }
        measured = ledger.measured_once(
            folder, lambda: measure_blocks(model, batches, settings, stats=stats, **where)
        )
        allocated = time.perf_counter() - began - prepared
        blocks = prune_blocks(
            model, batches, settings, stats=stats, measured=measured, finished=read,
            by_site=plan.work.by_site, **where,
        )  # fmt: skip
        outputs = Outputs(model, config, folder, finished)
        tokens = calibration.set_tokens(batches) if stats is None else dict(stats.tokens)
        known = _allocation(model, settings, measured)
        report = _write_blocks(model, tokens, config, blocks, outputs, known)
        report["digests"]["calibration"] = identity["calibration"]
        model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        total = round(time.perf_counter() - began, 3)
        before = {"prepare": round(prepared, 3)}
        if measured:
            before["allocate"] = round(allocated, 3)
        report["seconds"] = {**before, **report["seconds"], "total": total}
        report["compilation"] = compilation.rounded()
        report["peak_memory_bytes"] = peak_memory()
        report["identity"] = identity
        report["calibration_lines"] = lines
        report["models"] = {"dense": model.source.fingerprint.digest}
        states = model.source.fingerprint.states.items()
        weights = [state.size for path, state in states if path.suffix in (".safetensors", ".bin")]
        report["weight_bytes"] = {"dense": sum(weights)}
        if (folder / "hf").is_dir():
            table = sealed.table(folder / "hf")
            report["models"]["hf"] = exported_digest(table)
            exported = [size for name, (size, _) in table.items() if name.endswith(".safetensors")]
            report["weight_bytes"]["hf"] = sum(exported)
        if hosts.is_first():
            report = ledger.publish(folder, workdir, OUTPUTS, config.json(), report)
    return report


def _write_blocks(
    model: Model,
    tokens: Mapping[SetKey, int],
    config: PruneConfig,
    blocks: Generator[PrunedBlock, None, None],
    outputs: Outputs,
    known: dict[str, Any],
) -> dict[str, Any]:
    """Writes every block as it is pruned, then completes the outputs; returns `known` and their part of report.json."""
    # Closes the generator at once if a write fails, so that the progress bar ends before the error is printed.
    with contextlib.closing(blocks), outputs, termination() as terminated:
        for block in blocks:
            outputs.add(block)
            if hosts.any_of(terminated.is_set()):
                outputs.wait()
                raise TerminatedError(
                    f"terminated after layer {block.layer} of {model.config.n_layers}"
                )
        digests = outputs.digests()
        report = summarise(outputs.kept, outputs.seconds, calibration.by_kind(tokens)) | known
        counts = [pair for layer in outputs.kept for pair in layer.values()]
        dropped = sum(total - kept for kept, total in counts)
        report["parameters"] = {"all": model.size, "dropped": dropped}
        if languages := calibration.by_language(tokens):
            report["languages"] = languages
        report["digests"] = digests
        if outputs.damping:
            report["damping"] = outputs.damping
        report["environment"] = environment(device_mesh(config.mesh.data, config.mesh.model))
        report["origin"] = origin_of(model, config.model)
        outputs.close(config.json(), report, tokens)
    return report


def _allocation(model: Model, settings: Settings, measured: list[float]) -> dict[str, Any]:
    """The part of report.json on requested shares, if they differ or kernels are ignored."""
    shares = layer_shares(model.config, kernel_shares(model.config, settings, measured))
    ignored = ignored_kernels(model.config, settings.ignored)
    found = {
        "shares": shares if len({*shares}) > 1 else [],
        "measured": measured,
        "ignored": ignored,
    }
    found = {name: value for name, value in found.items() if value}
    return {"allocation": found} if found else {}


def calibration_batches(config: PruneConfig, model: Model) -> list[Batch]:
    """The calibration set of `config.calibration`."""
    fields, compat = config.calibration, config.compat
    if not calibration.KINDS[fields.kind].reads_text:
        return calibration.token_batches(fields.data, compat=compat)
    return calibration.demonstrations(
        model.tokenizer, fields.data, kind=fields.kind, source=fields.source, target=fields.target,
        shots=fields.shots, samples=fields.samples, max_length=fields.max_length,
        seed=config.seed, compat=compat, code=fields.code, lines=fields.lines,
        tokens=fields.tokens,
    )  # fmt: skip
