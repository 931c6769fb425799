"""llama.cpp's search of scales in numpy, to the bit: bits depend on the order of its sums and products.

The scale of a group is searched among some that put its largest weight beside an end of the grid, each refitted by
least squares; see `make_qx_quants` and `quantize_row_iq4_nl_impl` there.
"""

import numpy as np
from jaxtyping import Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import GROUP, Quantized

_TINY = np.float32(1e-15)  # groups with smaller weights become 0
_WEIGHTS = 1 << 20  # weights at a time


def searched_rows(
    weights: Float[np.ndarray, "out in"], importance: Float[np.ndarray, " in"] | None, grid: Grid
) -> Quantized:
    """Rows of weights on the grid, as a record [in, out].

    Args:
      weights: float32.
      importance: h, the mean square of each input. A weight counts h · √(σ² + w²), where σ² is the mean square of the
        output's weights, for grids of unequal steps twice that of the group's. Without it a weight counts w².
    """
    step = max(1, _WEIGHTS // weights.shape[1])
    parts = [
        _searched(weights[start : start + step], importance, grid)
        for start in range(0, len(weights), step)
    ]
    scales, levels = map(np.concatenate, zip(*parts, strict=True))
    index = np.searchsorted(grid.levels, levels).astype(np.uint8)
    return grid.of_groups(scales, index, len(weights))


def _searched(
    weights: np.ndarray, importance: np.ndarray | None, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """The scale of each group, float16, and the levels."""
    groups = weights.reshape(-1, GROUP)
    if importance is None:
        counts = groups * groups
    else:
        spread = weights if grid.is_uniform else groups
        sigma = _in_order(spread * spread)
        if grid.is_uniform:
            sigma /= np.float32(weights.shape[1])
        else:
            sigma *= np.float32(2 / GROUP)
        sigma = np.repeat(sigma, len(groups) // len(sigma))[:, None]
        tiled = np.tile(importance.reshape(-1, GROUP), (len(weights), 1))
        counts = tiled * np.sqrt(sigma + groups * groups)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=1)[:, None], axis=1)
    largest[np.abs(largest) < _TINY] = np.inf  # its inverse scale is 0
    scales, levels = _search(groups, counts, largest, grid)
    if not grid.is_uniform:  # rounded again, with the scale that was chosen
        with np.errstate(divide="ignore"):
            inverse = np.where(scales == 0, np.float32(0), np.float32(1) / scales)
        levels = _nearest(inverse[:, None] * groups, grid)
    return scales.astype(np.float16), levels.astype(np.int8)


def _search(
    groups: np.ndarray, counts: np.ndarray, largest: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """The scale of each group and the levels with which it was found."""
    best = scales = np.zeros(len(groups), np.float32)
    levels = np.zeros_like(groups)
    for number, inverse in enumerate(_inverse_scales(largest, grid)):
        tried = _nearest(inverse * groups, grid)
        first, second = (groups, tried) if grid.is_uniform else (tried, groups)
        product = _in_order(counts * first * second)
        square = _in_order(counts * tried * tried)
        with np.errstate(divide="ignore", invalid="ignore"):
            refitted = np.where(square > 0, product / square, np.float32(0))
        is_better = (square > 0) & (product * product > best * square)
        if not number:
            is_better[:] = True
        best = np.where(is_better, refitted * product, best)
        scales = np.where(is_better, refitted, scales)
        levels = np.where(is_better[:, None], tried, levels)
    is_zero = np.isinf(largest[:, 0])
    scales[is_zero], levels[is_zero] = 0, 0
    return scales, levels


def _inverse_scales(largest: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """The inverse scales of the candidates, [N, 1] each, in llama.cpp's order."""
    lowest = np.float32(grid.levels[0])
    if not grid.is_uniform:
        first = np.float32(1) / (-largest / lowest)
        return [first, *((np.float32(step) + lowest) / largest for step in range(-7, 8))]
    steps = [np.float32(0.1) * np.float32(step) for step in range(-9, 10) if step]
    return [lowest / largest, *(-(step - lowest) / largest for step in steps)]


def _nearest(multiples: np.ndarray, grid: Grid) -> np.ndarray:
    """The nearest level, float32; of two the even one on uniform grids, else the larger."""
    if grid.is_uniform:
        # an integer has no sign of zero
        return np.clip(np.rint(multiples), grid.levels[0], grid.levels[-1]) + np.float32(0)
    levels = np.array(grid.levels, np.float32)
    upper = np.clip(np.searchsorted(levels, multiples, side="right"), 1, len(levels) - 1)
    is_lower = multiples - levels[upper - 1] < levels[upper] - multiples
    return np.where(is_lower, levels[upper - 1], levels[upper])


def _in_order(terms: np.ndarray) -> np.ndarray:
    """Sums of rows, from the first term to the last."""
    total = np.zeros(len(terms), terms.dtype)
    for column in terms.T:
        total = total + column
    return total
