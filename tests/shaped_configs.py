"""Configs of block sizes at which products, not constants, decide."""

from jaxprune.models.config import LayerKind, ModelConfig, RopeConfig


def shaped(family, **sizes):
    standard = {
        "family": family, "vocab_size": 1000, "d_model": 256, "n_layers": 3, "n_heads": 4, "n_kv_heads": 4,
        "head_dim": 64, "d_ff": 1024, "activation": "gelu", "norm_eps": 1e-5, "tied_head": True,
    }  # fmt: skip
    return ModelConfig(**standard | sizes)


CONFIGS = {
    "xglm": shaped("xglm", max_positions=512),
    "bloom": shaped("bloom"),
    "llama": shaped(
        "llama", n_kv_heads=2, d_ff=768, activation="silu", qkv_bias=False, mlp_bias=False,
        kinds=(LayerKind(rope=RopeConfig(1e4)),),
    ),
    "mistral": shaped(
        "mistral", activation="silu", qkv_bias=False, mlp_bias=False,
        kinds=(LayerKind(window=96, rope=RopeConfig(1e4)),),
    ),
}  # fmt: skip
