"""The blocks of a run, as they become ready → its layers on disk and its writers, by a thread, one block behind.

An unfinished run has a file for each finished layer, so the same command resumes at the next one. Its outputs are
filled beside them: `hf/` and `model.gguf` block by block, `checkpoint/` and `stats/` at the end.
"""

import contextlib
import hashlib
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jaxprune.base.errors import TerminatedError
from jaxprune.devices import hosts
from jaxprune.devices.failure import termination
from jaxprune.hf.layer_digests import hash_changed, hash_masks, hash_weights
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.runs.layer_file import layer_file, write_layer
from jaxprune.runs.run import Run
from jaxprune.runs.writers import Writer
from jaxprune.stats.finished import PrunedBlock
from jaxprune.steps.step import Totals


class BlockWriter:
    """Writes the blocks of a run; a block is written while the next one is made.

    Args:
      run: the open run.
      layers: number of blocks of the model.
      writers: take each block, and are closed at the end.

    Attributes:
      totals: what is known of the blocks that were written.
    """

    def __init__(self, run: Run, layers: int, writers: Sequence[Writer]) -> None:
        self._run, self._layers, self._writers = run, layers, writers
        self._earlier = run.finished_layers
        run.keep(layers=layers)
        if hosts.is_first() and self._earlier:
            print(f"resuming after {self._earlier} of {layers} layers")
        self.totals = Totals()
        self._weights, self._masks, self._changed = (hashlib.sha256() for _ in range(3))
        self._changes = False  # whether any kept weight has a new value
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def write_all(self, blocks: Generator[PrunedBlock, None, None], *, by_block: bool) -> None:
        """Writes every block when it is ready.

        Args:
          blocks: the blocks in order.
          by_block: whether blocks become ready one after the other, so that SIGTERM waits for the current one.

        Raises:
          TerminatedError: SIGTERM ended the run; finished layers are kept.
        """
        until_block = termination() if by_block else contextlib.nullcontext(threading.Event())
        # Closes the generator at once if a write fails, so that the progress bar ends before the error is printed.
        with contextlib.closing(blocks), self._pool, until_block as terminated:
            for block in blocks:
                self._wait()
                self._pending = self._pool.submit(self._write, block)
                if hosts.any_of(terminated.is_set()):
                    self._wait()
                    raise TerminatedError(
                        f"terminated after {block.layer + 1} of {self._layers} layers"
                    )
            self._wait()
        self.totals.digests = {
            "weights": self._weights.hexdigest(),
            "masks": self._masks.hexdigest(),
            **({"changed": self._changed.hexdigest()} if self._changes else {}),
            "calibration": self._run.identity["calibration"],
        }

    def _wait(self) -> None:
        """Waits until the queued block is written; raises the error of its writing."""
        if self._pending is not None:
            self._pending.result()

    def _write(self, block: PrunedBlock) -> None:
        if block.layer >= self._earlier and hosts.is_first():
            write_layer(layer_file(self._run.folder, block.layer), block.finished)
        hash_masks(self._masks, PackedMasks.of(block.keep))
        hash_changed(self._changed, block.finished.changed)
        self._changes |= bool(block.finished.changed)
        hash_weights(self._weights, block.params)
        for writer in self._writers:
            writer.write(block)
        self.totals.add(block)

    def close(self, report: Mapping[str, Any]) -> None:
        """Completes the outputs; `report` is the content of report.json that is known by now."""
        for writer in self._writers:
            writer.close(report)
        hosts.wait("written")
