"""A finished run and the dense model → the pruned model, in memory."""

from pathlib import Path

from jaxprune.hf import Model
from jaxprune.pruning import overlaid
from jaxprune.runs.checkpoint import restore_packed_masks
from jaxprune.runs.layer_file import LAYERS, layer_file, read_layer


def pruned_model(model: Model, run: Path) -> Model:
    """The dense model with the masks of a run applied, and with the weights that it changed; read block by block.

    Raises:
      InputError: no masks, or damaged ones.
    """
    masks, layers = restore_packed_masks(run / "checkpoint"), run / LAYERS
    if not layers.is_dir():
        return overlaid(model, masks)
    return overlaid(model, masks, lambda layer: read_layer(layer_file(layers, layer)).changed)
