"""A finished run and the dense model → its report, its layers, and the pruned model in memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.workdir.json_files import Report
from jaxprune.base.workdir.reading import GGUF, file_faults, pruned_digest, read_report
from jaxprune.hf.gguf.read import GgufWeights
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.model import Model, load
from jaxprune.hf.overlay import overlaid
from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import Weight
from jaxprune.models.grids.solving import solved
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.stats.finished import FinishedLayer
from jaxprune.steps.checkpoint import restore_packed_masks


def finished_report(run: Path, where: str) -> Report:
    """The report of a finished run.

    Args:
      where: beginning of the messages, such as "recovery.run".

    Raises:
      InputError: no finished run, or a file of it is missing or damaged.
    """
    report = read_report(run) or {}
    if has_masks(report) and not {"digests", "models", "tokens"} <= report.keys():
        raise InputError(
            f"{where}: {run} is not a finished run; expected a workdir with report.json, which jaxprune prune, "
            "recover, shrink and quantize write last"
        )
    if wrong := next(file_faults(run, report), None):
        raise InputError(f"{where}: {run}: {wrong}; expected an unchanged run")
    return report


def has_masks(report: Report) -> bool:
    """Whether a run keeps some weights by masks, which a smaller or quantized model has none of."""
    return not report.keys() & {"shrunk", "quantized"}


def check_dense(model: Model, name: str, run: Path, report: Report) -> None:
    """Rejects a model other than the dense model of a run.

    Args:
      name: name of the model, for the message.
    """
    if report["models"]["dense"] != model.source.fingerprint.digest:
        raise InputError(
            f"model: got {name}, another model than the dense one of {run}; expected that one, unchanged"
        )


def pruned_layers(run: Path) -> Callable[[int], FinishedLayer]:
    """The layers of a finished run: masks, and the blocks of `hf/` if it changed weights.

    Raises:
      InputError: no masks, damaged ones, or no `hf/` with changed weights.
    """
    masks, exported = restore_packed_masks(run / "checkpoint"), _exported(run)

    def layer_of(layer: int) -> FinishedLayer:
        block = {} if exported is None else flatten_dict(dict(exported.block(layer)), sep="/")
        return FinishedLayer(masks.layer(layer).unpack(), block, {}, {})

    return layer_of


def types_of(report: Report) -> Types:
    """The grids of a quantized model, from the report of its run."""
    quantized = report["quantized"]
    return Types(quantized["grid"], quantized["embedding"], quantized["grids"])


def quantized_layers(run: Path, model: Model, report: Report) -> Callable[[int], FinishedLayer]:
    """The layers of a quantized model, with the records of its kernels: those of model.gguf, if the run has one.

    Args:
      model: of `hf/`, whose values determine the records otherwise.
    """
    config, types, file = model.config, types_of(report), run / GGUF
    stored = GgufWeights(config, file) if file.is_file() else None

    def layer_of(layer: int) -> FinishedLayer:
        grids = types.kernel_grids(config, layer)
        records: dict[str, Weight]
        if stored is None:
            block = flatten_dict(model.block(layer), sep="/")
            records = {
                path: solved(GRIDS[name], np.ascontiguousarray(block[path].T))
                for path, name in grids.items()
            }
        else:
            records = {path: stored.record(f"blocks/{path}", layer) for path in grids}
        keep = {path: np.ones(record.shape, bool) for path, record in records.items()}
        return FinishedLayer(keep, records, {}, {})

    return layer_of


def masks_beside(model: Model) -> PackedMasks | None:
    """The masks of the finished run whose `hf/` is the model; None of any other model.

    Raises:
      InputError: the run is damaged.
    """
    run = model.folder.parent
    report = (read_report(run) or {}) if model.folder.name == "hf" else {}
    if not report.get("sparsity", {}).get("overall") or not has_masks(report):
        return None
    finished_report(run, "model")
    return restore_packed_masks(run / "checkpoint")


def pruned_model(model: Model, run: Path) -> Model:
    """The model of a finished run: the dense model with its masks, or `hf/` if the run changed weights.

    Raises:
      InputError: as `pruned_layers`.
    """
    exported = _exported(run)
    return (
        overlaid(model, restore_packed_masks(run / "checkpoint")) if exported is None else exported
    )


def _exported(run: Path) -> Model | None:
    """The model in `hf/` of a run that changed weights; None if masks suffice."""
    if not _changes_weights(read_report(run) or {}):
        return None
    if not (run / "hf").is_dir():
        raise InputError(
            f"{run}: no hf/, which has the weights that the run changed (earlier versions could do without); "
            "repeat it with output.hf=true"
        )
    return load(run / "hf")


def _changes_weights(report: Report) -> bool:
    return not has_masks(report) or "changed" in report.get("digests", {})


def model_digest(report: Report) -> str | None:
    """The digest of `pruned_model`; None if the report lacks it."""
    return report["models"].get("hf") if _changes_weights(report) else pruned_digest(report)


def dropped_layers(report: Report) -> Sequence[int]:
    """The layers of the dense model that a smaller one lacks, by the report of the run that made or recovered it."""
    dropped: Sequence[int] = report.get("shrunk", {}).get("depth", {}).get("dropped", ())
    return dropped
