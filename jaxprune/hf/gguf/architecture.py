"""A model's config → the fields of GGUF that llama.cpp reads for its architecture."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.models.config import ModelConfig, RopeConfig

# Family of a config → architecture in llama.cpp. It has none for XGLM.
ARCHITECTURES: Mapping[str, str] = {
    "apertus": "apertus",
    "bloom": "bloom",
    "cohere": "command-r",
    "cohere2": "cohere2",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "gpt2": "gpt2",
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "smollm3": "smollm3",
}
_LAYER_NORMS = ("bloom", "cohere", "cohere2", "gpt2")
# The activations that llama.cpp computes, by family; the others have SiLU.
_ACTIVATIONS = {
    "apertus": ("xielu",),
    "bloom": ("gelu_new",),
    "gemma2": ("gelu_pytorch_tanh", "gelu_new"),
    "gemma3_text": ("gelu_pytorch_tanh", "gelu_new"),
    "gpt2": ("gelu_new", "gelu_pytorch_tanh"),
}
# Layers between those without a window (Gemma, Cohere 2) or without rotary positions (SmolLM3), where it is fixed.
_EVERY = {"cohere2": 4, "smollm3": 4}
_UNBOUNDED = 2048  # context of models without a bound


def check_architecture(config: ModelConfig) -> None:
    """Rejects a model that llama.cpp does not have, or computes in another way.

    Raises:
      InputError: names the attribute.
    """
    family = config.family
    if family not in ARCHITECTURES:
        raise InputError(
            f"model: llama.cpp has no {family} model; expected {', '.join(sorted(ARCHITECTURES))}"
        )
    fixed = {
        "activation": config.activation in _ACTIVATIONS.get(family, ("silu",)),
        "attention scale": abs(config.attention_scale * config.head_dim**0.5 - 1) < 1e-6,
        "norm of queries and keys": _has_known_norms(config),
        "residual of the norm": not config.residual_from_norm,
        "scale of embeddings": config.embed_scale == 1.0 or family.startswith("gemma"),
        "layers without windows or rotary positions": _has_fixed_layers(config),
        "scaling of rotary positions": _has_known_ropes(config),
        "biases of attention or MLP": _has_known_biases(config),
    }
    for name, is_known in fixed.items():
        if not is_known:
            raise InputError(f"model: llama.cpp does not have this {name} in {family} models")


def _has_fixed_layers(config: ModelConfig) -> bool:
    kinds = [config.kind(layer) for layer in range(config.n_layers)]
    windows = {kind.window for kind in kinds}
    ropes = {kind.rope for kind in kinds}
    if config.family in _EVERY:
        every = _EVERY[config.family]
        fulls = [(layer + 1) % every == 0 for layer in range(config.n_layers)]
        is_rotated = [kind.rope is not None for kind in kinds] == [not full for full in fulls]
        windowed = [kind.window is not None for kind in kinds]
        has_windows = windowed == [not full for full in fulls]
        return is_rotated and (has_windows if config.family == "cohere2" else not any(windowed))
    if config.family.startswith("gemma"):
        return len(windows - {None}) <= 1
    return len(windows) == 1 and len(ropes) == 1


def _has_known_ropes(config: ModelConfig) -> bool:
    ropes = [kind.rope for kind in config.kinds if kind.rope is not None]
    if config.family == "gemma3_text":  # scaling of layers without windows only
        return all(
            kind.rope.linear_factor == 1 for kind in config.kinds if kind.window and kind.rope
        )
    return all(rope.linear_factor == 1 or rope.factor is None for rope in ropes)


def _has_known_norms(config: ModelConfig) -> bool:
    # llama.cpp takes a deep Command R for the one with norms
    return config.family != "cohere" or config.qk_norm == (config.n_layers >= 64)


def _has_known_biases(config: ModelConfig) -> bool:
    if config.family in ("bloom", "gpt2"):
        return True
    allowed = {"qwen2": (True, False, False)}.get(config.family, (False, False, False))
    biases = (config.qkv_bias, config.out_bias, config.mlp_bias)
    return biases == allowed or config.family in ("llama", "mistral")


def write_fields(writer: Any, config: ModelConfig) -> None:
    """Adds the sizes and options of a model to a `gguf.GGUFWriter`."""
    kinds = [config.kind(layer) for layer in range(config.n_layers)]
    windows = {kind.window for kind in kinds if kind.window is not None}
    is_mixed = any(kind.window is None for kind in kinds)
    context = config.max_positions or _UNBOUNDED
    if not is_mixed:  # llama.cpp has no windows in all layers, which within one are not needed
        context = min(context, *windows)
    sizes: Mapping[Callable[[Any], None], Any] = {
        writer.add_context_length: context,
        writer.add_embedding_length: config.d_model,
        writer.add_block_count: config.n_layers,
        writer.add_feed_forward_length: config.d_ff,
        writer.add_head_count: config.n_heads,
        writer.add_head_count_kv: config.n_kv_heads,
        writer.add_key_length: config.head_dim,
        writer.add_value_length: config.head_dim,
        writer.add_vocab_size: config.vocab_size,
    }
    for add, value in sizes.items():
        add(value)
    if config.family in _LAYER_NORMS:
        writer.add_layer_norm_eps(config.norm_eps)
    else:
        writer.add_layer_norm_rms_eps(config.norm_eps)
    _write_positions(writer, config)
    if windows and is_mixed:
        writer.add_sliding_window(max(windows))
        writer.add_sliding_window_pattern([kind.window is not None for kind in kinds])
    if config.attention_softcap is not None:
        writer.add_attn_logit_softcapping(config.attention_softcap)
    if config.logit_softcap is not None:
        writer.add_final_logit_softcapping(config.logit_softcap)
    if config.family.startswith("cohere"):
        writer.add_logit_scale(config.logit_scale)


def _write_positions(writer: Any, config: ModelConfig) -> None:
    import gguf

    kinds = [config.kind(layer) for layer in range(config.n_layers)]
    rope = next((kind.rope for kind in kinds if kind.window is None and kind.rope), None)
    rope = rope or next((kind.rope for kind in kinds if kind.rope), None)
    if rope is None:
        return
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(rope.theta)
    if rope.linear_factor != 1:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope.linear_factor)
    elif config.family.startswith("cohere"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    local = next((kind.rope for kind in kinds if kind.window is not None and kind.rope), None)
    if local is not None and config.family == "gemma3_text":
        writer.add_rope_freq_base_swa(local.theta)


def llama3_rope(config: ModelConfig) -> RopeConfig | None:
    """The rotary positions with wavelengths scaled as in Llama 3, which are a tensor of the file; None without."""
    ropes = [kind.rope for kind in config.kinds if kind.rope is not None]
    return next((rope for rope in ropes if rope.factor is not None), None)
