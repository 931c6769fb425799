"""Shape and dtype → fresh memory that CPU devices use without a copy.

XLA uses an array in place only if it begins at a multiple of 64 bytes. All CPU devices of a process share the memory of
such an array, and copy any other array once per device. These arrays must therefore not be modified once they are
filled.
"""

import math

import numpy as np

_BOUNDARY = 64
_STRIPE = 256  # columns that fit a core's cache


def aligned_empty(shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
    """`np.empty(shape, dtype)` aligned to 64 bytes."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _BOUNDARY, np.uint8)
    start = -memory.ctypes.data % _BOUNDARY
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_cast(array: np.ndarray, dtype: np.typing.DTypeLike) -> np.ndarray:
    """The array in C order and this dtype: itself, or a copy aligned to 64 bytes."""
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    out = aligned_empty(array.shape, dtype)
    out[...] = array
    return out


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A copy in C order of an array with at least two axes; by stripes, which is twice as fast for a transpose."""
    out = aligned_empty(array.shape, array.dtype)
    for start in range(0, array.shape[1], _STRIPE):
        out[:, start : start + _STRIPE] = array[:, start : start + _STRIPE]
    return out
