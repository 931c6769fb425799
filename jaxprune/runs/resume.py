"""The finished layers of an unfinished run, a file for each, so that the same command goes on at the next one.

A layer's file holds its masks as bits and its sums. Pruned weights are not stored: they are the model's own under
the masks. Neither are hidden states: the passes that made them run again, so that every bit is that of a run
without interruption, on whatever number of devices.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import read_npz
from jaxprune.passes import SiteSums
from jaxprune.pruning import FinishedLayer, PackedMasks


class FinishedLayers:
    """The layers that a run has finished, in the folder of an `unfinished_run`.

    Attributes:
      folder: where the run fills its outputs too.
      layers: how many were finished when it was opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layers = 0
        while self._file(self.layers).is_file():
            self.layers += 1

    def _file(self, layer: int) -> Path:
        return self.folder / f"layer_{layer:05}.npz"

    def write(self, layer: int, masks: PackedMasks, sums: SiteSums) -> None:
        """Keeps a layer: on disk when this returns, whole or not at all. The first process does."""
        if not hosts.is_first():
            return
        tree = {"bits": masks.to_records(), "sums": sums}
        memory = io.BytesIO()
        np.savez(memory, **flatten_dict(tree, sep="|"))
        file = self._file(layer)
        unfinished = file.with_suffix(".new")
        with unfinished.open("wb") as out:
            out.write(memory.getbuffer())
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, file)
        _sync(self.folder)

    def read(self, layer: int) -> FinishedLayer | None:
        """A layer that is finished, or None.

        Raises:
          InputError: its file is damaged.
        """
        if layer >= self.layers:
            return None
        file = self._file(layer)
        try:
            tree = unflatten_dict(read_npz(file), sep="|")
            keep = PackedMasks.from_records(tree["bits"]).unpack()
        except (InputError, KeyError, ValueError):
            raise InputError(
                f"{file}: damaged; allowed: --overwrite, which starts afresh"
            ) from None
        return FinishedLayer(keep, tree.get("sums", {}))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
