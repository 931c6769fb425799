"""The steps that all runs share: return a complete one, lock the workdir, fill a folder, check the models, publish."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune import ledger
from jaxprune.devices import compiling, hosts
from jaxprune.errors import InputError
from jaxprune.files import sealed
from jaxprune.hf import Model, exported_digest
from jaxprune.runs.machine import peak_memory
from jaxprune.runs.outputs import OUTPUTS

SWEEP = "sweep.json"  # the record of a sweep, in its workdir

# The choices of a run, as in `ledger.unfinished_run`.
Chosen = Mapping[str, Any]


def write_run(
    workdir: Path,
    models: Sequence[Model],
    identity: Mapping[str, Any],
    config: Mapping[str, Any],
    fill: Callable[[Path, Chosen], dict[str, Any]],
    *,
    began: float,
    overwrite: bool,
    choose: Callable[[ledger.Begun | None], Chosen] = lambda begun: {},
    card: Callable[[Any, Any], str] | None = None,
) -> dict[str, Any]:
    """Fills the outputs of a run and publishes them, or returns the report of the complete run.

    Args:
      workdir: of the run, which `ledger.check_workdir` has accepted.
      models: that the run reads, the dense one first; their files must not change meanwhile.
      identity: its record, see `ledger.run_identity`.
      config: the content of config.json.
      fill: the unfinished folder, choices → its part of report.json, with the `seconds` of stages.
      began: `time.perf_counter()` at the start.
      overwrite: repeat a complete run.
      choose: choices that depend on memory, from those of an interrupted run.
      card: config, the whole report → the model card of `hf/`; by default it has none.

    Returns:
      The content of report.json.
    """
    ledger.agree(identity)
    if (workdir / SWEEP).exists():
        raise InputError(f"--workdir: {workdir} contains a sweep; allowed: another folder")
    if not overwrite and (complete := ledger.complete_run(workdir, identity, config)):
        if hosts.is_first():
            print(f"{workdir} is complete; --overwrite repeats the run")
        return dict(complete)
    chosen = choose(None if overwrite else ledger.begun_with(workdir))
    with (
        ledger.unfinished_run(workdir, identity, chosen, OUTPUTS, overwrite) as folder,
        compiling() as compilation,
    ):
        if not overwrite:  # another run may have ended meanwhile
            ledger.complete_run(workdir, identity, config)
        report = fill(folder, chosen)
        for model in models:
            model.source.fingerprint.check_unchanged()
        hosts.wait("unchanged")
        report["seconds"]["total"] = round(time.perf_counter() - began, 3)
        report["compilation"] = {**vars(compilation), "seconds": round(compilation.seconds, 3)}
        report["peak_memory_bytes"] = peak_memory()
        report["identity"] = identity
        report |= _about_files(models[0], folder / "hf")
        hosts.wait("reported")  # publishing renames the folder that all have read
        if hosts.is_first():
            if card:
                sealed.replace_card(folder / "hf", card(config, report))
            report = ledger.publish(folder, workdir, OUTPUTS, config, report)
    return report


def _about_files(model: Model, exported: Path) -> dict[str, dict[str, Any]]:
    """The digests of the dense model and of the exported one, if any, and the bytes of their weights."""
    source = model.source.fingerprint
    read = {path: state for path, state in source.states.items() if path.name in source.digests}
    weights = [state.size for path, state in read.items() if path.name != "config.json"]
    digests = {"dense": source.digest}
    sizes = {"dense": sum(weights)}
    if exported.is_dir():
        table = sealed.table(exported)
        digests["hf"] = exported_digest(table)
        written = [size for name, (size, _) in table.items() if name.endswith(".safetensors")]
        sizes["hf"] = sum(written)
    return {"models": digests, "weight_bytes": sizes}
