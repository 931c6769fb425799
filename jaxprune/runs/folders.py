"""The folders that a run writes, a record for each: how it is filled, and how the weights in it are read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from jaxprune.devices import hosts
from jaxprune.files import sealed
from jaxprune.hf import HfWriter, Model, load, stack_layers
from jaxprune.models import Params
from jaxprune.passes import ActivationStats
from jaxprune.pruning import PackedMasks, PrunedBlock
from jaxprune.runs import checkpoint, figures
from jaxprune.runs.card import model_card

if TYPE_CHECKING:
    from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class PrunedLayers:
    """All layers of a run that is pruned.

    Attributes:
      kept: of every layer, kernel path → (kept weights, all weights).
      masks: of all layers.
      stats: None for criteria that measure nothing.
      config: as config.json has it.
      report: as report.json has it, as far as it is known before the folders are written.
    """

    kept: Sequence[Mapping[str, tuple[int, int]]]
    masks: PackedMasks
    stats: ActivationStats | None
    config: Mapping[str, Any]
    report: Mapping[str, Any]


class Filling(NamedTuple):
    """A folder in the making.

    Attributes:
      close: writes what needs all layers, and seals the folder; where there is nothing to write there is none.
      add: takes a pruned block, one after the other.
    """

    close: Callable[[PrunedLayers], None]
    add: Callable[[PrunedBlock], None] = lambda block: None


@dataclasses.dataclass(frozen=True)
class Output:
    """A folder that a run may write.

    Attributes:
      name: of the folder in the workdir.
      fill: begins to fill the folder at a path; None where the config does not ask for it.
      blocks: of a finished folder, what reads the parameters of its blocks, by layer; None where it has none.
    """

    name: str
    fill: Callable[[Model, ConfigDict, Path], Filling | None]
    blocks: Callable[[Path], Callable[[int], Params] | None] = lambda folder: None


def _fill_checkpoint(model: Model, config: ConfigDict, folder: Path) -> Filling:
    blocks: list[Params] = []

    def close(pruned: PrunedLayers) -> None:
        params = None
        if config.output.params:
            ends = {part: model.source.part(part) for part in ("embed", "head")}
            params = {**ends, "blocks": stack_layers(blocks)}
        metadata = {"config": pruned.config, **pruned.report}
        checkpoint.save(folder, params=params, packed_masks=pruned.masks, metadata=metadata)

    return Filling(
        close, lambda block: blocks.append(block.params) if config.output.params else None
    )


def _checkpointed_blocks(folder: Path) -> Callable[[int], Params] | None:
    params = checkpoint.restore(folder).params
    if params is None:
        return None
    return lambda layer: jax.tree.map(lambda leaf: leaf[layer], params["blocks"])


def _fill_stats(model: Model, config: ConfigDict, folder: Path) -> Filling:
    def close(pruned: PrunedLayers) -> None:
        if pruned.stats is not None:
            checkpoint.save_stats(folder, pruned.stats)

    return Filling(close)


def _fill_hf(model: Model, config: ConfigDict, folder: Path) -> Filling | None:
    if not (config.output.hf and hosts.is_first()):
        return None
    writer = HfWriter(model, folder)

    def close(pruned: PrunedLayers) -> None:
        writer.copy_unpruned()
        writer.close(model_card(pruned.config, pruned.report) if config.output.card else None)

    return Filling(close, lambda block: writer.write_part(block.params, "blocks", block.layer))


def _exported_blocks(folder: Path) -> Callable[[int], Params] | None:
    return load(folder).block if folder.is_dir() else None


def _fill_figures(model: Model, config: ConfigDict, folder: Path) -> Filling | None:
    if not (config.output.figures and hosts.is_first()):
        return None

    def close(pruned: PrunedLayers) -> None:
        with sealed.whole_folder(folder) as filled:
            figures.draw(filled, pruned.kept, pruned.stats)

    return Filling(close)


OUTPUTS: dict[str, Output] = {
    output.name: output
    for output in (
        Output("checkpoint", _fill_checkpoint, _checkpointed_blocks),
        Output("stats", _fill_stats),
        Output("hf", _fill_hf, _exported_blocks),
        Output("figures", _fill_figures),
    )
}
