"""A finished layer ↔ an .npz: masks as bits, changed weights, the sums from which it was pruned, damping, loss, errors.

An unfinished run has such a file for each finished layer, so the same command resumes at the next one. Unchanged
weights are not stored: they are those of the dense model under the masks. Hidden states are recomputed by the same
passes, so a resumed run has the bits of an uninterrupted one on any number of devices.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.base.errors import InputError
from jaxprune.base.files.arrays import read_npz, write_npz
from jaxprune.data.batches import SetKey
from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import Quantized, Weight
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.stats.finished import FinishedLayer
from jaxprune.stats.stats import Sums

# Separates the parts of an array's name: kernel paths, names of dtypes, sets, sites and statistics.
_BETWEEN = "|"


def layer_file(folder: Path, layer: int) -> Path:
    """The file of a layer in a folder of layers."""
    return folder / f"layer_{layer:05}.npz"


def finished_layers(folder: Path) -> int:
    """The number of consecutive layers, from layer 0, that have a file in the folder."""
    return next(layer for layer in itertools.count() if not layer_file(folder, layer).is_file())


def write_layer(file: Path, layer: FinishedLayer) -> None:
    """Writes a layer atomically; it is on disk when this returns."""
    tree: dict[str, Any] = {"bits": PackedMasks.of(layer.keep).to_records()}
    # numpy's files have no bfloat16, so values are stored as integers with the name of their dtype
    for path, leaf in layer.changed.items():
        if isinstance(leaf, Quantized):
            record = {"levels": leaf.levels, **leaf.scales}
            tree[_BETWEEN.join(("quantized", path, leaf.grid.name))] = record
        else:
            bits = leaf.view(f"u{leaf.itemsize}")
            tree[_BETWEEN.join(("changed", path, leaf.dtype.name))] = bits
    for key, sites in layer.sums.items():
        tree[_BETWEEN.join(("sums", *key))] = sites
    tree |= {_BETWEEN.join(("damping", site)): added for site, added in layer.damping.items()}
    tree |= {_BETWEEN.join(("errors", path)): error for path, error in layer.errors.items()}
    tree |= {} if layer.loss is None else {"loss": np.asarray(layer.loss)}
    write_npz(file, flatten_dict(tree, sep=_BETWEEN))


def read_layer(file: Path) -> FinishedLayer:
    """Reads the file of `write_layer`.

    Raises:
      InputError: the file is damaged.
    """
    try:
        tree = unflatten_dict(read_npz(file), sep=_BETWEEN)
        keep = PackedMasks.from_records(tree["bits"]).unpack()
        changed: dict[str, Weight] = {
            path: bits.view(np.dtype(dtype))
            for path, record in tree.get("changed", {}).items()
            for dtype, bits in record.items()
        }
        for path, record in tree.get("quantized", {}).items():
            [(grid, scales)] = record.items()
            changed[path] = Quantized(scales.pop("levels"), scales, GRIDS[grid])
        damping, errors = (
            {name: float(value) for name, value in tree.get(kind, {}).items()}
            for kind in ("damping", "errors")
        )
        loss = tuple(tree["loss"].tolist()) if "loss" in tree else None
        return FinishedLayer(keep, changed, _sums(tree), damping, loss, errors)
    except (InputError, KeyError, ValueError, TypeError):
        raise InputError(f"{file}: damaged") from None


def _sums(tree: dict[str, Any]) -> Sums:
    return {
        SetKey(kind, language): sites
        for kind, by_language in tree.get("sums", {}).items()
        for language, sites in by_language.items()
    }
