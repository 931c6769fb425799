"""The files that have the result of a step: each writer takes the blocks one by one, and is closed at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from flax.traverse_util import flatten_dict

from jaxprune.base.workdir.reading import GGUF
from jaxprune.data.batches import SetKey
from jaxprune.devices import hosts
from jaxprune.hf.export import HfWriter
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import GgufWriter
from jaxprune.hf.model import Model
from jaxprune.hf.weights import stack_layers
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import Params
from jaxprune.stats.finished import PrunedBlock
from jaxprune.stats.probe import stack
from jaxprune.stats.stats import Sums
from jaxprune.steps import checkpoint
from jaxprune.steps.step import Opened, Outputs


@runtime_checkable
class Writer(Protocol):
    """What fills a file or folder of a run."""

    def write(self, block: PrunedBlock) -> None:
        """Takes the next block."""

    def close(self, report: Mapping[str, Any]) -> None:
        """Completes the file or folder; `report` is the content of report.json that is known by then."""


def writers_of(
    outputs: Outputs, opened: Opened, folder: Path, config: Mapping[str, Any], *, card: bool
) -> list[Writer]:
    """The writers of the outputs of a run, in the order in which they are closed.

    Args:
      folder: of the run, in which each makes its own.
      config: the content of config.json.
      card: whether `hf/` gets a model card, whose text comes later.
    """
    model = opened.model
    writers: list[Writer] = []
    if outputs.masks:
        writers.append(Checkpoint(model, folder / "checkpoint", config, outputs.params))
    writers.append(Statistics(opened, folder / "stats", str(config["dtype"]), outputs.propagate))
    if outputs.hf and hosts.is_first():
        writers.append(HuggingFace(model, folder / "hf", card))
    if outputs.types is not None and hosts.is_first():
        writers.append(Gguf(model, outputs.types, folder / GGUF))
    return writers


class HuggingFace:
    """The folder `hf/`, filled block by block."""

    def __init__(self, model: Model, folder: Path, card: bool) -> None:
        self._writer, self._card = HfWriter(model, folder), card

    def write(self, block: PrunedBlock) -> None:
        self._writer.write_block(block.params, block.layer)

    def close(self, report: Mapping[str, Any]) -> None:
        del report
        self._writer.copy_unpruned()
        self._writer.close(card=self._card)


class Gguf:
    """The file `model.gguf`, filled block by block with the records of kernels."""

    def __init__(self, model: Model, types: Types, file: Path) -> None:
        self._writer = GgufWriter(model, types, file)

    def write(self, block: PrunedBlock) -> None:
        params = flatten_dict(dict(block.params), sep="/")
        self._writer.write_block({**params, **block.finished.changed}, block.layer)

    def close(self, report: Mapping[str, Any]) -> None:
        del report
        self._writer.close()


class Checkpoint:
    """The folder `checkpoint/`: the masks of all layers as bits and, if asked for, all parameters."""

    def __init__(self, model: Model, folder: Path, config: Mapping[str, Any], params: bool) -> None:
        self._model, self._folder, self._config, self._has_params = model, folder, config, params
        self._blocks = list[Params]()
        self._packed = list[PackedMasks]()

    def write(self, block: PrunedBlock) -> None:
        self._packed.append(PackedMasks.of(block.keep))
        if self._has_params:
            self._blocks.append(block.params)

    def close(self, report: Mapping[str, Any]) -> None:
        params = None
        if self._has_params:
            ends = {part: self._model.part(part) for part in ("embed", "head")}
            params = {**ends, "blocks": stack_layers(self._blocks)}
        checkpoint.save(
            self._folder, params=params, packed_masks=PackedMasks.stack(self._packed),
            metadata={"config": self._config, **report},
        )  # fmt: skip


class Statistics:
    """The folder `stats/`, if the step measured any that are kept."""

    def __init__(self, opened: Opened, folder: Path, dtype: str, propagate: str) -> None:
        self._model, self._folder = opened.model, folder
        self._tokens: Mapping[SetKey, int] = opened.tokens
        self._dtype, self._propagate = dtype, propagate
        self._sums = list[Sums]()

    def write(self, block: PrunedBlock) -> None:
        self._sums.append(block.finished.sums)

    def close(self, report: Mapping[str, Any]) -> None:
        del report
        if self._sums[0]:
            stats = stack(self._sums, self._tokens, self._model, self._dtype, self._propagate)
            checkpoint.save_stats(self._folder, stats, self._model)
