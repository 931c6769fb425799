"""The step that fits the kept weights, norms and biases of a finished run's model to the dense one."""

import dataclasses
import importlib.metadata
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, ClassVar

import jax

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.places import local_path
from jaxprune.base.progress import Clock, say
from jaxprune.base.schema import checked, fields_of
from jaxprune.base.workdir.json_files import CONFIG, Report
from jaxprune.base.workdir.reading import pruned_digest
from jaxprune.data.batches import first_samples
from jaxprune.data.demonstrations import with_all_samples
from jaxprune.devices import hosts
from jaxprune.devices.sharding import device_mesh
from jaxprune.hf.model import Model, load
from jaxprune.models.config import ModelConfig
from jaxprune.pruning.settings import PruningFields
from jaxprune.recovery.in_time import fit_into
from jaxprune.recovery.recover import check_scales, recover_blocks
from jaxprune.recovery.task import Task, whole_layers
from jaxprune.shrinking.vocabulary import teacher_of
from jaxprune.stats.finished import FinishedLayer, PrunedBlock
from jaxprune.steps.configs import OutputFields, RecoverConfig
from jaxprune.steps.finished_run import (
    check_dense,
    dropped_layers,
    finished_report,
    has_masks,
    pruned_layers,
    quantized_layers,
    types_of,
)
from jaxprune.steps.identity import run_identity
from jaxprune.steps.prune import check_outputs, sparsity_report
from jaxprune.steps.samples import calibration_batches, text_record
from jaxprune.steps.step import BlockStep, Opened, Outputs, Progress, Step, Totals, block_report

FIT = "fit.npz"  # the state of a fit of all blocks, beside which windows have theirs
# Keys of report.json of a quantization, and of a pruning, that the report of its recovery keeps.
_MEASURED_KEYS = ("tokens", "languages", "damping", "gram_width")
_PRUNING_KEYS = (*_MEASURED_KEYS[:3], "allocation")


@dataclasses.dataclass(frozen=True)
class Recover(BlockStep):
    """Fits the model of `recovery.run`: masks and levels stay, all else moves.

    Attributes:
      config: validated; `pruning` is filled in with the fields of the run when the step is opened.
      began: `time.perf_counter()` at the start of the command, from which `recovery.minutes` counts.
    """

    config: RecoverConfig
    began: float = dataclasses.field(default_factory=time.perf_counter)
    name: ClassVar[str] = "recover"

    @property
    def written(self) -> dict[str, Any]:
        """See `Step`, as for the other members; of a model without masks, without the fields on them."""
        if has_masks(finished_report(self.run, "recovery.run")):
            return dataclasses.replace(self.config, pruning=_pruning(self.run)).json()
        fields = self.config.json()
        return {name: value for name, value in fields.items() if name not in ("pruning", "output")}

    @property
    def has_card(self) -> bool:
        return self.config.output.card

    @property
    def run(self) -> Path:
        """The workdir of the run that is recovered."""
        return local_path(self.config.recovery.run)

    def out(self, spec: ModelConfig) -> ModelConfig:
        self.config.recovery.window(spec.n_layers)
        return spec

    def after(self, before: Step, folder: Path) -> "Recover":
        fields = dataclasses.replace(self.config.recovery, run=str(folder))
        config = dataclasses.replace(self.config, model=before.config.model, recovery=fields)
        return dataclasses.replace(self, config=config)

    def open(self) -> Opened:
        config, before = self.config, finished_report(self.run, "recovery.run")
        dense = config.open_model()
        check_dense(dense, config.model, self.run, before)
        model = dense if has_masks(before) else load(self.run / "hf")
        if config.recovery.minutes is not None:
            calibration = with_all_samples(config.calibration, config.compat)
            config = dataclasses.replace(config, calibration=calibration)
        return Opened(
            model=model, models=[dense] if model is dense else [dense, model],
            mesh=device_mesh(config.mesh.data, config.mesh.model),
            batches=calibration_batches(config, model, writer=dense), before=before,
            layers=self._layers(model, before),
        )  # fmt: skip

    def _layers(self, model: Model, before: Report) -> Callable[[int], FinishedLayer] | None:
        if has_masks(before):
            return pruned_layers(self.run)
        if "quantized" not in before:
            return None
        check_scales(before["quantized"]["grid"])
        return quantized_layers(self.run, model, before)

    def check(self, opened: Opened, workdir: Path) -> None:
        if self.run.resolve() == workdir.resolve():
            raise InputError(f"--workdir: {workdir} is recovery.run itself; choose another folder")
        if not has_masks(opened.before):
            _check_default_outputs(self.config)
        check_outputs(self.config, opened.models[0], changes_weights=True)

    def identity(self, opened: Opened) -> dict[str, Any]:
        dense, recovery = opened.models[0], vars(self.config.recovery)
        has_pruned = has_masks(opened.before)  # then the dense model is among the files
        other = pruned_digest(opened.before) if has_pruned else dense.source.fingerprint.digest
        more = {
            **{f"config.recovery.{name}": value for name, value in recovery.items()},
            "config.recovery.run": other,
            "optax": importlib.metadata.version("optax"),
            "gradients": f"{jax.process_count()} processes",  # the order of their sums
        }
        config = {"pruning": {}, "output": {"hf": True}, **self.written}
        return run_identity(opened.model, config, opened.batches, more)

    def prepare(self, opened: Opened, progress: Progress, clock: Clock) -> Opened:
        minutes = self.config.recovery.minutes
        if minutes is not None and "in_minutes" not in progress.record:
            whole = self._task(opened, progress)
            task = fit_into(whole, minutes, self.began)
            progress.keep(in_minutes=task.size)
            if hosts.is_first():
                samples, epochs = task.size.values()
                say(
                    f"recover: {samples} of {whole.size['samples']} samples, {epochs} epochs at most, fit into "
                    f"{minutes:g} minutes"
                )
        clock.lap("prepare")
        if minutes is None:
            return opened
        samples = progress.record["in_minutes"]["samples"]
        return dataclasses.replace(opened, batches=first_samples(opened.batches, samples))

    def outputs(self, opened: Opened, progress: Progress) -> Outputs:
        if has_masks(opened.before):
            return Outputs(masks=True, params=self.config.output.params)
        quantized = opened.before.get("quantized")
        has_gguf = quantized is not None and "no_gguf" not in quantized
        return Outputs(types=types_of(opened.before) if has_gguf else None)

    def is_by_block(self, opened: Opened) -> bool:
        return len(self._task(opened).windows) > 1

    def blocks(self, opened: Opened, progress: Progress) -> Generator[PrunedBlock, None, None]:
        return recover_blocks(self._task(opened, progress))

    def report(self, opened: Opened, progress: Progress, totals: Totals) -> dict[str, Any]:
        before, config = opened.before, self.config
        report = block_report(config, opened, totals) | _about_before(self.run, before)
        if has_masks(before):
            report |= sparsity_report(opened.model, totals)
        else:
            del report["digests"]
        if config.recovery.minutes is not None:
            report["in_minutes"] = progress.record["in_minutes"]
        samples = sum(len(batch.tokens) for batch in opened.batches)
        calibration = dataclasses.replace(config.calibration, samples=samples)
        fitted = dataclasses.replace(config, calibration=calibration)
        return report | text_record(
            fitted, opened.model, opened.batches, before["calibration_lines"]
        )

    def _task(self, opened: Opened, progress: Progress | None = None) -> Task:
        """The recovery; with `progress` of a run that keeps files, and with the epochs that fit into the minutes."""
        config, model, before = self.config, opened.model, opened.before
        dense, fields = opened.models[0], config.recovery
        if progress is not None and (chosen := progress.record.get("in_minutes")):
            fields = dataclasses.replace(fields, epochs=chosen["epochs"])
        task = Task(
            model=model, teacher=teacher_of(dense, model) if "shrunk" in before else dense,
            batches=opened.batches, fields=fields,
            pruned=opened.layers or whole_layers(model.config),
            mesh=opened.mesh, dtype=config.dtype,
            dropped=dropped_layers(before), seed=config.seed, progress=hosts.is_first(),
        )  # fmt: skip
        if progress is None:
            return task
        saved = progress.folder and progress.folder / FIT
        return dataclasses.replace(task, finished=progress.finished, saved=saved)


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
