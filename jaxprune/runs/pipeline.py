"""From a config to a workdir: load, calibrate, prune block by block, write as it goes, report."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxprune import calibration, charts, ledger
from jaxprune.calibration import Batch
from jaxprune.devices import compiling, device_mesh, hosts, termination
from jaxprune.errors import InputError, TerminatedError
from jaxprune.files import sealed
from jaxprune.hf import Model, exported_digest, load, origin_of
from jaxprune.passes import ActivationStats
from jaxprune.planning import check_fits, plan_of
from jaxprune.pruning import PrunedBlock, Settings, prune_blocks, summarise
from jaxprune.runs.environment import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS, Outputs
from jaxprune.runs.resume import FinishedLayers
from jaxprune.runs.summary import print_summary

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def prune_from_config(
    config: ConfigDict, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a whole pruning job, or goes on with one that was interrupted.

    Args:
      config: validated (`jaxprune.config.validate`).
      workdir: gets config.json, report.json and the folders of `OUTPUTS`, and while the job is unfinished
        progress/. report.json comes last: a workdir with one is complete, and if it is of the same job, nothing
        is done.
      overwrite: start afresh where an unfinished run was left, and replace a complete one when this one is.

    Returns:
      The content of report.json.

    Raises:
      InputError: anything in config, model or data that does not fit, a run with another config, model or
        code, or files that this package did not write.
      TerminatedError: SIGTERM came; what is done is kept.
    """
    began = time.perf_counter()
    model = load(config.model, config.revision)
    settings = settings_of(config)
    batches = calibration_batches(config, model) if settings.needs_statistics else []
    report = prune_to_workdir(model, batches, config, workdir, began=began, overwrite=overwrite)
    if hosts.is_first():
        print_summary(config, report, workdir)
    return report


def settings_of(config: ConfigDict) -> Settings:
    """The group `pruning` of a config, and what else decides how it prunes."""
    return Settings(
        **config.pruning.to_dict(), compat=config.compat, seed=config.seed, dtype=config.dtype
    )


def prune_to_workdir(
    model: Model,
    batches: Sequence[Batch],
    config: ConfigDict,
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
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array of all layers cannot be; "
            "allowed: output.params=false"
        )
    if config.output.figures:
        charts.check_system()
    identity = ledger.run_identity(model, config, batches)  # reads the model's files once
    ledger.agree(identity)
    if not overwrite and (complete := ledger.complete_run(workdir, identity)):
        if hosts.is_first():
            print(f"{workdir} is complete; --overwrite makes it anew")
        return dict(complete)
    mesh = device_mesh(**config.mesh)
    begun = None if overwrite else ledger.begun_with(workdir)
    plan = plan_of(model.config, model.dtype, batches, config, mesh, begun)
    check_fits(plan)
    samples = plan.samples_per_device
    with (
        ledger.unfinished_run(workdir, identity, samples, OUTPUTS, overwrite) as folder,
        compiling() as compilation,
    ):
        finished = FinishedLayers(folder)
        if hosts.is_first() and finished.layers:
            print(f"going on at layer {finished.layers} of {model.config.n_layers}")
        prepared = time.perf_counter() - began
        blocks = prune_blocks(
            model, batches, settings_of(config), mesh=mesh, stats=stats, finished=finished.read,
            samples_per_device=samples, progress=hosts.is_first(),
        )  # fmt: skip
        report = _write_blocks(model, batches, config, blocks, finished)
        model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        total = round(time.perf_counter() - began, 3)
        report["seconds"] = {"prepare": round(prepared, 3), **report["seconds"], "total": total}
        report["compilation"] = compilation.rounded()
        report["peak_memory_bytes"] = peak_memory()
        report["identity"] = identity
        report["models"] = {"dense": model.source.fingerprint.digest}
        if (folder / "hf").is_dir():
            report["models"]["hf"] = exported_digest(sealed.table(folder / "hf"))
        if hosts.is_first():
            report = ledger.publish(folder, workdir, OUTPUTS, _as_json(config), report)
    return report


def _write_blocks(
    model: Model,
    batches: Sequence[Batch],
    config: ConfigDict,
    blocks: Generator[PrunedBlock, None, None],
    finished: FinishedLayers,
) -> dict[str, Any]:
    """Writes every block as it is pruned, then what needs all of them; returns the part of report.json on them."""
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
        digests = outputs.digests() | {"calibration": calibration.digest(batches)}
        report = summarise(outputs.kept, outputs.seconds, calibration.token_counts(batches))
        if languages := calibration.language_counts(batches):
            report["languages"] = languages
        report["digests"] = digests
        report["environment"] = environment(device_mesh(**config.mesh))
        report["origin"] = origin_of(model, config.model)
        outputs.close(_as_json(config), report)
    return report


def _as_json(config: ConfigDict) -> dict[str, Any]:
    return json.loads(config.to_json_best_effort())


def calibration_batches(config: ConfigDict, model: Model) -> list[Batch]:
    """The calibration set that `config.calibration` describes."""
    fields, compat = config.calibration, config.compat
    if not calibration.KINDS[fields.kind].reads_text:
        return calibration.token_batches(fields.data, compat=compat)
    return calibration.demonstrations(model.tokenizer, seed=config.seed, compat=compat, **fields)
