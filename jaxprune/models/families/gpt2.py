"""GPT-2 (mGPT and the like): learned positions, fused QKV in three parts, kernels stored [in, out]."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attention_config import parse_full_heads
from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention
from jaxprune.models.config import ModelConfig
from jaxprune.models.family import Family, with_biases
from jaxprune.models.layers import ACTIVATIONS, MLP, Embed, LayerNorm, Linear, param
from jaxprune.models.positions import Kind, Positions


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a GPT-2 config.json."""
    heads = parse_full_heads(hf, ("n_embd", "hidden_size"), ("n_head", "num_attention_heads"))
    hf.require("add_cross_attention", [False])
    # a scale by layer would need a program for each layer
    hf.require("scale_attn_by_inverse_layer_idx", [False])
    hf.require("reorder_and_upcast_attn", [False, True])  # has an effect in float16 only
    hf.require("activation_function", list(ACTIVATIONS))
    scaled = hf.take("scale_attn_weights", bool)
    return ModelConfig(
        family="gpt2",
        vocab_size=hf.size("vocab_size"),
        n_layers=hf.size("n_layer", "num_hidden_layers"),
        d_ff=hf.size("n_inner", default=4 * heads["d_model"]),
        activation=hf.take("activation_function", str),
        norm_eps=hf.take("layer_norm_epsilon", float),
        tied_head=hf.take("tie_word_embeddings", bool),
        max_positions=hf.size("n_positions", "max_position_embeddings"),
        **heads | ({} if scaled else {"attention_scale": 1.0}),
    )


class PositionedEmbed(Embed):
    """Token plus learned position embeddings."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        super().__init__(config, rngs)
        self.positions = param(rngs, (config.max_positions or 0, config.d_model), 0.02)

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        places = slice(tokens.shape[1]) if positions is None else positions.index
        return super().__call__(tokens) + self.positions[...][places].astype(jnp.float32)


class SelfAttention(Attention):
    """One fused kernel whose outputs are (query | key | value, head, head_dim)."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.qkv = Linear(config.d_model, 3 * config.d_model, True, rngs)
        self.out = Linear(config.d_model, config.d_model, True, rngs)
        self.config = config

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Queries, keys and values; `positions` have no effect, as the embedding adds them."""
        heads = (*x.shape[:2], self.config.n_heads, self.config.head_dim)
        q, k, v = (part.reshape(heads) for part in jnp.split(self.qkv(x), 3, axis=-1))
        return q, k, v


TENSORS = {
    "embed/tokens": "wte.weight",
    "embed/positions": "wpe.weight",
    **with_biases(
        {
            "head/norm/scale": "ln_f.weight",
            "blocks/attention_norm/scale": "h.{i}.ln_1.weight",
            "blocks/attention/qkv/kernel": "h.{i}.attn.c_attn.weight",
            "blocks/attention/out/kernel": "h.{i}.attn.c_proj.weight",
            "blocks/mlp_norm/scale": "h.{i}.ln_2.weight",
            "blocks/mlp/up/kernel": "h.{i}.mlp.c_fc.weight",
            "blocks/mlp/out/kernel": "h.{i}.mlp.c_proj.weight",
        }
    ),
}

FAMILY = Family(
    model_types=("gpt2",),
    parse=parse,
    embed=PositionedEmbed,
    norm=LayerNorm,
    attention=SelfAttention,
    mlp=MLP,
    tensors=TENSORS,
    prefix="transformer.",
    ignored=(r"h\.\d+\.attn\.(bias|masked_bias)",),
    transposed=False,
)
