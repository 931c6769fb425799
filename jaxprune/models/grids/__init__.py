"""Grids of quantized weights: levels, scales, bytes. Each file declares a `Grid` as GRID.

The names are those of GGUF's types. A grid knows its levels and its bytes; how weights are rounded to it is a matter of
`pruning/roundings/`. Weights on a grid are one record from the rounding to the file, `Quantized`; `solving.py` finds
that of numbers that have none, such as those of a Hugging Face folder.
"""

import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.models.grids.grid import Grid as Grid

GRIDS: Mapping[str, Grid] = {
    grid.name: grid
    for grid in sorted(
        discover(sys.modules[__name__], "GRID"), key=lambda grid: (grid.bits, grid.name)
    )
}
