"""Pruned blocks → the folders of a workdir: a record for each, and the thread that writes them, one block behind.

Only `OUTPUTS` names these folders. Verifying, publishing, replacing and listing use it.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxprune.calibration import SetKey
from jaxprune.charts import write_png
from jaxprune.devices import hosts
from jaxprune.files import sealed
from jaxprune.hf import HfWriter, Model, load, stack_layers
from jaxprune.models import Params
from jaxprune.passes import ActivationStats, Sums, stack
from jaxprune.pruning import (
    FinishedLayer,
    PackedMasks,
    PrunedBlock,
    hash_changed,
    hash_masks,
    hash_weights,
)
from jaxprune.runs import checkpoint, figures
from jaxprune.runs.layer_file import LAYERS, layer_file, write_layer
from jaxprune.runs.orbax_folder import restore_tree, whole
from jaxprune.runs.planning import BlocksConfig


@dataclasses.dataclass(frozen=True)
class PrunedLayers:
    """All layers of a pruned model.

    Attributes:
      kept: of every layer, kernel path → (kept weights, all weights).
      masks: of all layers.
      stats: None for criteria without statistics.
      config: the content of config.json.
      report: the content of report.json that is known before the folders are written.
    """

    kept: Sequence[Mapping[str, tuple[int, int]]]
    masks: PackedMasks
    stats: ActivationStats | None
    config: Mapping[str, Any]
    report: Mapping[str, Any]


class Filling(NamedTuple):
    """An unfinished folder.

    Attributes:
      close: receives all layers and seals the folder; writes no folder if there is nothing to write.
      add: receives the pruned blocks one by one.
    """

    close: Callable[[PrunedLayers], None]
    add: Callable[[PrunedBlock], None] = lambda block: None


@dataclasses.dataclass(frozen=True)
class Output:
    """A folder that a run may write.

    Attributes:
      name: of the folder in the workdir.
      fill: starts to fill the folder at a path; None if the config disables it.
      blocks: opens the weights of a finished folder, read by layer; None without weights. All files are verified by
        the digests of the folder's table; these weights also by the masks.
    """

    name: str
    fill: Callable[[Model, BlocksConfig, Path], Filling | None]
    blocks: Callable[[Path], Callable[[int], Params] | None] = lambda folder: None


def _fill_checkpoint(model: Model, config: BlocksConfig, folder: Path) -> Filling:
    blocks: list[Params] = []

    def add(block: PrunedBlock) -> None:
        if config.output.params:
            blocks.append(block.params)

    def close(pruned: PrunedLayers) -> None:
        params = None
        if config.output.params:
            ends = {part: model.part(part) for part in ("embed", "head")}
            params = {**ends, "blocks": stack_layers(blocks)}
        metadata = {"config": pruned.config, **pruned.report}
        checkpoint.save(folder, params=params, packed_masks=pruned.masks, metadata=metadata)

    return Filling(close, add)


def _checkpointed_blocks(folder: Path) -> Callable[[int], Params] | None:
    item = whole(folder) / "params"
    if not item.is_dir():
        return None
    params = restore_tree(item, None)
    return lambda layer: jax.tree.map(lambda leaf: leaf[layer], params["blocks"])


def _fill_stats(model: Model, config: BlocksConfig, folder: Path) -> Filling:
    def close(pruned: PrunedLayers) -> None:
        if pruned.stats is not None:
            checkpoint.save_stats(
                folder, pruned.stats, model, dtype=config.dtype, propagate=config.pruning.propagate
            )

    return Filling(close)


def _fill_hf(model: Model, config: BlocksConfig, folder: Path) -> Filling | None:
    if not (config.output.hf and hosts.is_first()):
        return None
    writer = HfWriter(model, folder)

    def close(_: PrunedLayers) -> None:
        writer.copy_unpruned()
        writer.close(card=config.output.card)

    return Filling(close, lambda block: writer.write_block(block.params, block.layer))


def _exported_blocks(folder: Path) -> Callable[[int], Params] | None:
    return load(folder).block if folder.is_dir() else None


def _fill_figures(model: Model, config: BlocksConfig, folder: Path) -> Filling | None:
    if not (config.output.figures and hosts.is_first()):
        return None

    def close(pruned: PrunedLayers) -> None:
        with sealed.whole_folder(folder) as filled:
            for name, chart in figures.charts(pruned.kept, pruned.stats).items():
                write_png(chart, filled / f"{name}.png")

    return Filling(close)


def _fill_layers(model: Model, config: BlocksConfig, folder: Path) -> Filling | None:
    """Finished layers of a run that changes weights, as masks alone do not determine its result."""
    if not hosts.is_first():
        return None

    def add(block: PrunedBlock) -> None:
        if block.finished.changed:
            folder.mkdir(exist_ok=True)
            write_layer(layer_file(folder, block.layer), block.finished)

    def close(pruned: PrunedLayers) -> None:
        if not folder.is_dir():
            return
        for number in range(model.config.n_layers):
            if not (file := layer_file(folder, number)).exists():  # ignored, so unchanged
                write_layer(file, FinishedLayer(pruned.masks.layer(number).unpack(), {}, {}, {}))
        sealed.seal(folder)

    return Filling(close, add)


OUTPUTS: dict[str, Output] = {
    output.name: output
    for output in (
        Output("checkpoint", _fill_checkpoint, _checkpointed_blocks),
        Output("stats", _fill_stats),
        Output("hf", _fill_hf, _exported_blocks),
        Output("figures", _fill_figures),
        Output(LAYERS, _fill_layers),
    )
}


class Outputs:
    """Writes blocks as they are pruned, on a thread, one block behind the devices.

    Keeps packed masks and sums of all layers; outputs take everything else from each block as it arrives.

    Args:
      model, config: of the run.
      folder: of an `unfinished_run`: receives the files of finished layers, and the outputs.
      finished: number of layers that have a file already.
    """

    def __init__(self, model: Model, config: BlocksConfig, folder: Path, finished: int) -> None:
        self.kept: list[dict[str, tuple[int, int]]] = []
        self.seconds: list[dict[str, float]] = []
        self.damping: dict[str, dict[str, float]] = {}  # layer → site, where it was raised
        self.losses: list[tuple[float, float]] = []  # of recovery, before and after
        self._sums: list[Sums] = []
        self._model = model
        self._folder, self._finished = folder, finished
        fillings = (output.fill(model, config, folder / name) for name, output in OUTPUTS.items())
        self._fillings = [filling for filling in fillings if filling is not None]
        self._packed: list[PackedMasks] = []
        self._weights, self._masks, self._changed = (hashlib.sha256() for _ in range(3))
        self._changes = False  # whether any kept weight has a new value
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, *error: Any) -> None:
        self._pool.shutdown()

    def add(self, block: PrunedBlock) -> None:
        """Queues a block for writing; waits until the previous one is written."""
        self.wait()
        self._pending = self._pool.submit(self._write, block)

    def wait(self) -> None:
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
        for filling in self._fillings:
            filling.add(block)
        self._packed.append(packed)
        self.kept.append(block.kept)
        self.seconds.append(block.seconds)
        self._sums.append(block.finished.sums)
        if block.finished.damping:
            self.damping[str(block.layer)] = block.finished.damping
        if block.finished.loss is not None:
            self.losses.append(block.finished.loss)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the pruned blocks' parameters, of mask bits, and of changed weights if any, by layer and path."""
        self.wait()
        digests = {"weights": self._weights.hexdigest(), "masks": self._masks.hexdigest()}
        return digests | ({"changed": self._changed.hexdigest()} if self._changes else {})

    def close(
        self, config: Mapping[str, Any], report: Mapping[str, Any], tokens: Mapping[SetKey, int]
    ) -> None:
        """Completes the folders with all layers.

        Args:
          config, report: see `PrunedLayers`.
          tokens: token counts of each set, without pads.
        """
        self.wait()
        stats = None
        if self._sums[0]:
            stats = stack(self._sums, tokens, self._model.config)
        masks = PackedMasks.stack(self._packed)
        for filling in self._fillings:
            filling.close(PrunedLayers(self.kept, masks, stats, config, report))
