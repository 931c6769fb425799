"""A pruned model, of a finished run or in memory → the recovered one, in a workdir or in memory."""

import dataclasses
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.places import local_path
from jaxprune.base.progress import Clock
from jaxprune.base.schema import check, checked, fields_of
from jaxprune.base.workdir.json_files import CONFIG, Report
from jaxprune.base.workdir.reading import check_workdir, pruned_digest
from jaxprune.data.batches import Batch, set_tokens
from jaxprune.data.config import SEED
from jaxprune.data.demonstrations import sampled_lines, vocabulary_digest
from jaxprune.devices import hosts
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh, given_mesh
from jaxprune.hf.model import Model, check_model, load
from jaxprune.hf.origin import origin_of
from jaxprune.pruning.loop import PruneResult, result_of
from jaxprune.pruning.settings import PruningFields
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.recover import recover_blocks
from jaxprune.recovery.task import Task, whole_layers
from jaxprune.runs.block_writer import BlockWriter, check_outputs
from jaxprune.runs.card import model_card
from jaxprune.runs.identity import run_identity
from jaxprune.runs.lifecycle import open_run
from jaxprune.runs.pipeline import calibration_batches
from jaxprune.runs.planning.config import OutputFields, RecoverConfig
from jaxprune.runs.pruned_model import check_dense, finished_report, pruned_layers
from jaxprune.runs.run import FIT, Run
from jaxprune.runs.shrink import print_smaller
from jaxprune.runs.summary import print_summary
from jaxprune.shrinking.vocabulary import teacher_of
from jaxprune.stats.blocks import DTYPE
from jaxprune.stats.finished import FinishedLayer
from jaxprune.stats.probe import SAMPLES_PER_DEVICE, check_samples

# Keys of report.json of the pruning run that the report of its recovery keeps.
_OF_PRUNING = ("tokens", "languages", "damping", "allocation")


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
    began = time.perf_counter()
    run = local_path(config.recovery.run)
    before = finished_report(run, "recovery.run")
    dense = load(config.model, config.revision)
    check_dense(dense, config.model, run, before)
    if run.resolve() == workdir.resolve():
        raise InputError(f"--workdir: {workdir} is recovery.run itself; choose another folder")
    is_smaller, model = "shrunk" in before, dense
    if is_smaller:
        _check_default_outputs(config)
        model = load(run / "hf")
    else:
        config = dataclasses.replace(config, pruning=_pruning(run))
    unread = ("pruning", "output") if is_smaller else ()
    written = {name: value for name, value in config.json().items() if name not in unread}
    batches = calibration_batches(config, model)
    check_workdir(workdir, dense.folder)
    check_outputs(config, dense, changes_weights=True)
    identity = run_identity(
        model, {"pruning": {}, "output": {"hf": True}, **written}, batches,
        _recovery_identity(config, dense, before),
    )  # fmt: skip
    with open_run(
        workdir, [dense, model] if is_smaller else [dense], identity, written,
        began=began, overwrite=overwrite, card=model_card if config.output.card else None,
    ) as opened:  # fmt: skip
        if opened.result is None:
            task = Task(
                model=model, teacher=teacher_of(dense, model) if is_smaller else dense,
                batches=batches, pruned=_layers_of(run, model, before), fields=config.recovery,
                mesh=device_mesh(config.mesh.data, config.mesh.model), dtype=config.dtype,
                seed=config.seed, progress=hosts.is_first(), saved=opened.folder / FIT,
            )  # fmt: skip
            about = {"origin": origin_of(dense, config.model), **_about_before(run, before)}
            opened.result = _recover(opened, task, config, about, Clock(began))
            lines = sampled_lines(config.calibration, config.seed, config.compat)
            opened.result["calibration_lines"] = sorted({*lines, *before["calibration_lines"]})
    if hosts.is_first() and is_smaller:
        print_smaller(config.json(), opened.result, workdir)
    elif hosts.is_first():
        print_summary(config, opened.result, workdir)
    return opened.result


def _recovery_identity(config: RecoverConfig, dense: Model, before: Report) -> dict[str, Any]:
    """The part of the identity of a run that only recoveries have."""
    # of a smaller model the other one is the dense model
    other = dense.source.fingerprint.digest if "shrunk" in before else pruned_digest(before)
    return {
        **{f"config.recovery.{name}": value for name, value in vars(config.recovery).items()},
        "config.recovery.run": other,
        "optax": importlib.metadata.version("optax"),
        "gradients": f"{jax.process_count()} processes",  # the order of their sums
    }


def _recover(
    run: Run, task: Task, config: RecoverConfig, about: dict[str, Any], clock: Clock
) -> dict[str, Any]:
    """Fills the folder of a run; returns its part of report.json.

    Args:
      about: keys of report.json: the origin, and "pruned" or "shrunk", the record of the earlier run.
    """
    writer = BlockWriter(task.model, config, run)
    task = dataclasses.replace(task, finished=writer.finished)
    clock.lap("prepare")
    writer.write_all(recover_blocks(task), by_block=task.fields.how == "block")
    tokens = set_tokens(task.batches)
    report = writer.report(tokens)
    report["seconds"] = {**clock.rounded(), **report["seconds"]}
    report["environment"] = environment(task.mesh)
    report |= about
    is_smaller = "shrunk" in about
    if is_smaller:  # it has no masks
        for name in ("sparsity", "parameters", "digests"):
            del report[name]
    writer.close(report, tokens, checkpoints=not is_smaller)
    return report


def recover(
    model: Model,
    pruned: PruneResult | Model | str | Path,
    batches: Sequence[Batch],
    *,
    how: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch: int | None = None,
    held_out: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
) -> PruneResult:
    """Fits the kept weights, norms and biases of a pruned or smaller model to the dense model.

    With `how="block"` the outputs of each block are fitted to those of the same block in the dense model, by AdamW on
    the mean squared error over real tokens. Its inputs come from the recovered blocks below, so it also corrects their
    errors. Only one block is on the devices at a time. The loss of a block on the held-out samples never increases,
    before its weights are rounded to their stored dtype.

    With `how="distil"` all blocks are fitted together to the dense model's predictions of the next token, by AdamW on
    the mean KL divergence over real tokens. The whole model, its gradients and moments are on the devices.

    Dropped weights stay +0; kept weights have float32 masters and are rounded to their stored dtype at the end of a
    fit. Embedding, final norm and head are those of the dense model.

    Args:
      model: the dense model; remains unchanged.
      pruned: the result of `prune`; the workdir of a finished run; or the smaller model that `shrink` returns. Smaller
        models need `how="distil"`.
      batches: samples, of a smaller model those of its own tokenizer; their number may differ from that of pruning.
      how: "block" (the default) or "distil".
      epochs: passes over the samples at most; 4 by default.
      learning_rate: of AdamW at its peak, relative to the root mean square of each tensor; 0.001 by default.
      batch: samples of a step; 8 by default.
      held_out: share of the samples that decide when a fit is done; 0.1 by default.
      seed: of the held-out samples and of the order of the others.
      dtype: "float32" or "bfloat16", to which masters are rounded in products.
      mesh: devices of this process; all by default. The result does not depend on it.
      samples_per_device: samples of a micro-batch per device.
      progress: show a bar with the loss.

    Returns:
      Parameters, masks and `report["losses"]`, [before, after] on the held-out samples: for "block" of each block,
      relative to the variance of the dense outputs; for "distil" once, of the model, in nats per token.

    Raises:
      InputError: a value that is not allowed, too few samples, samples of another model's tokenizer, no pruned model,
        or one that caps its logits for distillation.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=8)
      >>> pruned = jp.prune(model, batches, sparsity=0.5, progress=False)
      >>> recovered = jp.recover(model, pruned, batches, epochs=1, progress=False)
      >>> all(after <= before for before, after in recovered.report["losses"])
      True
      >>> jp.masks.overlap(recovered.masks, pruned.masks).overall
      1.0
    """
    check_model(model)
    given: dict[str, Any] = {
        "how": how,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch": batch,
        "held_out": held_out,
    }
    fields = checked(RecoveryFields, {n: value for n, value in given.items() if value is not None})
    for name, value, rule in (("seed", seed, SEED), ("dtype", dtype, DTYPE)):
        check(name, value, rule)
    check_samples(batches, samples_per_device)
    batches = [
        dataclasses.replace(batch, counted=None) for batch in batches
    ]  # all tokens are fitted
    start: object = pruned
    if isinstance(start, str | Path):
        run = local_path(start)
        before = finished_report(run, "pruned")
        check_dense(model, str(model.folder), run, before)
        start = load(run / "hf") if "shrunk" in before else pruned_layers(run)
    teacher = model
    if isinstance(start, Model):
        if start.config == model.config:  # without masks, its dropped weights would be fitted too
            raise InputError(
                f"pruned: {start.folder} has the tokens, layers and neurons of the dense model; expected a smaller "
                "model, or of a pruned one the result of jaxprune.prune or its workdir"
            )
        teacher, model = teacher_of(model, start), start
        _check_vocabulary(batches, model)
    task = Task(
        model=model, teacher=teacher, batches=batches, pruned=_layers(model, start), fields=fields,
        mesh=given_mesh(mesh), dtype=dtype, seed=seed, samples_per_device=samples_per_device,
        progress=progress,
    )  # fmt: skip
    blocks = list(recover_blocks(task))
    result = result_of(model, blocks, batches)
    losses = [block.finished.loss for block in blocks]
    result.report["losses"] = [loss for loss in losses if loss is not None]
    return result


def _check_vocabulary(batches: Sequence[Batch], smaller: Model) -> None:
    """Rejects batches of another tokenizer than the smaller model's, such as the dense one's, whose ids may fit."""
    known = {batch.vocabulary for batch in batches} - {""}
    if known and smaller.has_tokenizer and known != {vocabulary_digest(smaller.tokenizer)}:
        raise InputError(
            "batches: made with another tokenizer than the smaller model's; "
            f"make them with jaxprune.load({str(smaller.folder)!r}).tokenizer"
        )


def _layers_of(run: Path, model: Model, before: Report) -> Callable[[int], FinishedLayer]:
    """The layers of a finished run; those of a smaller model have lost nothing."""
    return whole_layers(model.config) if "shrunk" in before else pruned_layers(run)


def _layers(model: Model, pruned: object) -> Callable[[int], FinishedLayer]:
    if isinstance(pruned, Model):
        return whole_layers(pruned.config)
    if callable(pruned):
        return pruned
    if not isinstance(pruned, PruneResult):
        raise invalid_value(
            "pruned", pruned, "the result of jaxprune.prune, a smaller model, or a workdir"
        )
    model.replace(pruned.params)  # rejects those of another model
    keep, params = (
        flatten_dict(dict(tree["blocks"]), sep="/") for tree in (pruned.masks, pruned.params)
    )

    def layer_of(layer: int) -> FinishedLayer:
        masks, changed = (
            {path: np.asarray(leaf[layer]) for path, leaf in tree.items()}
            for tree in (keep, params)
        )
        return FinishedLayer(masks, changed, {}, {})

    return layer_of


def _about_before(run: Path, report: Report) -> dict[str, Any]:
    """The record of the run that is recovered, and of the recoveries before this one, for the new report."""
    config, name = read_json(run / CONFIG), "shrunk" if "shrunk" in report else "pruned"
    if name == "pruned" and name not in report:
        kept = {key: report[key] for key in _OF_PRUNING if key in report}
        return {name: {"config": config, **kept}}
    earlier = report[name]
    if "config" not in earlier:  # the run that made the smaller model
        return {name: {**earlier, "config": config}}
    return {name: {**earlier, "recoveries": [*earlier.get("recoveries", []), config]}}


def _check_default_outputs(config: RecoverConfig) -> None:
    """Rejects fields that the recovery of a smaller model, which writes `hf/` and its card alone, does not read."""
    for name, field in fields_of(OutputFields).items():
        if (value := getattr(config.output, name)) != field.default:
            raise invalid_value(f"output.{name}", value, f"{field.default}, of a smaller model")


def _pruning(run: Path) -> PruningFields:
    """The fields `pruning.*` of the run; fields that an older run lacks have their defaults."""
    given = read_json(run / CONFIG)["pruning"]
    known = {name: given[name] for name in fields_of(PruningFields) if name in given}
    return checked(PruningFields, known, f"{run / CONFIG}: pruning.")
