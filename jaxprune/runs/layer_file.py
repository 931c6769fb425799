"""A finished layer ↔ an .npz: masks as bits, changed weights, and the sums that it was pruned by.

An unfinished run has such a file for each layer, so that the same command goes on at the next one. Other weights are
not stored: they are the model's own under the masks. Neither are hidden states: the passes that made them run again,
so that every bit is that of a run without interruption, on whatever number of devices.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.calibration import SetKey
from jaxprune.errors import InputError
from jaxprune.files import read_npz
from jaxprune.passes import Sums
from jaxprune.pruning import FinishedLayer, PackedMasks

# The folder of a run that changes weights which keeps its layers.
LAYERS = "layers"
# Between the parts of an array's name, which are kernel paths, names of dtypes, sets, sites and statistics.
_BETWEEN = "|"


def layer_file(folder: Path, layer: int) -> Path:
    """The file of a layer in a folder of layers."""
    return folder / f"layer_{layer:05}.npz"


def finished_layers(folder: Path) -> int:
    """The number of layers, from the first one on, that a folder has files of."""
    return next(layer for layer in itertools.count() if not layer_file(folder, layer).is_file())


def write_layer(file: Path, layer: FinishedLayer) -> None:
    """Writes a layer: on disk when this returns, whole or not at all."""
    tree: dict[str, Any] = {"bits": PackedMasks.of(layer.keep).to_records()}
    # numpy's files know no bfloat16, so values go as integers of their size, with the name of their dtype
    tree["changed"] = {
        path: {leaf.dtype.name: leaf.view(f"u{leaf.itemsize}")}
        for path, leaf in layer.changed.items()
    }
    tree["sums"] = {kind: {} for kind, _ in layer.sums}
    for (kind, language), sites in layer.sums.items():
        tree["sums"][kind][language] = sites
    memory = io.BytesIO()
    np.savez(memory, **flatten_dict(tree, sep=_BETWEEN))
    unfinished = file.with_suffix(".new")
    with unfinished.open("wb") as out:
        out.write(memory.getbuffer())
        out.flush()
        os.fsync(out.fileno())
    os.replace(unfinished, file)
    _sync(file.parent)


def read_layer(file: Path) -> FinishedLayer:
    """Reads the file of `write_layer`.

    Raises:
      InputError: the file is damaged.
    """
    try:
        tree = unflatten_dict(read_npz(file), sep=_BETWEEN)
        keep = PackedMasks.from_records(tree["bits"]).unpack()
        return FinishedLayer(keep, dict(_changed(tree)), _sums(tree))
    except (InputError, KeyError, ValueError, TypeError):
        raise InputError(f"{file}: damaged; allowed: --overwrite, which starts afresh") from None


def _changed(tree: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for path, record in tree.get("changed", {}).items():
        ((dtype, bits),) = record.items()
        yield path, bits.view(np.dtype(dtype))


def _sums(tree: dict[str, Any]) -> Sums:
    return {
        SetKey(kind, language): sites
        for kind, by_language in tree.get("sums", {}).items()
        for language, sites in by_language.items()
    }


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
