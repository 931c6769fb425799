"""The config of a nano model → the attributes of its config.json, the inverse of what its family reads."""

from __future__ import annotations

from typing import Any

from jaxprune.models.config import ModelConfig


def attributes(config: ModelConfig) -> dict[str, Any]:
    """The config.json of a model of one of the three families that nano trains."""
    return _FAMILIES[config.family](config)


def _xglm(config: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["XGLMForCausalLM"],
        "model_type": "xglm",
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "num_layers": config.n_layers,
        "attention_heads": config.n_heads,
        "ffn_dim": config.d_ff,
        "activation_function": config.activation,
        "max_position_embeddings": config.max_positions,
        "scale_embedding": config.embed_scale != 1.0,
        "pad_token_id": config.position_zero_row,
        "tie_word_embeddings": config.tied_head,
    }


def _bloom(config: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["BloomForCausalLM"],
        "model_type": "bloom",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "layer_norm_epsilon": config.norm_eps,
        "apply_residual_connection_post_layernorm": config.residual_from_norm,
        "tie_word_embeddings": config.tied_head,
    }


def _gpt2(config: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_ff,
        "n_positions": config.max_positions,
        "activation_function": config.activation,
        "layer_norm_epsilon": config.norm_eps,
        "scale_attn_weights": config.attention_scale != 1.0,
        "tie_word_embeddings": config.tied_head,
    }


_FAMILIES = {"xglm": _xglm, "bloom": _bloom, "gpt2": _gpt2}
