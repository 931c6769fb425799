"""The finished layers of an unfinished run, a file for each, so that the same command goes on at the next one.

A layer's file holds its masks as bits, the weights that were changed and its sums. Other weights are not stored: they
are the model's own under the masks. Neither are hidden states: the passes that made them run again, so that every bit
is that of a run without interruption, on whatever number of devices.
"""

from __future__ import annotations

from pathlib import Path

from jaxprune.devices import hosts
from jaxprune.pruning import FinishedLayer
from jaxprune.runs.layer_file import layer_file, read_layer, write_layer


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
        return layer_file(self.folder, layer)

    def write(self, layer: int, finished: FinishedLayer) -> None:
        """Keeps a layer: on disk when this returns, whole or not at all. The first process does."""
        if hosts.is_first():
            write_layer(self._file(layer), finished)

    def read(self, layer: int) -> FinishedLayer | None:
        """A layer that is finished, or None.

        Raises:
          InputError: its file is damaged.
        """
        return read_layer(self._file(layer)) if layer < self.layers else None
