"""A pruned or smaller model in memory, or of a finished run → the recovered one in memory."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.places import local_path
from jaxprune.base.schema import check, checked
from jaxprune.data.batches import Batch
from jaxprune.data.config import SEED
from jaxprune.data.demonstrations import vocabulary_digest
from jaxprune.devices.sharding import given_mesh
from jaxprune.hf.model import Model, check_model, load
from jaxprune.models.grids.grid import Weight
from jaxprune.pruning.result import PruneResult, stacked_result
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.in_time import fit_into
from jaxprune.recovery.recover import recover_blocks
from jaxprune.recovery.task import Task, whole_layers
from jaxprune.shrinking.vocabulary import teacher_of
from jaxprune.stats.blocks import DTYPE
from jaxprune.stats.finished import FinishedLayer
from jaxprune.stats.probe import SAMPLES_PER_DEVICE, check_samples
from jaxprune.steps.finished_run import check_dense, dropped_layers, finished_report, pruned_layers


def recover(
    model: Model,
    pruned: PruneResult | Model | str | Path,
    batches: Sequence[Batch],
    *,
    how: str | None = None,
    blocks: int | None = None,
    stride: int | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
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

    With `how="window"` several consecutive blocks are fitted together to the outputs of the last of them in the dense
    model, and the next window begins `stride` blocks later. Only the blocks of a window, their gradients and moments
    are on the devices.

    With `how="distil"` all blocks are fitted together to the dense model's predictions of the next token, by AdamW on
    the mean KL divergence over real tokens. The whole model, its gradients and moments are on the devices. With
    `blocks` as well, that many are fitted at a time, through the blocks above them, and only these have gradients and
    moments.

    Dropped weights stay +0; kept weights have float32 masters and are rounded to their stored dtype at the end of a
    fit. Embedding, final norm and head are those of the dense model.

    Args:
      model: the dense model; remains unchanged.
      pruned: the result of `prune`; the workdir of a finished run; or the smaller model that `shrink` returns. One that
        lacks layers needs `how="distil"`, or the workdir of `shrink`.
      batches: samples, for a smaller model made with its own tokenizer; their number may differ from that of pruning.
      how: "block" (the default), "window" or "distil".
      blocks, stride: with "window", blocks that are fitted together, by default 4, and blocks from one window to the
        next, by default half of them; with "distil" by default all.
      epochs: passes over the samples at most; 4 by default.
      minutes: time of the call, instead of `epochs`: a trial measures the speed, and as many of the samples as fit are
        fitted; `report["in_minutes"]` has their number and the epochs.
      learning_rate: peak learning rate of AdamW, relative to the root mean square of each tensor; 0.001 by default.
      batch: samples of a step; 8 by default.
      held_out: share of the samples that decide when a fit is done; 0.1 by default.
      seed: seed of the held-out samples and of the order of the others.
      dtype: "float32" or "bfloat16", to which masters are rounded in products.
      mesh: devices of this process; all by default. The result does not depend on it.
      samples_per_device: samples of a micro-batch per device.
      progress: show a bar with the loss.

    Returns:
      Parameters, masks and `report["losses"]`, [before, after] on the held-out samples: for "block" of each block,
      relative to the variance of the dense outputs; for "distil" of the model, in nats per token, for each fit.

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
    began = time.perf_counter()
    check_model(model)
    options: dict[str, Any] = {
        "run": "in memory", "how": how, "blocks": blocks, "stride": stride, "epochs": epochs, "minutes": minutes,
        "learning_rate": learning_rate, "batch": batch, "held_out": held_out,
    }  # fmt: skip
    fields = checked(
        RecoveryFields, {n: value for n, value in options.items() if value is not None}
    )
    for name, value, rule in (("seed", seed, SEED), ("dtype", dtype, DTYPE)):
        check(name, value, rule)
    check_samples(batches, samples_per_device)
    # all tokens are fitted
    batches = [dataclasses.replace(batch, counted=None) for batch in batches]
    task = Task(
        **_models(model, pruned, batches), batches=batches, fields=fields, mesh=given_mesh(mesh),
        dtype=dtype, seed=seed, samples_per_device=samples_per_device, progress=progress,
    )  # fmt: skip
    if minutes is not None:
        task = fit_into(task, minutes, began)
    recovered = list(recover_blocks(task))
    result = stacked_result(task.model, recovered, task.batches)
    losses = [block.finished.loss for block in recovered]
    result.report["losses"] = [loss for loss in losses if loss is not None]
    if minutes is not None:
        result.report["in_minutes"] = task.size
    return result


def _models(model: Model, pruned: object, batches: Sequence[Batch]) -> dict[str, Any]:
    """The fields `model`, `teacher`, `pruned` and `dropped` of the `Task`; the arguments are those of `recover`."""
    dropped: Sequence[int] = ()
    if isinstance(pruned, str | Path):
        run = local_path(pruned)
        before = finished_report(run, "pruned")
        check_dense(model, str(model.folder), run, before)
        pruned = load(run / "hf") if "shrunk" in before else pruned_layers(run)
        dropped = dropped_layers(before)
    if not isinstance(pruned, Model):
        layers = _layers(model, pruned)
        return {"model": model, "teacher": model, "pruned": layers, "dropped": dropped}
    if pruned.config == model.config:  # without masks, its dropped weights would be fitted too
        raise InputError(
            f"pruned: {pruned.folder} has the tokens, layers and neurons of the dense model; expected a smaller "
            "model, or for a pruned one the result of jaxprune.prune or its workdir"
        )
    teacher = teacher_of(model, pruned)
    _check_vocabulary(batches, pruned)
    layers = whole_layers(pruned.config)
    return {"model": pruned, "teacher": teacher, "pruned": layers, "dropped": dropped}


def _check_vocabulary(batches: Sequence[Batch], smaller: Model) -> None:
    """Rejects batches of another tokenizer than the smaller model's, such as the dense one's, whose ids may fit."""
    vocabularies = {batch.vocabulary for batch in batches} - {""}
    if (
        vocabularies
        and smaller.has_tokenizer
        and vocabularies != {vocabulary_digest(smaller.tokenizer)}
    ):
        raise InputError(
            "batches: made with another tokenizer than the smaller model's; "
            f"make them with jaxprune.load({str(smaller.folder)!r}).tokenizer"
        )


def _layers(model: Model, pruned: object) -> Callable[[int], FinishedLayer]:
    """The layers of a result of pruning the model."""
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
        masks = {path: np.asarray(leaf[layer]) for path, leaf in keep.items()}
        changed: dict[str, Weight] = {
            path: np.asarray(leaf[layer]) for path, leaf in params.items()
        }
        return FinishedLayer(masks, changed, {}, {})

    return layer_of
