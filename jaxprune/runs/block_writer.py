"""The blocks of a run, as they become ready → the files of a workdir, written by a thread, one block behind.

An unfinished run has a file for each finished layer, so the same command resumes at the next one. Its outputs are
filled beside them: `hf/` block by block, `checkpoint/` and `stats/` at the end.
"""

import contextlib
import hashlib
import threading
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jaxprune.base.errors import InputError, TerminatedError
from jaxprune.data.batches import SetKey, by_kind, by_language
from jaxprune.devices import hosts
from jaxprune.devices.failure import termination
from jaxprune.hf.export import HfWriter
from jaxprune.hf.layer_digests import hash_changed, hash_masks, hash_weights
from jaxprune.hf.model import Model
from jaxprune.hf.weights import stack_layers
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import Params
from jaxprune.pruning.summary import summarise
from jaxprune.runs import checkpoint
from jaxprune.runs.layer_file import finished_layers, layer_file, read_layer, write_layer
from jaxprune.runs.planning.config import BlocksConfig, MethodConfig
from jaxprune.runs.run import Run, as_unfinished_errors
from jaxprune.stats.finished import FinishedLayer, PrunedBlock
from jaxprune.stats.probe import stack
from jaxprune.stats.stats import Sums


def check_outputs(config: BlocksConfig, model: Model, *, changes_weights: bool) -> None:
    """Rejects outputs that cannot have the result of a run.

    Args:
      changes_weights: whether the run gives kept weights new values, which masks do not contain.
    """
    if config.output.params and model.mixed:
        raise InputError(
            f"output.params: {model.folder}: {model.mixed}, which one array cannot represent; "
            "expected output.params=false"
        )
    if changes_weights and not config.output.hf:
        raise InputError(
            "output.hf: got False, but this run changes weights, which only hf/ contains; expected output.hf=true"
        )


class BlockWriter:
    """Writes the blocks of a run. Keeps masks and sums of all layers; a block is written while the next one is made.

    Args:
      model, config: model and config of the run.
      run: the open run.
    """

    def __init__(self, model: Model, config: BlocksConfig, run: Run) -> None:
        self._model, self._config, self._folder = model, config, run.folder
        self._calibration = run.identity["calibration"]
        self._finished = finished_layers(run.folder)
        run.keep(layers=model.config.n_layers)
        if hosts.is_first() and self._finished:
            print(f"resuming after {self._finished} of {model.config.n_layers} layers")
        writes_hf = config.output.hf and hosts.is_first()
        self._hf = HfWriter(model, run.folder / "hf") if writes_hf else None
        self._blocks: list[Params] = []  # with output.params
        self._packed: list[PackedMasks] = []
        self._sums: list[Sums] = []
        self._kept: list[dict[str, tuple[int, int]]] = []
        self._seconds: list[dict[str, float]] = []
        self._damping: dict[str, dict[str, float]] = {}  # layer → site, where it was raised
        self._errors: list[dict[str, float]] = []  # by kernel, of methods that measure them
        self._losses: list[tuple[float, float]] = []  # of recovery, before and after
        self._weights, self._masks, self._changed = (hashlib.sha256() for _ in range(3))
        self._changes = False  # whether any kept weight has a new value
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def finished(self, layer: int) -> FinishedLayer | None:
        """The result of a layer in an interrupted run, or None."""
        if layer >= self._finished:
            return None
        with as_unfinished_errors():
            return read_layer(layer_file(self._folder, layer))

    def write_all(
        self, blocks: Generator[PrunedBlock, None, None], *, by_block: bool = True
    ) -> None:
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
                self.write(block)
                if hosts.any_of(terminated.is_set()):
                    self._wait()
                    raise TerminatedError(
                        f"terminated after {block.layer + 1} of {self._model.config.n_layers} layers"
                    )
            self._wait()

    def write(self, block: PrunedBlock) -> None:
        """Queues a block for writing; waits until the previous one is written."""
        self._wait()
        self._pending = self._pool.submit(self._write, block)

    def _wait(self) -> None:
        """Waits until the queued block is written; raises the error of its writing."""
        if self._pending is not None:
            self._pending.result()

    def _write(self, block: PrunedBlock) -> None:
        packed = PackedMasks.of(block.keep)
        if block.layer >= self._finished and hosts.is_first():
            write_layer(layer_file(self._folder, block.layer), block.finished)
        hash_masks(self._masks, packed)
        hash_changed(self._changed, block.finished.changed)
        self._changes |= bool(block.finished.changed)
        hash_weights(self._weights, block.params)
        if self._hf is not None:
            self._hf.write_block(block.params, block.layer)
        if self._config.output.params:
            self._blocks.append(block.params)
        self._packed.append(packed)
        self._kept.append(block.kept)
        self._seconds.append(block.seconds)
        self._sums.append(block.finished.sums)
        if block.finished.damping:
            self._damping[str(block.layer)] = block.finished.damping
        if block.finished.errors:
            self._errors.append(dict(block.finished.errors))
        if block.finished.loss is not None:
            self._losses.append(block.finished.loss)

    def report(self, tokens: Mapping[SetKey, int]) -> dict[str, Any]:
        """The part of report.json on all blocks: counts, digests, damping, errors, losses, seconds.

        Args:
          tokens: tokens of the calibration set, by set; empty without data.
        """
        report = summarise(self._kept, self._seconds, by_kind(tokens))
        counts = [pair for layer in self._kept for pair in layer.values()]
        dropped = sum(total - kept for kept, total in counts)
        report["parameters"] = {"all": self._model.size, "dropped": dropped}
        if languages := by_language(tokens):
            report["languages"] = languages
        report["digests"] = {
            "weights": self._weights.hexdigest(),
            "masks": self._masks.hexdigest(),
            **({"changed": self._changed.hexdigest()} if self._changes else {}),
            "calibration": self._calibration,
        }
        if self._damping:
            report["damping"] = self._damping
        if self._errors:
            report["errors"] = self._errors
        if self._losses:
            report["losses"] = self._losses
        return report

    def close(
        self, report: Mapping[str, Any], tokens: Mapping[SetKey, int], *, checkpoints: bool = True
    ) -> None:
        """Completes the folders.

        Args:
          report: the content of report.json that is known before they are written.
          tokens: see `report`.
          checkpoints: whether to write `checkpoint/`, with masks; a smaller model has none.
        """
        config, folder = self._config, self._folder
        params = None
        if config.output.params:
            ends = {part: self._model.part(part) for part in ("embed", "head")}
            params = {**ends, "blocks": stack_layers(self._blocks)}
        if checkpoints:
            checkpoint.save(
                folder / "checkpoint", params=params, packed_masks=PackedMasks.stack(self._packed),
                metadata={"config": config.json(), **report},
            )  # fmt: skip
        if self._sums[0]:
            assert isinstance(config, MethodConfig)  # recovery measures nothing
            propagate = config.settings.propagate
            stats = stack(self._sums, tokens, self._model, config.dtype, propagate)
            checkpoint.save_stats(folder / "stats", stats, self._model)
        if self._hf is not None:
            self._hf.copy_unpruned()
            self._hf.close(card=config.output.card)
