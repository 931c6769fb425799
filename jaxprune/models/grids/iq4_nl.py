"""IQ4_NL: 16 levels that are closer near 0, 4.5 bits a weight."""

from jaxprune.models.grids.grid import Grid
from jaxprune.models.grids.q4_0 import packed, unpacked

LEVELS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)

GRID = Grid(
    "iq4_nl",
    "4.5 bits a weight, 16 levels that are closer near 0, none of them 0",
    4.5,
    LEVELS,
    (-127.0, *(-127.0 + step for step in range(-7, 8) if step), *map(float, range(106, 121))),
    packed,
    unpacked,
)
