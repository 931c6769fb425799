"""Hugging Face tensor files, read piece by piece. Knows no model.

Opening reads headers only. Tensors come by plain reads at an offset into fresh memory, never from a
mapped file, whose touched pages would count as resident: a 14 GB checkpoint passes through a
machine that holds one piece of it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from jaxprune.errors import InputError, shown
from jaxprune.hf.aligned import aligned_empty
from jaxprune.hf.safetensors_header import TensorInfo
from jaxprune.hf.tensor_index import find_tensors

_CHUNK = 16 << 20  # bytes held at once where a tensor is copied


@dataclass(frozen=True)
class TensorFiles:
    """The tensors of one folder; `tensors` says where each lies."""

    folder: Path
    tensors: Mapping[str, TensorInfo]

    @classmethod
    def open(cls, folder: Path) -> "TensorFiles":
        """Reads the headers of model.safetensors, its shards, pytorch_model.bin or its shards.

        Raises:
          InputError: no such file, one that is damaged or leaves the folder, or an index that does
            not agree with its shards.
        """
        folder = Path(folder)
        return cls(folder, find_tensors(folder))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tensors, in the files' order."""
        return tuple(self.tensors)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def info(self, name: str) -> TensorInfo:
        """Shape, dtype and place of a tensor.

        Raises:
          InputError: the folder has no such tensor.
        """
        if name not in self.tensors:
            raise InputError(f"{self.folder}: no tensor {shown(name)}")
        return self.tensors[name]

    def read(self, name: str) -> np.ndarray:
        """A tensor in its stored dtype, in fresh memory.

        Raises:
          InputError: no such tensor, or its file is shorter than it was on opening.
        """
        info = self.info(name)
        if info.strides is None:
            out = aligned_empty(info.shape, info.dtype)
            _fill(info.file, [(info.offset, out)])
            return out
        span = 1 + sum((n - 1) * s for n, s in zip(info.shape, info.strides, strict=True))
        flat = np.empty(span, info.dtype)
        _fill(info.file, [(info.offset, flat)])
        strides = [s * info.dtype.itemsize for s in info.strides]
        view = np.lib.stride_tricks.as_strided(flat, info.shape, strides, writeable=False)
        return view.copy(order="C")

    def rows(self, name: str, indices: Int[np.ndarray, " N"]) -> Shaped[np.ndarray, "N ..."]:
        """`read(name)[indices]`, reading those rows of axis 0 only and each of them once.

        A tensor that is not stored in C order (see `TensorInfo.strides`) is read whole.

        Raises:
          InputError: no such tensor or row, or the file is shorter than it was on opening.
        """
        info = self.info(name)
        indices = np.asarray(indices, np.int64)
        count = info.shape[0] if info.shape else 0
        if indices.size and not 0 <= indices.min() <= indices.max() < count:
            raise InputError(
                f"{info.file}: tensor {shown(name)} has {count} rows; rows {indices.min()} to "
                f"{indices.max()} were asked for"
            )
        if info.strides is not None:
            return self.read(name)[indices]
        distinct, inverse = np.unique(indices, return_inverse=True)
        out = aligned_empty((len(distinct), *info.shape[1:]), info.dtype)
        row_bytes = math.prod(info.shape[1:]) * info.dtype.itemsize
        starts = np.flatnonzero(np.diff(distinct, prepend=-2) != 1)
        stops = [*starts[1:], len(distinct)]
        runs = zip(starts, stops, strict=True) if len(distinct) else ()
        spans = ((info.offset + int(distinct[a]) * row_bytes, out[a:b]) for a, b in runs)
        _fill(info.file, spans)
        # Already in order: out[inverse] would only double the memory.
        return out if np.array_equal(distinct, indices) else out[inverse]

    def chunks(self, name: str) -> Iterator[Shaped[np.ndarray, " N"]]:
        """The elements of a tensor in C order, as flat arrays of at most 16 MiB.

        A tensor that is not stored in C order is read whole.
        """
        info = self.info(name)
        if info.strides is not None:
            yield self.read(name).reshape(-1)
            return
        count, step = math.prod(info.shape), _CHUNK // info.dtype.itemsize
        for start in range(0, count, step):
            out = np.empty(min(step, count - start), info.dtype)
            _fill(info.file, [(info.offset + start * info.dtype.itemsize, out)])
            yield out


def _fill(path: Path, spans: Iterable[tuple[int, np.ndarray]]) -> None:
    """Reads a file from given offsets into C-ordered arrays. All data comes through here."""
    with path.open("rb", buffering=0) as file:
        for offset, out in spans:
            file.seek(offset)
            rest = out.reshape(-1).view(np.uint8).data
            while rest:
                count = file.readinto(rest)  # the kernel reads at most 2 GiB at once
                if not count:
                    raise InputError(
                        f"{path}: ends before byte {offset + out.nbytes}; "
                        "it was longer when it was opened"
                    )
                rest = rest[count:]
