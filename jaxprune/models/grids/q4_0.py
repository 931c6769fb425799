"""Q4_0: 16 equally spaced levels, 4.5 bits a weight."""

import numpy as np
from jaxtyping import Float16, UInt8

from jaxprune.models.grids.grid import GROUP, Grid


def packed(
    scales: Float16[np.ndarray, " N"], index: UInt8[np.ndarray, "N 32"]
) -> UInt8[np.ndarray, "N 18"]:
    """The scale, then 16 bytes: the low half of each is an input of the first 16, the high half one of the others."""
    halves = index[:, : GROUP // 2] | index[:, GROUP // 2 :] << 4
    return np.concatenate([scales[:, None].view(np.uint8), halves], axis=1)


def unpacked(
    groups: UInt8[np.ndarray, "N 18"],
) -> tuple[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]]:
    """The inverse of `packed`."""
    scales, halves = np.ascontiguousarray(groups[:, :2]).view(np.float16)[:, 0], groups[:, 2:]
    return scales, np.concatenate([halves & 15, halves >> 4], axis=1)


GRID = Grid(
    "q4_0",
    "4.5 bits a weight, 16 equally spaced levels",
    4.5,
    tuple(range(-8, 8)),
    (-8.0, *(-8 - step / 10 for step in range(-9, 10) if step)),
    packed,
    unpacked,
)
