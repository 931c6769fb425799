"""XGLM (Lin et al., 2022): sinusoidal positions with offset 2, embeddings scaled by √D, exact GELU."""

import math

from jaxtyping import Array, Float, Int

from jaxprune.models.attention_config import parse_full_heads
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.family import Family, with_biases
from jaxprune.models.layers import ACTIVATIONS, MLP, Embed, LayerNorm, sinusoids
from jaxprune.models.positions import Positions, at_positions

POSITION_OFFSET = 2
NORM_EPS = 1e-5  # torch's default: XGLM has no attribute for it


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of an XGLM config.json."""
    heads = parse_full_heads(
        hf, ("d_model", "hidden_size"), ("attention_heads", "num_attention_heads")
    )
    hf.require("add_cross_attention", [False])
    hf.require("activation_function", list(ACTIVATIONS))
    return ModelConfig(
        family="xglm",
        vocab_size=hf.size("vocab_size"),
        n_layers=hf.size("num_layers", "num_hidden_layers"),
        d_ff=hf.size("ffn_dim"),
        activation=hf.take("activation_function", str),
        norm_eps=NORM_EPS,
        tied_head=hf.take("tie_word_embeddings", bool),
        max_positions=hf.size("max_position_embeddings"),
        embed_scale=math.sqrt(heads["d_model"]) if hf.take("scale_embedding", bool) else 1.0,
        position_zero_row=hf.size("pad_token_id", default=None, least=0),
        **heads,
    )


class SinusoidEmbed(Embed):
    """Token embeddings · √D + sinusoids."""

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        config = self.config
        count = tokens.shape[1] if positions is None else positions.limit
        table = sinusoids(count + POSITION_OFFSET, config.d_model, config.position_zero_row)
        return super().__call__(tokens) + at_positions(table[POSITION_OFFSET:], positions)


TENSORS = {
    "embed/tokens": "embed_tokens.weight",
    **with_biases(
        {
            "head/norm/scale": "layer_norm.weight",
            "blocks/attention_norm/scale": "layers.{i}.self_attn_layer_norm.weight",
            "blocks/attention/query/kernel": "layers.{i}.self_attn.q_proj.weight",
            "blocks/attention/key/kernel": "layers.{i}.self_attn.k_proj.weight",
            "blocks/attention/value/kernel": "layers.{i}.self_attn.v_proj.weight",
            "blocks/attention/out/kernel": "layers.{i}.self_attn.out_proj.weight",
            "blocks/mlp_norm/scale": "layers.{i}.final_layer_norm.weight",
            "blocks/mlp/up/kernel": "layers.{i}.fc1.weight",
            "blocks/mlp/out/kernel": "layers.{i}.fc2.weight",
        }
    ),
}

FAMILY = Family(
    model_types=("xglm",),
    parse=parse,
    embed=SinusoidEmbed,
    norm=LayerNorm,
    attention=llama.SelfAttention,
    mlp=MLP,
    tensors=TENSORS,
    prefix="model.",
    ignored=(r"embed_positions\.weights",),
)
