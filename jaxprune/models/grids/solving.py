"""Numbers on a grid that have no record, as those of a Hugging Face folder → their levels and scales, exactly."""

import numpy as np
from jaxtyping import Float, Float16, UInt8

from jaxprune.models.grids.grid import GROUP, Grid, Quantized

_AT_ONCE = 1 << 18  # weights, which a cache holds with what is computed of them


def solved(grid: Grid, weights: Float[np.ndarray, "out in"]) -> Quantized:
    """The record [in, out] of weights that are on a grid; its values are equal numbers.

    Raises:
      ValueError: the weights are not on the grid.
    """
    outputs, inputs = weights.shape
    rows = max(1, _AT_ONCE // inputs)
    scales = np.empty((outputs, inputs // GROUP), np.float16)
    indices = np.empty((outputs, inputs), np.uint8)
    for start in range(0, outputs, rows):
        part = weights[start : start + rows].astype(np.float32, copy=False)
        own_scales, own_indices = _factored(grid, part.reshape(-1, GROUP))
        scales[start : start + rows] = own_scales.reshape(len(part), -1)
        indices[start : start + rows] = own_indices.reshape(len(part), -1)
    return grid.of_groups(scales.reshape(-1), indices.reshape(-1, GROUP), outputs)


def _factored(
    grid: Grid, groups: Float[np.ndarray, "N 32"]
) -> tuple[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]]:
    """The scale of each group, float16 [N], and the indices of its levels, uint8 [N, 32].

    The largest weight of a group is one of the levels times the scale. Each is tried, first those with which llama.cpp
    begins. The sign of a zero is that of the scale. A group without zeros that has opposite levels only has two
    solutions, of which this is one.

    Raises:
      ValueError: the weights are not on the grid.
    """
    levels = np.array(grid.levels)
    middles = (levels[1:] + levels[:-1]) / 2
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=1)[:, None], axis=1)[:, 0]
    scales = largest.astype(np.float16)  # 0 in groups of zeros
    indices = np.full(groups.shape, np.argmin(np.abs(levels)), np.uint8)
    unsolved = np.flatnonzero(largest)
    is_positive = grid.extremes[0] > 0  # whether scales are
    by_size = sorted(levels[levels != 0], key=abs, reverse=True)
    for level in sorted(by_size, key=lambda level: level * grid.extremes[0] < 0):
        extreme = largest[unsolved]
        multiple = level * np.sign(extreme) if is_positive else np.full(len(extreme), level)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            tried = (extreme / multiple).astype(np.float16)
            # few scales pass, and only these are compared with all weights of a group
            places = np.flatnonzero(
                tried.astype(np.float32) * multiple.astype(np.float32) == extreme
            )
            tried, wanted = tried[places], groups[unsolved[places]]
            stored = tried.astype(np.float32)[:, None]
            if grid.is_uniform:
                nearest = np.clip(np.rint(wanted / stored), levels[0], levels[-1])
                index = (nearest - levels[0]).astype(np.uint8)
            else:
                index = np.searchsorted(middles, wanted / stored).astype(np.uint8)
            values = levels[index].astype(np.float32) * stored
        exact = (values.view(np.uint32) == wanted.view(np.uint32)).all(axis=1)
        solved = unsolved[places[exact]]
        scales[solved], indices[solved] = tried[exact], index[exact]
        unsolved = np.delete(unsolved, places[exact])
        if not unsolved.size:
            return scales, indices
    raise ValueError(f"weights are not on the grid {grid.name}")
