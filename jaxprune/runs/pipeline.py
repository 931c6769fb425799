"""From a config to a workdir: load, calibrate, prune block by block, write as it goes, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from jaxprune import charts
from jaxprune.calibration import (
    KINDS,
    Batch,
    demonstrations,
    digest,
    language_counts,
    token_batches,
    token_counts,
)
from jaxprune.devices import compiling, device_mesh, hosts, termination
from jaxprune.errors import InputError, TerminatedError
from jaxprune.hf import Model, load, origin_of
from jaxprune.passes import ActivationStats
from jaxprune.planning import PruneConfig, check_fits, plan_of
from jaxprune.pruning import PrunedBlock, prune_blocks, summarise
from jaxprune.runs.identity import agree, identity
from jaxprune.runs.outputs import Outputs
from jaxprune.runs.report import environment, peak_memory, print_summary
from jaxprune.runs.resume import FinishedLayers, begun_with
from jaxprune.runs.workdir import check_workdir, complete_run, publish


def prune_from_config(
    config: PruneConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a whole pruning job, or goes on with one that was interrupted.

    Args:
      config: validated (`jaxprune.config.validate`).
      workdir: gets config.json, report.json, checkpoint/, stats/, hf/ and figures/, and while the job is
        unfinished progress/. report.json comes last: a workdir with one is complete, and if it is of the same
        job, nothing is done.
      overwrite: start afresh where an unfinished run was left, and replace a complete one when this one is.

    Returns:
      What report.json holds.

    Raises:
      InputError: anything in config, model or data that does not fit, a run with another config, model or
        code, or files that this package did not write.
      TerminatedError: SIGTERM came; what is done is kept.
    """
    began = time.perf_counter()
    model = load(config.model, config.revision)
    batches = calibration_batches(config, model) if config.settings.needs_statistics else []
    summary = prune_to_workdir(model, batches, config, workdir, began=began, overwrite=overwrite)
    if hosts.is_first():
        print_summary(config, summary, workdir)
    return summary


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
    """`prune_from_config` for a model that is open and samples that are there.

    Args:
      batches: none for criteria without statistics.
      stats: see `prune_blocks`.
      began: `time.perf_counter()` when the job began; now by default.
    """
    began = time.perf_counter() if began is None else began
    check_workdir(workdir, model.folder)
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array of all layers cannot be; "
            "allowed: output.params=false"
        )
    if config.output.figures:
        charts.check_system()
    about = identity(model, config, batches)  # reads the model's files once
    agree(about)
    if not overwrite and (complete := complete_run(workdir, about)):
        if hosts.is_first():
            print(f"{workdir} is complete; --overwrite makes it anew")
        return dict(complete)
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    begun = None if overwrite else begun_with(workdir)
    plan = plan_of(model.config, model.dtype, batches, config, mesh, begun)
    check_fits(plan)
    with (
        FinishedLayers(workdir, about, plan.samples_per_device, overwrite) as finished,
        compiling() as compilation,
    ):
        if hosts.is_first() and finished.layers:
            print(f"going on at layer {finished.layers} of {model.config.n_layers}")
        prepared = time.perf_counter() - began
        blocks = prune_blocks(
            model, batches, config.settings, mesh=mesh, stats=stats, finished=finished.read,
            samples_per_device=plan.samples_per_device, progress=hosts.is_first(),
        )  # fmt: skip
        summary = _write_blocks(model, batches, config, blocks, finished)
        model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        summary["seconds"] = {"prepare": round(prepared, 3)} | summary["seconds"]
        summary["seconds"]["total"] = round(time.perf_counter() - began, 3)
        summary["compilation"] = compilation.rounded()
        summary["peak_memory_bytes"] = peak_memory()
        summary["identity"] = about
        summary["models"] = {"dense": model.source.fingerprint.digest}
        if hosts.is_first():
            resolved = config.json()
            summary = publish(finished.folder, workdir, resolved, summary)
        finished.remove()
    return summary


def _write_blocks(
    model: Model,
    batches: Sequence[Batch],
    config: PruneConfig,
    blocks: Generator[PrunedBlock, None, None],
    finished: FinishedLayers,
) -> dict[str, Any]:
    """Writes every block as it is pruned, and what needs all of them; what report.json tells of them."""
    resolved = config.json()
    # blocks are closed at once when a write fails, so that the progress bar ends before the error is shown
    with (
        contextlib.closing(blocks),
        Outputs(model, config, finished) as outputs,
        termination() as terminated,
    ):
        for block in blocks:
            outputs.add(block)
            if hosts.any_of(terminated.is_set()):
                outputs.wait()
                raise TerminatedError(
                    f"terminated after layer {block.layer} of {model.config.n_layers}"
                )
        digests = outputs.digests() | {"calibration": digest(batches)}
        summary = summarise(outputs.kept, outputs.seconds, token_counts(batches))
        if languages := language_counts(batches):
            summary["languages"] = languages
        summary["digests"] = digests
        summary["environment"] = environment(device_mesh(config.mesh.data, config.mesh.model))
        summary["origin"] = origin_of(model, config.model)
        outputs.close({"config": resolved} | summary)
    return summary


def calibration_batches(config: PruneConfig, model: Model) -> list[Batch]:
    """The calibration set that `config.calibration` describes."""
    calibration = config.calibration
    if not KINDS[calibration.kind].reads_text:
        return token_batches(calibration.data, compat=config.compat)
    return demonstrations(
        model.tokenizer, calibration.data, kind=calibration.kind, source=calibration.source,
        target=calibration.target, shots=calibration.shots, samples=calibration.samples,
        max_length=calibration.max_length, seed=config.seed, compat=config.compat,
        code=calibration.code, lines=calibration.lines,
    )  # fmt: skip
