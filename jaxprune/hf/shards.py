"""Tensors → model.safetensors, or shards and their index. Independent of models.

Names, shapes and dtypes are known in advance. So the headers are written first, and every tensor is written at its
offset, in any order, in bounded memory and only once.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxprune.base.errors import shown
from jaxprune.base.files.whole import write_json
from jaxprune.hf.aligned import aligned_copy
from jaxprune.hf.safetensors_header import file_header
from jaxprune.hf.tensor_index import INDEX, SINGLE

# Name → shape and dtype of each tensor.
Specs = Mapping[str, tuple[tuple[int, ...], np.dtype]]
# Bytes of tensors in a file, as on the hub; a larger tensor has its own file.
LARGEST_SHARD = 5 * 10**9

_CHUNK = 16 << 20  # bytes in memory while a tensor is copied to C order


class ShardWriter:
    """Writes a Hugging Face checkpoint tensor by tensor.

    Headers are written first, so the files are complete only after `close`. The caller then gives the folder its final
    name.

    Args:
      folder: new or without weights.
      specs: shapes and dtypes of all tensors, in the order of the shards.
      largest: bytes of tensors in a shard; a single shard becomes model.safetensors, without an index.

    Raises:
      InputError: safetensors has no such dtype.
    """

    def __init__(self, folder: Path, specs: Specs, largest: int = LARGEST_SHARD) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._specs = specs
        self._shards = _shards(specs, largest)
        self._places: dict[str, tuple[Path, int]] = {}  # file and offset
        self._missing = set(specs)
        for file, names in self._shards.items():
            path = self.folder / file
            header, offsets = file_header({name: specs[name] for name in names})
            path.write_bytes(header)
            self._places |= {name: (path, offset) for name, offset in offsets.items()}

    def write(self, tensors: Mapping[str, np.ndarray | np.generic]) -> None:
        """Writes these arrays, see `write_chunks`; arrays not in C order are copied in small pieces."""
        for name, array in tensors.items():
            self.write_chunks(name, array.shape, array.dtype, _flat_chunks(array))

    def write_chunks(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype, chunks: Iterable[np.ndarray]
    ) -> None:
        """Writes a tensor at its offset, piece by piece.

        Args:
          chunks: elements of the tensor in C order, as flat arrays.

        Raises:
          ValueError: the tensor has another shape or dtype in `specs`.
        """
        expected = self._specs[name]
        if (tuple(shape), dtype) != expected:
            raise ValueError(f"tensor {shown(name)} is {dtype} {shape}; expected {expected}")
        path, offset = self._places[name]
        with path.open("rb+") as file:
            file.seek(offset)
            for chunk in chunks:
                file.write(chunk.view(np.uint8).data)
        self._missing.remove(name)

    def close(self) -> None:
        """Writes the index of shards, and waits until the tensors are on disk.

        A power failure after the folder was renamed could otherwise keep the name and lose the bytes.

        Raises:
          ValueError: a tensor is missing.
        """
        if self._missing:
            raise ValueError(f"tensor {shown(min(self._missing))} was not written")
        for file in self._shards:
            with (self.folder / file).open("rb+") as written:
                os.fsync(written.fileno())
        if SINGLE in self._shards:
            return
        file_of = {name: file for file, names in self._shards.items() for name in names}
        index = {
            "metadata": {"total_size": sum(_nbytes(self._specs, name) for name in self._specs)},
            "weight_map": dict(sorted(file_of.items())),
        }
        write_json(self.folder / INDEX, index)


def _nbytes(specs: Specs, name: str) -> int:
    shape, dtype = specs[name]
    return math.prod(shape) * dtype.itemsize


def _shards(specs: Specs, largest: int) -> dict[str, list[str]]:
    """File → the names of its tensors, in their order."""
    cut: list[list[str]] = []
    size = 0
    for name in specs:
        size += _nbytes(specs, name)
        if not cut or size > largest:
            cut.append([])
            size = _nbytes(specs, name)
        cut[-1].append(name)
    # Wide dtypes first, so that every tensor is aligned to its element size.
    ordered = [sorted(names, key=lambda name: -specs[name][1].itemsize) for names in cut]
    total = len(ordered)
    if total == 1:
        return {SINGLE: ordered[0]}
    return {f"model-{i:05d}-of-{total:05d}.safetensors": part for i, part in enumerate(ordered, 1)}


def _flat_chunks(array: np.ndarray | np.generic) -> Iterator[np.ndarray]:
    """An array's elements in C order, as flat arrays; in small pieces if they must be copied."""
    if array.flags.c_contiguous:
        yield array.reshape(-1)
        return
    array = np.atleast_2d(array)
    step = max(1, _CHUNK * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        yield aligned_copy(array[start : start + step]).reshape(-1)
