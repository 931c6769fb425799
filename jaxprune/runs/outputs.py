"""Pruned blocks → the files of a workdir, on a thread, one block behind the devices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jaxprune.devices import hosts
from jaxprune.files import sealed
from jaxprune.hf import HfWriter, Model, stack_layers
from jaxprune.passes import SiteSums, stack
from jaxprune.planning import PruneConfig
from jaxprune.pruning import PackedMasks, PrunedBlock, hash_masks, hash_weights
from jaxprune.runs import checkpoint, figures
from jaxprune.runs.card import model_card
from jaxprune.runs.resume import FinishedLayers


class Outputs:
    """Takes blocks as they are done and writes them on a thread, one behind the devices, into `finished.folder`.

    Holds packed masks and sums of all layers and, with `output.params`, all parameters; the Hugging
    Face folder goes to disk block by block.
    """

    def __init__(self, model: Model, config: PruneConfig, finished: FinishedLayers) -> None:
        self.kept: list[dict[str, tuple[int, int]]] = []
        self.seconds: list[dict[str, float]] = []
        self._sums: list[SiteSums] = []
        self._model = model
        self._folder = finished.folder
        self._finished = finished
        self._config = config.output
        writes_hf = config.output.hf and hosts.is_first()
        self._hf = HfWriter(model, finished.folder / "hf") if writes_hf else None
        self._packed: list[PackedMasks] = []
        self._kept_params: list[Any] = []
        self._weights, self._masks = hashlib.sha256(), hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.shutdown()
        if self._hf is not None:
            self._hf.__exit__(*error)

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
        if self._hf is not None:
            self._hf.write_part(block.params, "blocks", block.layer)
        self._packed.append(packed)
        if self._config.params:
            self._kept_params.append(block.params)
        self.kept.append(block.kept)
        self.seconds.append(block.seconds)
        self._sums.append(block.sums)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the pruned blocks' parameters and of the mask bits, in layer and path order."""
        self.wait()
        return {"weights": self._weights.hexdigest(), "masks": self._masks.hexdigest()}

    def close(self, report: Mapping[str, Any]) -> None:
        """Writes what needs all layers: statistics, checkpoint, the rest of the Hugging Face folder."""
        self.wait()
        if self._hf is not None:
            self._hf.copy_unpruned()
            self._hf.close(model_card(report["config"], report) if self._config.card else None)
        stats = None
        if self._sums[0]:
            counts = report["tokens"], self._model.config, report.get("languages", {})
            stats = stack(self._sums, *counts)
            checkpoint.save_stats(self._folder / "stats", stats)
        if self._config.figures and hosts.is_first():
            figures.draw(self._folder / "figures", self.kept, stats)
            sealed.seal(self._folder / "figures")
        params = None
        if self._config.params:
            params = {
                "embed": self._model.source.part("embed"),
                "blocks": stack_layers(self._kept_params),
                "head": self._model.source.part("head"),
            }
        masks = PackedMasks.stack(self._packed)
        checkpoint.save(
            self._folder / "checkpoint", params=params, packed_masks=masks, metadata=report
        )
