"""Parameters as they are read: NaN and infinity are named, wherever they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.errors import InputError
from jaxprune.models import Params

_CHUNK = 1 << 18  # elements that stay in a core's cache between two looks at them


def check_finite(array: np.ndarray, path: str, layer: int = 0) -> None:
    """Refuses a parameter that holds NaN or infinity; takes a few percent of the time that reading it does.

    Args:
      path: of the parameter, such as "blocks/mlp/up/kernel" or "head/norm/scale".
      layer: of one in a block.

    Raises:
      InputError: names layer and parameter.
    """
    if not _is_finite(array):
        in_block = path.removeprefix("blocks/")
        name = path if in_block == path else f"layer {layer}, {in_block}"
        raise InputError(f"{name}: holds NaN or infinity; expected finite weights")


def checked(params: Params, path: str, layer: int = 0) -> Any:
    """The parameters below a path, after `check_finite` of each."""
    for name, leaf in flatten_dict(dict(params), sep="/").items():
        check_finite(leaf, f"{path}/{name}", layer)
    return params


def _is_finite(array: np.ndarray) -> bool:
    """Compares bits: as integers, all floats of one sign lie below its infinity, and its NaNs above.

    numpy has fast loops for the maximum of integers; for float16 and bfloat16 it has none.
    """
    signed, unsigned = f"i{array.itemsize}", f"u{array.itemsize}"
    positive = np.array(np.inf, array.dtype).view(signed)
    negative = np.array(-np.inf, array.dtype).view(unsigned)
    flat = array.ravel(order="K")
    chunks = (flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK))
    return all(
        chunk.view(signed).max() < positive and chunk.view(unsigned).max() < negative
        for chunk in chunks
    )
