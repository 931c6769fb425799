"""Reads a run again: its files by their digests, and the masks, zeros and weights in them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.base.workdir.json_files import Report
from jaxprune.base.workdir.reading import read_report
from jaxprune.hf.layer_digests import hash_masks, hash_weights
from jaxprune.hf.model import load
from jaxprune.hf.orbax_folder import restore_tree, whole
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.pruning.summary import sparsity_of
from jaxprune.runs.verify import verify
from jaxprune.steps import checkpoint

# Layer → the parameters of its block.
Blocks = Callable[[int], Mapping[str, Any]]


def recount(run: Path) -> list[str]:
    """The differences that `verify` lists; if there are none, those of masks, zeros and weights from the report."""
    faults = verify(run)
    if faults or "shrunk" in (report := read_report(run)):
        return faults
    return [*_faults(run, report)]


def _faults(run: Path, report: Report) -> Iterator[str]:
    layers = checkpoint.restore_packed_masks(run / "checkpoint").layers
    yield from (f"checkpoint: {fault}" for fault in _mask_faults(layers, report))
    for name, read in (("checkpoint", _checkpointed_blocks), ("hf", _exported_blocks)):
        block = read(run / name)
        if block is not None:
            yield from (f"{name}: {fault}" for fault in _weight_faults(block, layers, report))


def _mask_faults(layers: Sequence[PackedMasks], report: Report) -> Iterator[str]:
    digest = hashlib.sha256()
    kept = []
    for layer in layers:
        hash_masks(digest, layer)
        kept.append({p: (int(mask.sum()), mask.size) for p, mask in layer.unpack().items()})
    yield from _digest_fault("masks", digest, report["digests"]["masks"])
    counted = flatten_dict(sparsity_of(kept), sep="/")
    shares = flatten_dict(report["sparsity"], sep="/")
    for key, value in counted.items():
        if shares.get(key) != value:
            yield f"sparsity {key}: {value} by the masks, {shares.get(key)} in report.json"


def _checkpointed_blocks(folder: Path) -> Blocks | None:
    item = whole(folder) / "params"
    if not item.is_dir():
        return None
    params = restore_tree(item, None)
    return lambda layer: jax.tree.map(lambda leaf: leaf[layer], params["blocks"])


def _exported_blocks(folder: Path) -> Blocks | None:
    return load(folder).block if folder.is_dir() else None


def _weight_faults(
    block: Blocks,
    layers: Sequence[PackedMasks],
    report: Report,
) -> Iterator[str]:
    digest = hashlib.sha256()
    for number, layer in enumerate(layers):
        params = block(number)
        hash_weights(digest, params)
        flat = flatten_dict(dict(params), sep="/")
        for path, mask in layer.unpack().items():
            wrong = np.count_nonzero(flat[path][~mask])
            if wrong:
                yield f"layer {number}, {path}: {wrong} dropped weights are not 0"
    yield from _digest_fault("weights", digest, report["digests"].get("weights"))


def _digest_fault(name: str, digest: Any, recorded: str | None) -> Iterator[str]:
    found = digest.hexdigest()
    if found != recorded:
        yield f"{name}: SHA-256 {found[:16]}…, {(recorded or 'none')[:16]}… in report.json"
