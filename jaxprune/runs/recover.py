"""A config and the pruned or smaller model of a finished run → a workdir with the recovered one."""

import dataclasses
import importlib.metadata
import time
from pathlib import Path
from typing import Any

import jax

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.places import local_path
from jaxprune.base.progress import Clock, say
from jaxprune.base.schema import checked, fields_of
from jaxprune.base.workdir.json_files import CONFIG, Report
from jaxprune.base.workdir.reading import check_workdir, pruned_digest
from jaxprune.data.batches import first_samples, set_tokens
from jaxprune.data.demonstrations import with_all_samples
from jaxprune.devices import hosts
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model, load
from jaxprune.hf.origin import origin_of
from jaxprune.pruning.settings import PruningFields
from jaxprune.recovery.in_time import fit_into
from jaxprune.recovery.recover import recover_blocks
from jaxprune.recovery.task import Task, whole_layers
from jaxprune.runs.block_writer import BlockWriter, check_outputs
from jaxprune.runs.card import model_card
from jaxprune.runs.identity import run_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.pipeline import calibration_batches, text_record
from jaxprune.runs.planning.config import OutputFields, RecoverConfig
from jaxprune.runs.pruned_model import check_dense, dropped_layers, finished_report, pruned_layers
from jaxprune.runs.quantize import save_gguf, types_of
from jaxprune.runs.run import FIT, Run
from jaxprune.runs.shrink import print_smaller
from jaxprune.runs.summary import print_summary
from jaxprune.shrinking.vocabulary import teacher_of

# Keys of report.json of a quantization, and of a pruning, that the report of its recovery keeps.
_MEASURED_KEYS = ("tokens", "languages", "damping", "gram_width")
_PRUNING_KEYS = (*_MEASURED_KEYS[:3], "allocation")


def recover_from_config(
    config: RecoverConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Recovers the model of a pruning run or a smaller one, or resumes an interrupted recovery.

    Args:
      config: validated; its fields `pruning` are filled in with those of the run.
      workdir, overwrite: see `prune_from_config`.

    Returns:
      The content of report.json.

    Raises:
      InputError: as `prune_from_config`; `recovery.run` is no finished run, or one of another model; a field of
        `output`, of which a smaller model reads none, has another value than its default.
    """
    report = recover_to_workdir(config, workdir, overwrite=overwrite)
    if hosts.is_first() and "shrunk" in report:
        print_smaller(config.json(), report, workdir)
    elif hosts.is_first():
        print_summary(config, report, workdir)
    return report


def recover_to_workdir(
    config: RecoverConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """`recover_from_config` without its summary."""
    began = time.perf_counter()
    run = local_path(config.recovery.run)
    before = finished_report(run, "recovery.run")
    dense = config.open_model()
    check_dense(dense, config.model, run, before)
    if run.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is recovery.run itself; choose another folder")
    is_smaller, quantized = "shrunk" in before, before.get("quantized")
    has_masks, model = not (is_smaller or quantized), dense
    if has_masks:
        config = dataclasses.replace(config, pruning=_pruning(run))
    else:
        _check_default_outputs(config)
        model = load(run / "hf")
    unread = () if has_masks else ("pruning", "output")
    written = {name: value for name, value in config.json().items() if name not in unread}
    if config.recovery.minutes is not None:
        calibration = with_all_samples(config.calibration, config.compat)
        config = dataclasses.replace(config, calibration=calibration)
    batches = calibration_batches(config, model, writer=dense)
    check_workdir(workdir, dense.folder)
    check_outputs(config, dense, changes_weights=True)
    identity = run_identity(
        model, {"pruning": {}, "output": {"hf": True}, **written}, batches,
        _recovery_identity(config, dense, before),
    )  # fmt: skip
    with open_run(
        workdir, [dense] if has_masks else [dense, model], identity, written,
        began=began, overwrite=overwrite, card=model_card if config.output.card else None,
    ) as opened:  # fmt: skip
        if opened.result is None:
            task = Task(
                model=model, teacher=teacher_of(dense, model) if is_smaller else dense,
                batches=batches, fields=config.recovery,
                pruned=pruned_layers(run) if has_masks else whole_layers(model.config),
                types=types_of(quantized) if quantized else None,
                mesh=device_mesh(config.mesh.data, config.mesh.model), dtype=config.dtype,
                dropped=dropped_layers(before),
                seed=config.seed, progress=hosts.is_first(), saved=opened.folder / FIT,
            )  # fmt: skip
            report_keys = {"origin": origin_of(dense, config.model), **_about_before(run, before)}
            task = _within_minutes(opened, task, began)
            result = _recover(opened, task, config, report_keys, Clock(began))
            calibration = dataclasses.replace(config.calibration, samples=task.size["samples"])
            fitted = dataclasses.replace(config, calibration=calibration)
            text = text_record(fitted, model, task.batches, before["calibration_lines"])
            opened.result = result | text
    return opened.result


def _within_minutes(run: Run, task: Task, began: float) -> Task:
    """The recovery with the samples and epochs of `recovery.minutes`, which are in the record of the run then.

    Args:
      began: `time.perf_counter()` at the start of the command.
    """
    if (minutes := task.fields.minutes) is None:
        return task
    if kept := run.record.get("in_minutes"):
        fields = dataclasses.replace(task.fields, epochs=kept["epochs"])
        batches = first_samples(task.batches, kept["samples"])
        return dataclasses.replace(task, batches=batches, fields=fields)
    available = task.size["samples"]
    task = fit_into(task, minutes, began)
    run.keep(in_minutes=task.size)
    if hosts.is_first():
        samples, epochs = task.size.values()
        say(
            f"recover: {samples} of {available} samples, {epochs} epochs at most, fit into {minutes:g} minutes"
        )
    return task


def _recovery_identity(config: RecoverConfig, dense: Model, before: Report) -> dict[str, Any]:
    """The part of the identity of a run that only recoveries have."""
    # of a smaller or quantized model the other one is the dense model
    is_other = before.keys() & {"shrunk", "quantized"}
    other = dense.source.fingerprint.digest if is_other else pruned_digest(before)
    return {
        **{f"config.recovery.{name}": value for name, value in vars(config.recovery).items()},
        "config.recovery.run": other,
        "optax": importlib.metadata.version("optax"),
        "gradients": f"{jax.process_count()} processes",  # the order of their sums
    }


def _recover(
    run: Run, task: Task, config: RecoverConfig, report_keys: dict[str, Any], clock: Clock
) -> dict[str, Any]:
    """Fills the folder of a run; returns its part of report.json.

    Args:
      report_keys: keys of report.json: the origin, and the record of the earlier run, "pruned", "shrunk" or
        "quantized".
    """
    writer = BlockWriter(task.model, config, run)
    task = dataclasses.replace(task, finished=writer.finished)
    clock.lap("prepare")
    if task.fields.minutes is not None:
        report_keys = {**report_keys, "in_minutes": task.size}
    writer.write_all(recover_blocks(task), by_block=len(task.windows) > 1)
    tokens = set_tokens(task.batches)
    report = writer.report(tokens)
    report["seconds"] = {**clock.rounded(), **report["seconds"]}
    report["environment"] = environment(task.mesh)
    report |= report_keys
    has_masks = "pruned" in report_keys
    if not has_masks:
        for name in ("sparsity", "parameters", "digests"):
            del report[name]
    writer.close(report, tokens, checkpoints=has_masks)
    if quantized := report_keys.get("quantized"):
        save_gguf(run, quantized)
    return report


def _about_before(run: Path, report: Report) -> dict[str, Any]:
    """The record of the recovered run and of earlier recoveries, for the new report."""
    config = read_json(run / CONFIG)
    name = next((name for name in ("shrunk", "quantized") if name in report), "pruned")
    if name == "pruned" and name not in report:
        kept = {key: report[key] for key in _PRUNING_KEYS if key in report}
        return {name: {"config": config, **kept}}
    earlier = report[name]
    if "config" not in earlier:  # the run that made the smaller or quantized model
        measured = _MEASURED_KEYS if name == "quantized" else ()
        kept = {key: report[key] for key in measured if key in report}
        return {name: {**earlier, **kept, "config": config}}
    return {name: {**earlier, "recoveries": [*earlier.get("recoveries", []), config]}}


def _check_default_outputs(config: RecoverConfig) -> None:
    """Rejects fields that a recovery without masks does not read."""
    for name, field in fields_of(OutputFields).items():
        if (value := getattr(config.output, name)) != field.default:
            raise invalid_value(
                f"output.{name}", value, f"{field.default}, of a smaller or quantized model"
            )


def _pruning(run: Path) -> PruningFields:
    """The fields `pruning.*` of the run; fields that an older run lacks have their defaults."""
    fields = read_json(run / CONFIG)["pruning"]
    known = {name: fields[name] for name in fields_of(PruningFields) if name in fields}
    return checked(PruningFields, known, f"{run / CONFIG}: pruning.")
