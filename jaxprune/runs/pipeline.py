"""From a config to a workdir: load, calibrate, prune block by block, write as it goes, report."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from ml_collections import ConfigDict

from jaxprune.calibration import KINDS, Batch, demonstrations, digest, token_batches, token_counts
from jaxprune.devices import TerminatedError, device_mesh, hosts, termination
from jaxprune.errors import InputError
from jaxprune.files import write_json
from jaxprune.hf import HfWriter, Model, load
from jaxprune.passes import ActivationStats, SiteSums, stack
from jaxprune.planning import check, plan_of
from jaxprune.pruning import PrunedBlock, Settings, prune_blocks, summarise
from jaxprune.pruning import masks as mask_algebra
from jaxprune.runs import checkpoint, figures
from jaxprune.runs.digests import hash_masks, hash_weights
from jaxprune.runs.report import environment, peak_memory, print_summary
from jaxprune.runs.resume import Progress, identity

OUTPUTS = ("checkpoint", "stats", "hf", "figures")


def prune_from_config(
    config: ConfigDict, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs a whole pruning job, or goes on with one that was interrupted.

    Args:
      config: validated (`jaxprune.config.validate`).
      workdir: gets config.json, report.json, checkpoint/, stats/, hf/ and figures/, and while the job is
        unfinished progress/. What an earlier run left there goes first; report.json comes last: a
        workdir with one is complete, and run anew.
      overwrite: start afresh where an unfinished run was left.

    Returns:
      What report.json holds.

    Raises:
      InputError: anything in config, model or data that does not fit, or an unfinished run with another
        config, model or code.
      TerminatedError: SIGTERM came; what is done is kept.
    """
    began = time.perf_counter()
    model = load(config.model, config.revision)
    settings = settings_of(config)
    batches = calibration_batches(config, model) if settings.needs_statistics else []
    summary = prune_to_workdir(model, batches, config, workdir, began=began, overwrite=overwrite)
    if hosts.is_first():
        print_summary(config, summary, workdir)
    return summary


def settings_of(config: ConfigDict) -> Settings:
    """How a config prunes."""
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
    check_workdir(workdir, model.folder)
    mesh = device_mesh(**config.mesh)
    plan = plan_of(model.config, model.dtype, batches, config, mesh)
    check(plan)
    about = identity(model, config, batches, plan.rows)
    with Progress(workdir, about, overwrite) as progress:
        if hosts.is_first():
            clear(workdir)
            write_json(workdir / "config.json", json.loads(config.to_json_best_effort()))
            if progress.layers:
                print(f"going on at layer {progress.layers} of {model.config.n_layers}")
        prepared = time.perf_counter() - began
        blocks = prune_blocks(
            model, batches, settings_of(config), mesh=mesh, rows=plan.rows, stats=stats,
            done=progress.read, progress=hosts.is_first(),
        )  # fmt: skip
        summary = _run(model, batches, config, workdir, blocks, progress)
        summary["seconds"] = {"prepare": round(prepared, 3)} | summary["seconds"]
        summary["seconds"]["total"] = round(time.perf_counter() - began, 3)
        summary["peak_memory_bytes"] = peak_memory()
        if hosts.is_first():
            write_json(workdir / "report.json", summary)
        progress.finish()
    return summary


def _run(
    model: Model,
    batches: Sequence[Batch],
    config: ConfigDict,
    workdir: Path,
    blocks: Generator[PrunedBlock, None, None],
    progress: Progress,
) -> dict[str, Any]:
    resolved = json.loads(config.to_json_best_effort())
    # blocks are closed at once when a write fails, so that the progress bar ends before the error is shown
    with (
        contextlib.closing(blocks),
        Outputs(model, workdir, config, progress) as outputs,
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
        summary["digests"] = digests
        summary["environment"] = environment(device_mesh(**config.mesh))
        outputs.close({"config": resolved} | summary)
    return summary


def check_workdir(workdir: Path, model: Path) -> None:
    """Refuses a workdir in which the model to prune is what would be replaced."""
    outputs = [workdir / name for name in OUTPUTS]
    if model.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is the model itself; allowed: another folder")
    if any(model.resolve().is_relative_to(folder.resolve()) for folder in outputs):
        raise InputError(
            f"--workdir: {workdir} holds the model itself, {model}, and what is there is replaced; "
            "allowed: another folder"
        )


def clear(workdir: Path) -> None:
    """Takes away what an earlier run left, which would pass for this run's."""
    (workdir / "report.json").unlink(missing_ok=True)
    for name in OUTPUTS:
        shutil.rmtree(workdir / name, ignore_errors=True)


def calibration_batches(config: ConfigDict, model: Model) -> list[Batch]:
    """The calibration set that `config.calibration` describes."""
    wanted = config.calibration
    if not KINDS[wanted.kind].reads_text:
        return token_batches(wanted.data, compat=config.compat)
    return demonstrations(
        model.tokenizer,
        wanted.data,
        kind=wanted.kind,
        source=wanted.source,
        target=wanted.target,
        shots=wanted.shots,
        samples=wanted.samples,
        max_length=wanted.max_length,
        seed=config.seed,
        compat=config.compat,
        code=wanted.code,
    )


class Outputs:
    """Takes blocks as they are done and writes them on a thread, one behind the devices.

    Holds packed masks and sums of all layers and, with `output.params`, all parameters; the Hugging
    Face folder goes to disk block by block.
    """

    def __init__(self, model: Model, workdir: Path, config: ConfigDict, progress: Progress) -> None:
        self.kept: list[dict[str, tuple[int, int]]] = []
        self.seconds: list[dict[str, float]] = []
        self._sums: list[SiteSums] = []
        self._model = model
        self._workdir = workdir
        self._progress = progress
        self._wanted = config.output
        writes = config.output.hf and hosts.is_first()
        self._hf = HfWriter(model, workdir / "hf") if writes else None
        self._packed: list[dict[str, Any]] = []
        self._kept_params: list[Any] = []
        self._weights, self._masks = hashlib.sha256(), hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.shutdown()
        if self._hf is not None:
            self._hf.__exit__(*error)

    def add(self, block: PrunedBlock) -> None:
        """Hands a block to the writer; waits while the one before is still being written."""
        self.wait()
        self._pending = self._pool.submit(self._write, block)

    def wait(self) -> None:
        """Until all that was handed over is written; raises what went wrong there."""
        if self._pending is not None:
            self._pending.result()

    def _write(self, block: PrunedBlock) -> None:
        packed = mask_algebra.pack(block.keep)
        if block.layer >= self._progress.layers:
            self._progress.write(block.layer, packed, block.sums)
        hash_masks(self._masks, packed)
        hash_weights(self._weights, block.params)
        if self._hf is not None:
            self._hf.write_part(block.params, "blocks", block.layer)
        self._packed.append(packed)
        if self._wanted.params:
            self._kept_params.append(block.params)
        self.kept.append(block.kept)
        self.seconds.append(block.seconds)
        self._sums.append(block.sums)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the pruned blocks' parameters and of the mask bits, in layer and path order."""
        self.wait()
        return {"weights": self._weights.hexdigest(), "masks": self._masks.hexdigest()}

    def close(self, report: Mapping[str, Any]) -> None:
        """Writes what needs all layers: statistics, checkpoint, the rest of the Hugging Face folder."""
        self.wait()
        if self._hf is not None:
            self._hf.copy_unpruned()
            self._hf.close()
        stats = None
        if self._sums[0]:
            stats = stack(self._sums, report["tokens"], self._model.config)
            checkpoint.save_stats(self._workdir / "stats", stats)
        if self._wanted.figures and hosts.is_first():
            figures.draw(self._workdir / "figures", self.kept, stats)
        params = None
        if self._wanted.params:
            params = {
                "embed": self._model.part("embed"),
                "blocks": _stack(self._kept_params),
                "head": self._model.part("head"),
            }
        masks = {"blocks": unflatten_dict(_stack_packed(self._packed), sep="/")}
        checkpoint.save(
            self._workdir / "checkpoint", params=params, packed_masks=masks, metadata=report
        )


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _stack_packed(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Packed masks of single blocks as those of the stacked tree."""
    return {
        path: {
            "bits": np.stack([layer[path]["bits"] for layer in layers]),
            "shape": np.asarray([len(layers), *layers[0][path]["shape"]], np.int32),
        }
        for path in layers[0]
    }
