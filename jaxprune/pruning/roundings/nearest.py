"""llama.cpp's rounding without statistics, to the bit: the largest weight of a block determines its scale."""

import numpy as np
from jaxtyping import Float

from jaxprune.models.grids import Grid
from jaxprune.pruning.criterion import Inputs
from jaxprune.pruning.roundings.llama_cpp import searched_rows
from jaxprune.pruning.roundings.rounding import Rounding


def nearest_rows(weights: Float[np.ndarray, "out in"], grid: Grid) -> Float[np.ndarray, "out in"]:
    """Rows of weights on the grid, float32."""
    if not grid.levels:
        return weights.astype(np.float16).astype(np.float32)
    if not grid.is_uniform:  # the library only reads it
        return searched_rows(weights.astype(np.float32), None, grid)
    import gguf  # late: only quantization needs it

    ggml = gguf.GGMLQuantizationType[grid.name.upper()]
    return gguf.dequantize(gguf.quantize(weights.astype(np.float32), ggml), ggml)


def round_kernel(
    kernel: Float[np.ndarray, "in out"], inputs: Inputs, grid: Grid
) -> Float[np.ndarray, "in out"]:
    """The kernel on the grid."""
    del inputs
    return nearest_rows(np.ascontiguousarray(kernel.T), grid).T


ROUNDING = Rounding(
    "nearest", "llama.cpp's rounding without statistics", round_kernel, on_host=True
)
