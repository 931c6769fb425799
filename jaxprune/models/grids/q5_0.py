"""Q5_0: 32 equally spaced levels, 5.5 bits a weight."""

import numpy as np
from jaxtyping import Float16, UInt8

from jaxprune.models.grids import q4_0
from jaxprune.models.grids.grid import Grid


def packed(
    scales: Float16[np.ndarray, " N"], index: UInt8[np.ndarray, "N 32"]
) -> UInt8[np.ndarray, "N 22"]:
    """As Q4_0, with the fifth bits of all inputs after the scale."""
    fifth = np.packbits(index >> 4, axis=1, bitorder="little")
    four = q4_0.packed(scales, index & 15)
    return np.concatenate([four[:, :2], fifth, four[:, 2:]], axis=1)


def unpacked(
    groups: UInt8[np.ndarray, "N 22"],
) -> tuple[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]]:
    """The inverse of `packed`."""
    scales, four = q4_0.unpacked(np.concatenate([groups[:, :2], groups[:, 6:]], axis=1))
    return scales, four | np.unpackbits(groups[:, 2:6], axis=1, bitorder="little") << 4


GRID = Grid(
    "q5_0",
    "5.5 bits a weight, 32 equally spaced levels",
    5.5,
    tuple(range(-16, 16)),
    (-16.0, *(-16 - step / 10 for step in range(-9, 10) if step)),
    packed,
    unpacked,
)
