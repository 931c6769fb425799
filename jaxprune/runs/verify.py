"""Reads back all that a pruning run wrote and compares it with its report: files, mask bits, zeros, weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.errors import InputError, one_line
from jaxprune.hf import load
from jaxprune.ledger import LAYERS, Report, file_faults, read_report
from jaxprune.progress import progress_bar
from jaxprune.pruning import PackedMasks, hash_changed, hash_masks, hash_weights, summarise
from jaxprune.runs import checkpoint
from jaxprune.runs.layer_file import layer_file, read_layer


def verify(run: Path, progress: bool = True) -> list[str]:
    """What in a run is not as its report says; empty if all is.

    Compares every file with its digest. Recounts the zeros of every mask and of every tensor of `hf/` and of the
    checkpoint's parameters, as far as there are any, one block at a time, and compares digests of these too.

    Args:
      run: the workdir of a pruning run.
      progress: show a bar.

    Raises:
      InputError: no complete run: report.json, which is written last, or its digests are not there.
    """
    report = read_report(run)
    if report is None or not {"digests", "sparsity"} <= report.keys():
        raise InputError(
            f"{run}: no complete pruning run; expected report.json, which scripts/prune.py writes last"
        )
    return [one_line(fault) for fault in _faults(run, report, progress)]


def _faults(run: Path, report: Report, progress: bool) -> Iterator[str]:
    yield from file_faults(run, report)
    try:
        layers = checkpoint.restore_packed_masks(run / "checkpoint").layers
    except (InputError, ValueError, OSError, KeyError) as error:
        yield f"checkpoint: {_line(error)}"
        return
    yield from (f"checkpoint: {fault}" for fault in _mask_faults(layers, report))
    yield from _changed_faults(run / LAYERS, layers, report)
    for name, read in (("hf", _exported), ("checkpoint", _checkpointed)):
        try:
            block = read(run)
            if block is not None:
                of_weights = _weight_faults(block, layers, report, f"verify {name}", progress)
                yield from (f"{name}: {fault}" for fault in of_weights)
        except (InputError, ValueError, OSError, KeyError) as error:
            yield f"{name}: {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _exported(run: Path) -> Callable[[int], Mapping[str, Any]] | None:
    """Blocks of the Hugging Face folder."""
    return load(run / "hf").block if (run / "hf").is_dir() else None


def _checkpointed(run: Path) -> Callable[[int], Mapping[str, Any]] | None:
    """Blocks of the checkpoint's parameters."""
    params = checkpoint.restore(run / "checkpoint").params
    if params is None:
        return None
    return lambda layer: jax.tree.map(lambda leaf: leaf[layer], params["blocks"])


def _mask_faults(layers: Sequence[PackedMasks], report: Report) -> Iterator[str]:
    digest = hashlib.sha256()
    kept = []
    for layer in layers:
        hash_masks(digest, layer)
        kept.append({p: (int(mask.sum()), mask.size) for p, mask in layer.unpack().items()})
    said = report["digests"]["masks"]
    if digest.hexdigest() != said:
        yield _differ("masks", digest, said)
    counted = summarise(kept, [], {})["sparsity"]
    for key, value in flatten_dict(counted, sep="/").items():
        said = flatten_dict(report["sparsity"], sep="/").get(key)
        if said != value:
            yield f"sparsity {key}: {value} by the masks, {said} in report.json"


def _changed_faults(folder: Path, layers: Sequence[PackedMasks], report: Report) -> Iterator[str]:
    """Of finished layers, which are there where the run changed weights."""
    said, digest = report["digests"].get("changed"), hashlib.sha256()
    if said is None:
        return
    try:
        for number, masks in enumerate(layers):
            finished = read_layer(layer_file(folder, number))
            hash_changed(digest, finished.changed)
            if _digest(PackedMasks.of(finished.keep)) != _digest(masks):
                yield f"{LAYERS}: layer {number}: other masks than in the checkpoint"
    except (InputError, OSError) as error:
        yield f"{LAYERS}: {_line(error)}"
        return
    if digest.hexdigest() != said:
        yield _differ(f"{LAYERS}: changed weights", digest, said)


def _digest(masks: PackedMasks) -> str:
    digest = hashlib.sha256()
    hash_masks(digest, masks)
    return digest.hexdigest()


def _weight_faults(
    block: Callable[[int], Mapping[str, Any]],
    layers: Sequence[PackedMasks],
    report: Report,
    name: str,
    progress: bool,
) -> Iterator[str]:
    digest = hashlib.sha256()
    with progress_bar(name, len(layers), 0, progress) as bar:
        for number, layer in enumerate(layers):
            params = block(number)
            hash_weights(digest, params)
            flat = flatten_dict(dict(params), sep="/")
            for path, mask in layer.unpack().items():
                wrong = np.count_nonzero(flat[path][~mask])
                if wrong:
                    yield f"layer {number}, {path}: {wrong} weights are not 0 that the mask drops"
            bar.update()
    said = report["digests"].get("weights")
    if digest.hexdigest() != said:
        yield _differ("weights", digest, said)


def _differ(what: str, digest: Any, said: str | None) -> str:
    return f"{what}: SHA-256 {digest.hexdigest()[:16]}…, {(said or 'none')[:16]}… in report.json"
