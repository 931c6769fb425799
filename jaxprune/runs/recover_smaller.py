"""A smaller model of a run, and the dense model that teaches it → the recovered smaller model in a workdir."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.errors import refusal
from jaxprune.base.files import read_json
from jaxprune.base.progress import Clock
from jaxprune.base.schema import fields_of
from jaxprune.base.workdir import CONFIG, Report, check_workdir
from jaxprune.data import by_kind, by_language, sampled_lines, set_tokens
from jaxprune.devices import device_mesh, hosts
from jaxprune.devices.machine import environment
from jaxprune.hf import HfWriter, Model, load, origin_of
from jaxprune.recovery import Task, recover_blocks, whole_layers
from jaxprune.runs.card import model_card
from jaxprune.runs.identity import run_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.pipeline import calibration_batches
from jaxprune.runs.planning import OutputFields, RecoverConfig
from jaxprune.runs.run import FIT
from jaxprune.runs.shrink import print_smaller
from jaxprune.shrinking import teacher_of

# The parts of a config that it reads.
_READ = ("model", "revision", "dtype", "compat", "seed", "calibration", "mesh", "recovery")


def recover_smaller(
    config: RecoverConfig,
    model: Model,
    run: Path,
    before: Report,
    more: Mapping[str, Any],
    workdir: Path,
    *,
    began: float,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fits the smaller model of a run to the dense model's predictions, or resumes that.

    Args:
      config: see `recover_from_config`.
      model: the dense model.
      run: a finished run of `shrink`.
      before: its report.
      more: of the record of the run, see `runs.run_identity`.
      workdir, overwrite: see `prune_from_config`.
      began: `time.perf_counter()` at the start.

    Returns:
      The content of report.json.

    Raises:
      InputError: a field of `output`, which it does not read, has another value than its default.
    """
    for name, field in fields_of(OutputFields).items():
        if (value := getattr(config.output, name)) != field.default:
            raise refusal(f"output.{name}", value, f"{field.default}, of a smaller model")
    smaller = load(run / "hf")
    check_workdir(workdir, model.folder)
    batches = calibration_batches(config, smaller)
    every = config.json()
    read = {name: every[name] for name in _READ}
    # of `output` only hf/ is written, and always
    identity = run_identity(smaller, {**read, "pruning": {}, "output": {"hf": True}}, batches, more)
    with open_run(
        workdir, [model, smaller], identity, read,
        began=began, overwrite=overwrite, card=model_card,
    ) as opened:  # fmt: skip
        if opened.result is None:
            task = Task(
                model=smaller, teacher=teacher_of(model, smaller), batches=batches,
                pruned=whole_layers(smaller.config), fields=config.recovery,
                mesh=device_mesh(config.mesh.data, config.mesh.model), dtype=config.dtype,
                seed=config.seed, progress=hosts.is_first(), saved=opened.folder / FIT,
            )  # fmt: skip
            report = _fit(task, opened.folder / "hf", Clock(began))
            lines = sampled_lines(config.calibration, config.seed, config.compat)
            report["shrunk"] = {**before["shrunk"], **_configs(before["shrunk"], run)}
            report["calibration_lines"] = sorted({*lines, *before["calibration_lines"]})
            report["origin"] = origin_of(model, config.model)
            opened.result = report
    result: Any = opened.result
    if hosts.is_first():
        print_smaller(every, result, workdir)
    return result


def _fit(task: Task, folder: Path, clock: Clock) -> dict[str, Any]:
    """Writes the fitted model to `hf/`; returns its part of report.json."""
    writer = HfWriter(task.model, folder) if hosts.is_first() else None
    if writer:
        writer.copy_unpruned()
    clock.lap("prepare")
    losses = list[tuple[float, float]]()
    for block in recover_blocks(task):
        if writer:
            writer.write_block(block.params, block.layer)
        losses += [block.finished.loss] if block.finished.loss else []
    if writer:
        writer.close(card=True)
    clock.lap("recover")
    tokens = set_tokens(task.batches)
    return {
        "losses": losses,
        "tokens": by_kind(tokens),
        "languages": by_language(tokens),
        "environment": environment(task.mesh),
        "seconds": clock.rounded(),
    }


def _configs(shrunk: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """The config of the run that made the smaller model, or that of a recovery after it."""
    config = read_json(run / CONFIG)
    if "config" in shrunk:
        return {"recoveries": [*shrunk.get("recoveries", []), config]}
    return {"config": config}
