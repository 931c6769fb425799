"""Hugging Face tensor files, read and written piece by piece. Knows no model.

Opening reads headers only. Tensors come by plain reads at an offset into fresh memory, never from a
mapped file, whose touched pages would count as resident: a 14 GB checkpoint passes through a
machine that holds one piece of it.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from jaxprune.errors import InputError
from jaxprune.hf.aligned import aligned_empty
from jaxprune.hf.safetensors_header import TensorInfo, header_bytes, quoted
from jaxprune.hf.tensor_index import INDEX, SINGLE, find_tensors

_CHUNK = 16 << 20  # bytes held at once where a tensor is copied or laid out anew
_TILE = 256


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
            raise InputError(f"{self.folder}: no tensor {quoted(name)}")
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
                f"{info.file}: tensor {quoted(name)} has {count} rows; rows {indices.min()} to "
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


class ShardWriter:
    """Writes a Hugging Face checkpoint shard by shard, in bounded memory.

    Shards carry temporary names until `close`, which alone knows their number: a folder without
    model.safetensors or an index is unfinished. Replacing an older folder by this one is the
    caller's part.
    """

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder already holds weights."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        stale = [*self.folder.glob("*.safetensors*"), *self.folder.glob("shard-*.partial")]
        if stale:
            raise InputError(f"{stale[0]}: already there; export into an empty folder")
        self._shards: list[list[str]] = []  # names of each shard's tensors
        self._nbytes = 0
        self._closed = False

    def write(self, tensors: Mapping[str, np.ndarray]) -> None:
        """One shard of these arrays. Those in other than C order are laid out in small pieces."""
        specs = {name: (array.shape, array.dtype) for name, array in tensors.items()}
        self._shard(specs, lambda name: _flat_chunks(tensors[name]))

    def copy(
        self,
        files: TensorFiles,
        names: Mapping[str, str],
        look: Callable[[str, np.ndarray], None] = lambda name, part: None,
    ) -> None:
        """One shard that holds tensors of another checkpoint; `names` maps old names to new ones.

        Copied in pieces of 16 MiB, each of which `look` sees with the old name.
        """
        old_names = {new: old for old, new in names.items()}
        if len(old_names) < len(names):
            raise ValueError("two tensors would be copied to one name")
        infos = {new: files.info(old) for new, old in old_names.items()}
        specs = {new: (info.shape, info.dtype) for new, info in infos.items()}

        def seen(new: str) -> Iterator[np.ndarray]:
            for part in files.chunks(old_names[new]):
                look(old_names[new], part)
                yield part

        self._shard(specs, seen)

    def close(self) -> None:
        """Gives the shards their final names and writes the index, last and at once.

        A single shard becomes model.safetensors and needs no index.
        """
        if self._closed or not self._shards:
            raise ValueError("nothing to close: no shard was written since the folder was opened")
        self._closed = True
        total = len(self._shards)
        if total == 1:
            _settle(self._partial(1), self.folder / SINGLE)
            return
        weight_map = {}
        for number, names in enumerate(self._shards, start=1):
            file = f"model-{number:05d}-of-{total:05d}.safetensors"
            _settle(self._partial(number), self.folder / file)
            weight_map.update(dict.fromkeys(names, file))
        index = {
            "metadata": {"total_size": self._nbytes},
            "weight_map": dict(sorted(weight_map.items())),
        }
        unfinished = self.folder / f"{INDEX}.partial"
        unfinished.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        _settle(unfinished, self.folder / INDEX)

    def _partial(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.partial"

    def _shard(
        self,
        specs: Mapping[str, tuple[tuple[int, ...], np.dtype]],
        chunks: Callable[[str], Iterable[np.ndarray]],
    ) -> None:
        if self._closed:
            raise ValueError("this writer is closed")
        twice = specs.keys() & {name for names in self._shards for name in names}
        if twice:
            raise ValueError(f"tensor {quoted(min(twice))} was already written")
        # Wide dtypes first, so that every tensor is aligned to its element.
        order = sorted(specs, key=lambda name: -specs[name][1].itemsize)
        with self._partial(len(self._shards) + 1).open("wb") as file:
            file.write(header_bytes({name: specs[name] for name in order}))
            for name in order:
                for chunk in chunks(name):
                    file.write(chunk.view(np.uint8).data)
                    self._nbytes += chunk.nbytes
        self._shards.append(order)


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


def _settle(unfinished: Path, final: Path) -> None:
    """Renames a file once its bytes are durable: a power cut could keep the name and lose them."""
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.rename(final)


def _flat_chunks(array: np.ndarray | np.generic) -> Iterator[np.ndarray]:
    """An array's elements in C order, as flat arrays; few bytes at once if they must be copied."""
    if array.flags.c_contiguous:
        yield array.reshape(-1)
        return
    array = np.atleast_2d(array)
    step = max(1, _CHUNK * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        rows = array[start : start + step]
        out = np.empty(rows.shape, rows.dtype)
        # In tiles, a transposed kernel takes less than half the time of one plain copy.
        for column in range(0, rows.shape[1], _TILE):
            out[:, column : column + _TILE] = rows[:, column : column + _TILE]
        yield out.reshape(-1)
