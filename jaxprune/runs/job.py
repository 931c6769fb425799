"""The blocks of a job → a run: resume, write block by block. Pruning and recovery are such jobs."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from jaxprune import calibration, charts, ledger
from jaxprune.calibration import SetKey
from jaxprune.devices import device_mesh, hosts, termination
from jaxprune.errors import InputError, TerminatedError
from jaxprune.hf import Model, origin_of
from jaxprune.progress import Clock
from jaxprune.pruning import FinishedLayer, PrunedBlock, summarise
from jaxprune.runs.card import model_card
from jaxprune.runs.frame import Chosen, write_run
from jaxprune.runs.layer_file import finished_layers, layer_file, read_layer
from jaxprune.runs.machine import environment
from jaxprune.runs.outputs import OUTPUTS, Outputs
from jaxprune.runs.planning import BlocksConfig

# Layer → its result in an interrupted run, or None.
Finished = Callable[[int], FinishedLayer | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A job that changes every block of a model.

    Attributes:
      model, config: the dense model, and what to do.
      tokens: of the calibration set, by set; empty without data.
      identity: makes its record, see `ledger.run_identity`; reads the model's files once.
      lines: digests of the lines in the calibration set.
      choose: choices that depend on memory, from those of an interrupted run; see `ledger.unfinished_run`.
      blocks: the folder of the unfinished run, its finished layers and choices → the changed blocks, in order. What it
        computes before it returns is the stage "allocate".
      about: additional content of report.json, after the last block.
      by_block: whether blocks become ready one after the other, so that SIGTERM waits for the present one.
    """

    model: Model
    config: BlocksConfig
    tokens: Mapping[SetKey, int]
    identity: Callable[[], Mapping[str, Any]]
    lines: Callable[[], list[str]]
    choose: Callable[[ledger.Begun | None], Chosen]
    blocks: Callable[[Path, Finished, Chosen], Generator[PrunedBlock, None, None]]
    about: Callable[[], Mapping[str, Any]]
    by_block: bool = True


def write_blocks(job: Job, workdir: Path, *, began: float, overwrite: bool) -> dict[str, Any]:
    """Runs a job, or resumes it, or returns the report of the complete one.

    Args:
      workdir, overwrite: see `prune_from_config`.
      began: `time.perf_counter()` at the start of the job.

    Returns:
      The content of report.json.
    """
    model, config = job.model, job.config
    ledger.check_workdir(workdir, model.folder, OUTPUTS)
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array cannot represent; "
            "allowed: output.params=false"
        )
    if config.output.figures:
        charts.check_system()
    identity = job.identity()

    def fill(folder: Path, chosen: Chosen) -> dict[str, Any]:
        lines, finished = job.lines(), finished_layers(folder)
        if hosts.is_first() and finished:
            print(f"resuming at layer {finished} of {model.config.n_layers}")

        def read(layer: int) -> FinishedLayer | None:
            with ledger.of_unfinished_run():
                return read_layer(layer_file(folder, layer)) if layer < finished else None

        clock = Clock(began)
        clock.lap("prepare")
        blocks = job.blocks(folder, read, chosen)
        clock.lap("allocate")
        outputs = Outputs(model, config, folder, finished)
        report = _write(job, blocks, outputs, str(identity["calibration"]))
        before = {stage: laps for stage, laps in clock.rounded().items() if laps}
        report["seconds"] = {**before, **report["seconds"]}
        return report | {"calibration_lines": lines}

    return write_run(
        workdir, [model], identity, config.json(), fill,
        choose=job.choose, began=began, overwrite=overwrite,
        card=model_card if config.output.hf and config.output.card else None,
    )  # fmt: skip


def _write(
    job: Job, blocks: Generator[PrunedBlock, None, None], outputs: Outputs, samples: str
) -> dict[str, Any]:
    """Writes every block when it is ready, then completes the outputs; returns their part of report.json.

    Args:
      samples: digest of the calibration set.
    """
    model, config = job.model, job.config
    # Closes the generator at once if a write fails, so that the progress bar ends before the error is printed.
    until_block = termination() if job.by_block else contextlib.nullcontext(threading.Event())
    with contextlib.closing(blocks), outputs, until_block as terminated:
        for block in blocks:
            outputs.add(block)
            if hosts.any_of(terminated.is_set()):
                outputs.wait()
                raise TerminatedError(
                    f"terminated after layer {block.layer} of {model.config.n_layers}"
                )
        digests = outputs.digests() | {"calibration": samples}
        report = summarise(outputs.kept, outputs.seconds, calibration.by_kind(job.tokens))
        counts = [pair for layer in outputs.kept for pair in layer.values()]
        dropped = sum(total - kept for kept, total in counts)
        report["parameters"] = {"all": model.size, "dropped": dropped}
        if languages := calibration.by_language(job.tokens):
            report["languages"] = languages
        report["digests"] = digests
        if outputs.damping:
            report["damping"] = outputs.damping
        if outputs.losses:
            report["losses"] = outputs.losses
        report["environment"] = environment(device_mesh(config.mesh.data, config.mesh.model))
        report["origin"] = origin_of(model, config.model)
        report |= job.about()
        outputs.close(config.json(), report, job.tokens)
    return report
