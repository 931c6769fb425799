"""A tensor of a Hugging Face file, read piece by piece. Independent of models.

Tensors are read at an offset into fresh memory, never through a mapped file, whose touched pages would count as
resident: a 14 GB checkpoint is processed with one piece of it in memory.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from jaxprune.base.errors import InputError
from jaxprune.hf.aligned import aligned_empty

_CHUNK = 16 << 20  # bytes in memory while a tensor is copied


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file: its offset, shape and dtype.

    Reads raise InputError if the file has become shorter since it was opened.

    Attributes:
      offset: bytes from the start of `file`.
      strides: strides in elements; None for C order. Only `.bin` files have other orders.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    file: Path
    offset: int
    strides: tuple[int, ...] | None = None

    def read(self) -> np.ndarray:
        """The tensor in its stored dtype, in fresh memory."""
        if self.strides is None:
            out = aligned_empty(self.shape, self.dtype)
            _fill(self.file, [(self.offset, out)])
            return out
        span = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        flat = np.empty(span, self.dtype)
        _fill(self.file, [(self.offset, flat)])
        strides = [s * self.dtype.itemsize for s in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        return view.copy(order="C")

    def rows(self, indices: Int[np.ndarray, " N"]) -> Shaped[np.ndarray, "N ..."]:
        """`read()[indices]`; reads only those rows of axis 0, each of them once.

        A tensor that is not stored in C order (see `strides`) is read completely.
        """
        indices = np.asarray(indices, np.int64)  # an empty range has dtype float
        if indices.size and not 0 <= indices.min() <= indices.max() < self.shape[0]:
            raise IndexError(f"rows {indices.min()} to {indices.max()} of {self.shape[0]}")
        if self.strides is not None:
            return self.read()[indices]
        distinct, inverse = np.unique(indices, return_inverse=True)
        out = aligned_empty((len(distinct), *self.shape[1:]), self.dtype)
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        starts = np.flatnonzero(np.diff(distinct, prepend=-2) != 1)
        stops = [*starts[1:], len(distinct)]
        runs = zip(starts, stops, strict=True) if len(distinct) else ()
        spans = ((self.offset + int(distinct[a]) * row_bytes, out[a:b]) for a, b in runs)
        _fill(self.file, spans)
        # For sorted indices out[inverse] would only double the memory.
        return out if np.array_equal(distinct, indices) else out[inverse]

    def chunks(self) -> Iterator[Shaped[np.ndarray, " N"]]:
        """The elements in C order, as flat arrays of at most 16 MiB.

        A tensor that is not stored in C order is read completely.
        """
        if self.strides is not None:
            yield self.read().reshape(-1)
            return
        count, step = math.prod(self.shape), _CHUNK // self.dtype.itemsize
        for start in range(0, count, step):
            out = np.empty(min(step, count - start), self.dtype)
            _fill(self.file, [(self.offset + start * self.dtype.itemsize, out)])
            yield out


def _fill(path: Path, spans: Iterable[tuple[int, np.ndarray]]) -> None:
    """Reads a file from given offsets into arrays in C order. The only place that reads tensors."""
    with path.open("rb", buffering=0) as file:
        for offset, out in spans:
            file.seek(offset)
            unread = out.reshape(-1).view(np.uint8).data
            while unread:
                count = file.readinto(unread)  # the kernel reads at most 2 GiB at once
                if not count:
                    raise InputError(
                        f"{path}: ends before byte {offset + out.nbytes}; it was longer when it was opened"
                    )
                unread = unread[count:]
