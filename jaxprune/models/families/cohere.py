"""Cohere's Command R and Aya: attention and MLP in parallel after one norm, interleaved rotary positions.

Cohere 2 has windows in most layers, and rotary positions in these alone.
"""

import dataclasses
from typing import Any

from flax import nnx

from jaxprune.models.attention_config import distinct, sliding_kinds, sliding_pattern
from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Norm, ParallelBlock
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import ScaleNorm
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Cohere or Cohere 2 config.json."""
    sizes = llama.parse_common(hf, norm_eps="layer_norm_eps")
    return ModelConfig(
        family=model_type,
        qk_norm=model_type == "cohere" and hf.take("use_qk_norm", bool),
        logit_scale=hf.take("logit_scale", float),
        **_kinds(model_type, hf, sizes["n_layers"]),
        **sizes,
    )


def _kinds(model_type: str, hf: Attributes, layers: int) -> dict[str, Any]:
    theta = 500_000.0 if model_type == "cohere" else 10_000.0
    rotated = LayerKind(rope=dataclasses.replace(parse_rope(hf, theta), interleaved=True))
    if model_type == "cohere":
        return distinct([rotated])
    slides = sliding_pattern(hf, layers, default=4)
    return sliding_kinds(hf, slides, rotated, LayerKind())


class SelfAttention(llama.SelfAttention):
    """Llama's attention; norms of queries and keys have a scale for each head."""

    def head_norm(self, heads: int, rngs: nnx.Rngs) -> Norm:
        """The norm of queries or keys."""
        return ScaleNorm(self.config.head_dim, self.config.norm_eps, rngs, heads)


FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("cohere", "cohere2"),
    parse=parse,
    norm=ScaleNorm,
    attention=SelfAttention,
    block_class=ParallelBlock,
)
