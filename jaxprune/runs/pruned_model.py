"""A finished run and the dense model → the layers of the run, and the pruned model in memory."""

from collections.abc import Callable
from pathlib import Path

from jaxprune.hf import Model
from jaxprune.pruning import FinishedLayer, overlaid
from jaxprune.runs.checkpoint import restore_packed_masks
from jaxprune.runs.layer_file import LAYERS, layer_file, read_layer


def pruned_layers(run: Path) -> Callable[[int], FinishedLayer]:
    """The layers of a finished run: masks, and changed weights if it changed any.

    Raises:
      InputError: no masks, or damaged ones.
    """
    masks, layers = restore_packed_masks(run / "checkpoint"), run / LAYERS

    def layer_of(layer: int) -> FinishedLayer:
        if layers.is_dir():
            return read_layer(layer_file(layers, layer))
        return FinishedLayer(masks.layer(layer).unpack(), {}, {}, {})

    return layer_of


def pruned_model(model: Model, run: Path) -> Model:
    """The dense model with the masks of a run applied, and with the weights that it changed; read block by block.

    Raises:
      InputError: no masks, or damaged ones.
    """
    masks, layers = restore_packed_masks(run / "checkpoint"), run / LAYERS
    if not layers.is_dir():
        return overlaid(model, masks)
    return overlaid(model, masks, lambda layer: read_layer(layer_file(layers, layer)).changed)
