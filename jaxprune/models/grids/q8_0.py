"""Q8_0: 255 equally spaced levels, 8.5 bits a weight."""

import numpy as np
from jaxtyping import Float16, UInt8

from jaxprune.models.grids.grid import Grid


def packed(
    scales: Float16[np.ndarray, " N"], index: UInt8[np.ndarray, "N 32"]
) -> UInt8[np.ndarray, "N 34"]:
    """The scale, then the levels as int8."""
    levels = (index.astype(np.int16) - 127).astype(np.int8)
    return np.concatenate([scales[:, None].view(np.uint8), levels.view(np.uint8)], axis=1)


def unpacked(
    groups: UInt8[np.ndarray, "N 34"],
) -> tuple[Float16[np.ndarray, " N"], UInt8[np.ndarray, "N 32"]]:
    """The inverse of `packed`."""
    scales = np.ascontiguousarray(groups[:, :2]).view(np.float16)[:, 0]
    levels = np.ascontiguousarray(groups[:, 2:]).view(np.int8)
    return scales, (levels.astype(np.int16) + 127).astype(np.uint8)


GRID = Grid(
    "q8_0",
    "8.5 bits a weight, 255 equally spaced levels",
    8.5,
    tuple(range(-127, 128)),
    (127.0,),
    packed,
    unpacked,
)
