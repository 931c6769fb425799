"""Shape and dtype → fresh memory that CPU devices take as it is.

XLA reads and writes arrays at multiples of 64 bytes. Of a numpy array that begins at one every CPU device of a process
takes the memory itself; any other is copied, once for each device. So what is read here is not written to again.
"""

from __future__ import annotations

import math

import numpy as np

_BOUNDARY = 64


def aligned_empty(shape: int | tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
    """`np.empty(shape, dtype)` that begins at a multiple of 64 bytes."""
    shape = (shape,) if isinstance(shape, int) else shape
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _BOUNDARY, np.uint8)
    start = -memory.ctypes.data % _BOUNDARY
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_cast(array: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
    """An array in C order and this dtype: itself, or a copy that begins at a multiple of 64 bytes."""
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    out = aligned_empty(array.shape, dtype)
    out[...] = array
    return out
