"""BLOOM (BigScience, 2022): ALiBi, a norm after the embedding, fused QKV laid out head by head, tanh GELU."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attention_config import parse_full_heads
from jaxprune.models.attributes import Attributes
from jaxprune.models.block import project_heads
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import gpt2
from jaxprune.models.family import Family, with_biases
from jaxprune.models.layers import MLP, Embed, LayerNorm, alibi_slopes
from jaxprune.models.positions import Kind, Positions


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a BLOOM config.json."""
    heads = parse_full_heads(hf, ("hidden_size", "n_embed"), ("n_head", "num_attention_heads"))
    slices = hf.take("pretraining_tp", int, default=1)
    # The sum over slices of a product leaves out its bias.
    hf.require("slow_but_exact", [False] if slices > 1 else [False, True])
    return ModelConfig(
        family="bloom",
        vocab_size=hf.size("vocab_size"),
        n_layers=hf.size("n_layer", "num_hidden_layers"),
        d_ff=4 * heads["d_model"],
        activation="gelu_new",
        norm_eps=hf.take("layer_norm_epsilon", float),
        tied_head=hf.take("tie_word_embeddings", bool),
        residual_from_norm=hf.take("apply_residual_connection_post_layernorm", bool),
        **heads,
    )


class NormedEmbed(Embed):
    """Token embeddings, then a layer norm; without positions, which ALiBi adds."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        self.norm = LayerNorm(config.d_model, config.norm_eps, rngs)

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        return self.norm(super().__call__(tokens))


class SelfAttention(gpt2.SelfAttention):
    """One fused kernel whose outputs are (head, query | key | value, head_dim)."""

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Queries, keys and values; `positions` have no effect, as ALiBi adds them."""
        fused = project_heads(self.qkv, x, 3 * self.config.head_dim)  # [B, T, N, 3H]
        q, k, v = jnp.split(fused, 3, axis=-1)
        return q, k, v

    @property
    def slopes(self) -> np.ndarray:
        """ALiBi's slope of each head [N]."""
        return alibi_slopes(self.config.n_heads)


TENSORS = {
    "embed/tokens": "word_embeddings.weight",
    **with_biases(
        {
            "embed/norm/scale": "word_embeddings_layernorm.weight",
            "head/norm/scale": "ln_f.weight",
            "blocks/attention_norm/scale": "h.{i}.input_layernorm.weight",
            "blocks/attention/qkv/kernel": "h.{i}.self_attention.query_key_value.weight",
            "blocks/attention/out/kernel": "h.{i}.self_attention.dense.weight",
            "blocks/mlp_norm/scale": "h.{i}.post_attention_layernorm.weight",
            "blocks/mlp/up/kernel": "h.{i}.mlp.dense_h_to_4h.weight",
            "blocks/mlp/out/kernel": "h.{i}.mlp.dense_4h_to_h.weight",
        }
    ),
}

FAMILY = Family(
    model_types=("bloom",),
    parse=parse,
    embed=NormedEmbed,
    norm=LayerNorm,
    attention=SelfAttention,
    mlp=MLP,
    tensors=TENSORS,
    prefix="transformer.",
)
