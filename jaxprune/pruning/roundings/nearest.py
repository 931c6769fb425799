"""llama.cpp's rounding without statistics, to the bit: the largest weight of a group determines its scale."""

import numpy as np
from jaxtyping import Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import Weight
from jaxprune.pruning.criterion import Inputs
from jaxprune.pruning.roundings.llama_cpp import searched_rows
from jaxprune.pruning.roundings.rounding import Rounding


def nearest_rows(weights: Float[np.ndarray, "out in"], grid: Grid) -> Weight:
    """Rows of weights on the grid, [in, out]: a record, or float32 for numbers without scale."""
    if not grid.levels:
        return weights.astype(np.float16).astype(np.float32).T
    if not grid.is_uniform:  # the library only reads it
        return searched_rows(weights.astype(np.float32), None, grid)
    import gguf  # late: only quantization needs it

    ggml = gguf.GGMLQuantizationType[grid.name.upper()]
    return grid.unpack(gguf.quantize(weights.astype(np.float32), ggml))


def round_kernel(kernel: Float[np.ndarray, "in out"], inputs: Inputs, grid: Grid) -> Weight:
    """The kernel on the grid."""
    del inputs
    return nearest_rows(np.ascontiguousarray(kernel.T), grid)


ROUNDING = Rounding(
    "nearest", "llama.cpp's rounding without statistics", round_kernel, on_host=True
)
