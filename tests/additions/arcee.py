"""Arcee: Llama with an MLP without gate, whose activation is the square of relu."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.models.attention_config import without_windows
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import MLP
from jaxprune.models.rope import parse_rope


class SquaredMLP(MLP):
    """`out(relu(up(x))²)`."""

    def expand(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The input of `out`."""
        return jnp.square(super().expand(x))


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of an Arcee config.json."""
    sizes = llama.parse_common(hf, activations=("relu2",)) | {"activation": "relu"}
    kinds = without_windows(hf, sizes["n_layers"], sizes["max_positions"], parse_rope(hf))
    return ModelConfig(family=model_type, **kinds, **sizes)


FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("arcee",),
    parse=parse,
    mlp=SquaredMLP,
    tensors={path: name for path, name in llama.TENSORS.items() if "/gate/" not in path},
)
