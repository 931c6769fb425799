"""Kernels on a grid as levels, which stay, and scales, which are fitted."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Int8

from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import BLOCK, in_float16
from jaxprune.models.grids.packing import factored
from jaxprune.models.trees import BlockParams

# Levels by the path of a kernel, int8 [..., in, out].
Levels = dict[str, Any]


def separated(block: BlockParams, grids: Mapping[str, str]) -> tuple[BlockParams, Levels]:
    """A block with scales, float32 [in / 32, out], in place of its kernels, and the levels of these.

    Args:
      grids: the name of each kernel's grid, by path.

    Raises:
      ValueError: a kernel is not on the grid.
    """
    flat, levels = flatten_dict(dict(block), sep="/"), {}
    for path, name in grids.items():
        grid = GRIDS[name]
        rows, columns = flat[path].shape
        by_output = np.ascontiguousarray(flat[path].T, np.float32).reshape(-1, BLOCK)
        scales, indices = factored(grid, by_output)
        flat[path] = scales.reshape(columns, -1).T.astype(np.float32)
        values = np.array(grid.levels, np.int8)[indices]
        levels[path] = np.ascontiguousarray(values.reshape(columns, rows).T)
    return unflatten_dict(flat, sep="/"), levels


def joined(block: BlockParams, levels: Levels) -> BlockParams:
    """The block with its kernels: levels times scales, these rounded to float16 as in a file.

    Traceable; the gradient passes the rounding as if it were not there.
    """
    flat = flatten_dict(dict(block), sep="/")
    for path, kernel_levels in levels.items():
        flat[path] = _kernel(flat[path], kernel_levels)
    return unflatten_dict(flat, sep="/")


def _kernel(
    scales: Float[Array | np.ndarray, "blocks out"], levels: Int8[Array | np.ndarray, "in out"]
) -> Array:
    scales = jnp.asarray(scales)
    rounded = scales + jax.lax.stop_gradient(in_float16(scales) - scales)
    return jnp.asarray(levels, jnp.float32) * jnp.repeat(rounded, BLOCK, axis=0)
