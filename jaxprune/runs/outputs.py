"""Pruned blocks → the folders of a run, on a thread, one block behind the devices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jaxprune.devices import hosts
from jaxprune.files import sealed
from jaxprune.hf import Model
from jaxprune.passes import SiteSums, stack
from jaxprune.pruning import PackedMasks, PrunedBlock, hash_masks, hash_weights
from jaxprune.runs.folders import OUTPUTS, PrunedLayers
from jaxprune.runs.resume import FinishedLayers

if TYPE_CHECKING:
    from ml_collections import ConfigDict


class Outputs:
    """Takes blocks as they are done and writes them on a thread, one behind the devices, into `finished.folder`.

    Holds packed masks and sums of all layers; what else an output needs of a block it takes as the block comes.
    """

    def __init__(self, model: Model, config: ConfigDict, finished: FinishedLayers) -> None:
        self.kept: list[dict[str, tuple[int, int]]] = []
        self.seconds: list[dict[str, float]] = []
        self._sums: list[SiteSums] = []
        self._model = model
        self._finished = finished
        self._folders = {name: finished.folder / name for name in OUTPUTS}
        fillings = (
            output.fill(model, config, self._folders[output.name]) for output in OUTPUTS.values()
        )
        self._fillings = [filling for filling in fillings if filling is not None]
        self._packed: list[PackedMasks] = []
        self._weights, self._masks = hashlib.sha256(), hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._pool.shutdown()
        if kind is not None and hosts.is_first():
            for folder in self._folders.values():
                sealed.discard(folder)

    def add(self, block: PrunedBlock) -> None:
        """Hands a block to the writer; waits while the one before is still being written."""
        self.wait()
        self._pending = self._pool.submit(self._write, block)

    def wait(self) -> None:
        """Until all that was handed over is written; raises what went wrong there."""
        if self._pending is not None:
            self._pending.result()

    def _write(self, block: PrunedBlock) -> None:
        packed = PackedMasks.of(block.keep)
        if block.layer >= self._finished.layers:
            self._finished.write(block.layer, packed, block.sums)
        hash_masks(self._masks, packed)
        hash_weights(self._weights, block.params)
        for filling in self._fillings:
            filling.add(block)
        self._packed.append(packed)
        self.kept.append(block.kept)
        self.seconds.append(block.seconds)
        self._sums.append(block.sums)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the pruned blocks' parameters and of the mask bits, in layer and path order."""
        self.wait()
        return {"weights": self._weights.hexdigest(), "masks": self._masks.hexdigest()}

    def close(self, config: Mapping[str, Any], report: Mapping[str, Any]) -> None:
        """Writes what needs all layers; see `PrunedLayers` of both arguments."""
        self.wait()
        stats = None
        if self._sums[0]:
            counts = report["tokens"], self._model.config, report.get("languages", {})
            stats = stack(self._sums, *counts)
        masks = PackedMasks.stack(self._packed)
        for filling in self._fillings:
            filling.close(PrunedLayers(self.kept, masks, stats, config, report))
