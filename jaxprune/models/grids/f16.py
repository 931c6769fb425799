"""F16: numbers in float16, without a scale."""

from jaxprune.models.grids.grid import Grid

GRID = Grid("f16", "16 bits a weight, numbers in float16", 16)
