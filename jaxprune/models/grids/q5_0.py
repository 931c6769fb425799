"""Q5_0: 32 equally spaced levels, 5.5 bits a weight."""

import numpy as np
from jaxtyping import Float16, UInt8

from jaxprune.models.grids import q4_0
from jaxprune.models.grids.grid import Grid


def pack(
    scales: Float16[np.ndarray, " N"], index: UInt8[np.ndarray, "N 32"]
) -> UInt8[np.ndarray, "N 22"]:
    """As Q4_0, with the fifth bits of all inputs after the scale."""
    fifth = np.packbits(index >> 4, axis=1, bitorder="little")
    four = q4_0.pack(scales, index & 15)
    return np.concatenate([four[:, :2], fifth, four[:, 2:]], axis=1)


GRID = Grid(
    "q5_0",
    "5.5 bits a weight, 32 equally spaced levels",
    5.5,
    tuple(range(-16, 16)),
    (-16.0, *(-16 - step / 10 for step in range(-9, 10) if step)),
    pack,
)
