"""A step and a workdir → the run that fills it: opened, resumed or complete already; its writers and its report."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.files import manifest
from jaxprune.base.progress import Clock
from jaxprune.base.workdir.reading import GGUF, check_workdir
from jaxprune.devices import hosts
from jaxprune.devices.machine import peak_memory
from jaxprune.hf.fingerprint import exported_digest
from jaxprune.hf.model import Model
from jaxprune.runs.block_writer import BlockWriter
from jaxprune.runs.run import Run, open_run
from jaxprune.runs.writers import writers_of
from jaxprune.steps.step import BlockStep, FolderStep, Opened

# (content of config.json, content of report.json) → the text of the model card.
Card = Callable[[Any, Any], str]


def run_step(
    step: BlockStep | FolderStep,
    workdir: Path,
    card: Card,
    *,
    opened: Opened | None = None,
    began: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Runs a step, or resumes an interrupted run of it; a complete run is kept.

    Args:
      step: its config is validated.
      workdir: receives config.json, report.json and the outputs of the step, and progress/ until the run is complete.
        report.json is written last: a workdir with it is complete, and repeating the same step does nothing.
      card: makes the text of the model card.
      opened: the models and samples of the step, if they are open.
      began: `time.perf_counter()` at the start of the command; by default now.
      overwrite: discard an unfinished run; replace a complete one once this one is complete.

    Returns:
      The content of report.json.

    Raises:
      InputError: an error in config, model or data; a complete run with another config, model or text, or an unfinished
        one also with other code, or files that this package did not write in the workdir.
      TerminatedError: SIGTERM ended the run; finished layers are kept.
    """
    began = time.perf_counter() if began is None else began
    opened = step.open() if opened is None else opened
    step.check(opened, workdir)
    check_workdir(workdir, opened.models[0].folder)
    identity, config = step.identity(opened), step.written
    with open_run(workdir, identity, config, overwrite=overwrite) as run:
        if run.result is not None:
            if hosts.is_first():
                print("this run is complete; --overwrite repeats the run")
            return run.result
        run.result = _filled(step, opened, run, config, Clock(began))
        for model in opened.models:
            model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        run.result["seconds"]["total"] = round(time.perf_counter() - began, 3)
        run.result["peak_memory_bytes"] = peak_memory()
        run.result["identity"] = identity
        run.result |= _about_files(opened.models[0], run.folder)
        hosts.wait("reported")  # the folder that all have read is renamed
        if step.has_card and hosts.is_first():
            manifest.replace_card(run.folder / "hf", card(config, run.result))
    return run.result


def _filled(
    step: BlockStep | FolderStep, opened: Opened, run: Run, config: Mapping[str, Any], clock: Clock
) -> dict[str, Any]:
    """Fills the folder of a run; returns the step's part of report.json."""
    if isinstance(step, FolderStep):
        return step.write(opened, run.folder / "hf")
    opened = step.prepare(opened, run, clock)
    outputs = step.outputs(opened, run)
    writers = writers_of(outputs, opened, run.folder, config, card=step.has_card)
    writer = BlockWriter(run, opened.model.config.n_layers, writers)
    writer.write_all(step.blocks(opened, run), by_block=step.is_by_block(opened))
    report = step.report(opened, run, writer.totals)
    report["seconds"] = {**clock.rounded(), **report["seconds"]}
    writer.close(report)
    return report


def _about_files(model: Model, folder: Path) -> dict[str, dict[str, Any]]:
    """The digests of the dense model and of the exported one, if any, and the bytes of their weights."""
    exported, quantized = folder / "hf", folder / GGUF
    source = model.source.fingerprint
    read = {path: state for path, state in source.states.items() if path.name in source.digests}
    weights = [state.size for path, state in read.items() if path.name != "config.json"]
    digests = {"dense": source.digest}
    sizes = {"dense": sum(weights)}
    if exported.is_dir():
        table = manifest.table(exported)
        digests["hf"] = exported_digest(table)
        written = [size for name, (size, _) in table.items() if name.endswith(".safetensors")]
        sizes["hf"] = sum(written)
    if quantized.is_file():
        sizes[GGUF] = quantized.stat().st_size
    return {"models": digests, "weight_bytes": sizes}
