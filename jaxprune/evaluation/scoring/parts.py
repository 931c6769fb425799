"""A model on disk or in memory → the parts of every pass of scoring, resident on the devices or read for each pass."""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxprune.devices import hosts
from jaxprune.devices.memory import room
from jaxprune.devices.products import product_dtype
from jaxprune.devices.sharding import replicated
from jaxprune.evaluation.scoring.vocabulary import VocabularySlice, slices
from jaxprune.hf.model import Model
from jaxprune.models.trees import BlockParams, HeadParams
from jaxprune.stats.blocks import blocks, converted, prefetch, to_device

# On CPUs the page cache contains the file; a copy on every device pays off only if it is small.
RESIDENT_ON_CPU = 64 << 20


class Parts:
    """Blocks and slices of the vocabulary.

    Each of several processes reads a share of each part, so all must request the same parts in the same order.

    Args:
      model: a model, on disk or in memory.
      dtype: dtype of the weights on the devices.
      mesh: devices.
      resident: whether parts stay on the devices after the first use; by default if they fit.
    """

    def __init__(self, model: Model, dtype: str, mesh: Mesh, resident: bool | None) -> None:
        self._model = model
        self._dtype = dtype
        self._mesh = mesh
        self._resident = fits(model, dtype, mesh) if resident is None else resident
        self._ids = slices(model.config)
        self._resident_blocks: dict[int, BlockParams] = {}
        self._resident_slices: dict[int, VocabularySlice] = {}
        self.norm: HeadParams = to_device({"norm": model.part("head/norm")}, dtype, mesh)

    def __len__(self) -> int:
        return self._model.config.n_layers + len(self._ids)

    def blocks(self, layers: range) -> Iterator[BlockParams]:
        """Parameters of these blocks."""

        def read(layers: range) -> Iterator[BlockParams]:
            return (params for _, params in blocks(self._model, self._dtype, self._mesh, layers))

        return self._on_devices(read, layers, self._resident_blocks)

    def vocabulary(self) -> Iterator[VocabularySlice]:
        """The head's table in slices, each as (its first token id, rows [SLICE, D])."""
        read = functools.partial(prefetch, self._read_slice, self._finish_slice)
        return self._on_devices(read, range(len(self._ids)), self._resident_slices)

    def read_along(self) -> None:
        """Reads all parts for a pass in which this process has no rows, as the others need its share."""
        layers = range(self._model.config.n_layers)
        for _ in itertools.chain(self.blocks(layers), self.vocabulary()):
            pass

    def _read_slice(self, number: int) -> np.ndarray:
        ids = self._ids[number]
        share = hosts.share(len(ids))
        return self._model.source.head_rows(np.array(ids[share.start : share.stop]))

    def _finish_slice(self, number: int, share: np.ndarray) -> VocabularySlice:
        ids = self._ids[number]
        table = converted(hosts.gather_shares(share, len(ids)), self._dtype)
        missing = len(self._ids[0]) - len(ids)
        filled = np.pad(table, ((0, missing), (0, 0))) if missing else table
        return jax.device_put((np.int32(ids.start), filled), replicated(self._mesh))

    def _on_devices(
        self, read: Callable[[range], Iterator[Any]], numbers: range, resident: dict[int, Any]
    ) -> Iterator[Any]:
        """Parts on the devices: resident since their first use, or read ahead one by one."""
        if not self._resident:
            yield from read(numbers)
            return
        for number in numbers:
            if number not in resident:
                [resident[number]] = read(range(number, number + 1))
            yield resident[number]


def fits(model: Model, dtype: str, mesh: Mesh) -> bool:
    """Whether weights may stay on the devices: up to 60% of an accelerator's memory; on CPUs if they are small."""
    size = weights_size(model, dtype)
    limit, _ = room(mesh)
    return size <= (RESIDENT_ON_CPU if limit is None else 0.6 * limit)


def weights_size(model: Model, dtype: str) -> int:
    """Bytes of all weights of a model on the devices."""
    return model.size * jax.numpy.dtype(product_dtype(dtype)).itemsize
