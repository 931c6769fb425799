"""llama.cpp's rounding with an importance matrix, to the bit; 8-bit weights are rounded as without one, as there."""

import numpy as np
from jaxtyping import Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import Weight
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.roundings.llama_cpp import searched_rows
from jaxprune.pruning.roundings.nearest import nearest_rows
from jaxprune.pruning.roundings.rounding import Rounding


def round_kernel(kernel: Float[np.ndarray, "in out"], inputs: Inputs, grid: Grid) -> Weight:
    """The kernel on the grid."""
    weights = np.ascontiguousarray(kernel.T)
    if grid.name == "q8_0":
        return nearest_rows(weights, grid)
    squares = np.asarray(inputs.stats[DEMONSTRATIONS]["squares"])
    importance = squares / np.float32(inputs.tokens[DEMONSTRATIONS])
    return searched_rows(weights, importance, grid)


ROUNDING = Rounding(
    "importance",
    "llama.cpp's rounding with the mean squares of inputs as importance matrix",
    round_kernel,
    needs=((DEMONSTRATIONS, "squares"),),
    on_host=True,
)
