"""Llama, Qwen2 and Qwen3: RMS norms, rotary positions, grouped KV heads, a gated MLP."""

from collections.abc import Collection
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.attention_config import parse_grouped_heads, qwen_windows, without_windows
from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention, Norm, project_heads
from jaxprune.models.config import ModelConfig
from jaxprune.models.family import Family, with_biases
from jaxprune.models.layers import ACTIVATIONS, Embed, GatedMLP, Linear, RMSNorm, rotate
from jaxprune.models.positions import Kind, Positions
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Llama, Qwen2 or Qwen3 config.json."""
    sizes = parse_common(hf)
    layers, rope = sizes["n_layers"], parse_rope(hf)
    if model_type == "llama":
        kinds = without_windows(hf, layers, sizes["max_positions"], rope)
    else:
        kinds = qwen_windows(hf, layers, rope)
    if model_type == "qwen2":  # always has these biases and no attribute for them
        sizes["qkv_bias"] = True
    return ModelConfig(family=model_type, qk_norm=model_type == "qwen3", **kinds, **sizes)


def parse_common(
    hf: Attributes,
    *,
    activation: str = "hidden_act",
    activations: Collection[str] = ACTIVATIONS,
    norm_eps: str = "rms_norm_eps",
) -> dict[str, Any]:
    """The fields that Llama's relatives share; biases only if transformers' class has their attribute.

    Args:
      activation, norm_eps: the family's names of these attributes.
      activations: allowed values.
    """
    d_model = hf.size("hidden_size")
    hf.require(activation, list(activations))
    attention_bias, mlp_bias = (
        hf.has_default(name) and hf.take(name, bool) for name in ("attention_bias", "mlp_bias")
    )
    return {
        "vocab_size": hf.size("vocab_size"),
        "d_model": d_model,
        "n_layers": hf.size("num_hidden_layers"),
        **parse_grouped_heads(hf, d_model),
        "d_ff": hf.size("intermediate_size"),
        "activation": hf.take(activation, str),
        "norm_eps": hf.take(norm_eps, float),
        "tied_head": hf.take("tie_word_embeddings", bool),
        "max_positions": hf.size("max_position_embeddings"),
        "qkv_bias": attention_bias,
        "out_bias": attention_bias,
        "mlp_bias": mlp_bias,
    }


class SelfAttention(Attention):
    """Grouped KV heads, rotated if the config has rotary positions; Qwen3 norms queries and keys head by head."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.config = config
        D, H = config.d_model, config.head_dim
        self.query = Linear(D, config.n_heads * H, config.qkv_bias, rngs)
        self.key = Linear(D, config.n_kv_heads * H, config.qkv_bias, rngs)
        self.value = Linear(D, config.n_kv_heads * H, config.qkv_bias, rngs)
        self.out = Linear(config.n_heads * H, D, config.out_bias, rngs)
        if config.qk_norm:
            self.query_norm = self.head_norm(config.n_heads, rngs)
            self.key_norm = self.head_norm(config.n_kv_heads, rngs)

    def head_norm(self, heads: int, rngs: nnx.Rngs) -> Norm:
        """The norm of queries or keys, head by head."""
        del heads
        return RMSNorm(self.config.head_dim, self.config.norm_eps, rngs)

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Queries and keys, rotated by their positions, and values."""
        config = self.config
        q, k, v = (project_heads(w, x, config.head_dim) for w in (self.query, self.key, self.value))
        if config.qk_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        ropes = [layer_kind.rope for layer_kind in config.kinds]
        return rotate(q, ropes, positions, kind), rotate(k, ropes, positions, kind), v


TENSORS = {
    "embed/tokens": "embed_tokens.weight",
    "head/norm/scale": "norm.weight",
    "blocks/attention_norm/scale": "layers.{i}.input_layernorm.weight",
    "blocks/attention/query_norm/scale": "layers.{i}.self_attn.q_norm.weight",
    "blocks/attention/key_norm/scale": "layers.{i}.self_attn.k_norm.weight",
    "blocks/mlp_norm/scale": "layers.{i}.post_attention_layernorm.weight",
    **with_biases(
        {
            "blocks/attention/query/kernel": "layers.{i}.self_attn.q_proj.weight",
            "blocks/attention/key/kernel": "layers.{i}.self_attn.k_proj.weight",
            "blocks/attention/value/kernel": "layers.{i}.self_attn.v_proj.weight",
            "blocks/attention/out/kernel": "layers.{i}.self_attn.o_proj.weight",
            "blocks/mlp/gate/kernel": "layers.{i}.mlp.gate_proj.weight",
            "blocks/mlp/up/kernel": "layers.{i}.mlp.up_proj.weight",
            "blocks/mlp/out/kernel": "layers.{i}.mlp.down_proj.weight",
        }
    ),
}

FAMILY = Family(
    model_types=("llama", "qwen2", "qwen3"),
    parse=parse,
    embed=Embed,
    norm=RMSNorm,
    attention=SelfAttention,
    mlp=GatedMLP,
    tensors=TENSORS,
    prefix="model.",
    ignored=(r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
)
