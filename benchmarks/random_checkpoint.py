"""Random checkpoints of published shapes, written block by block so that any size fits."""

import json
import tempfile
from pathlib import Path

import jax
import ml_dtypes
import numpy as np

from jaxprune.hf import ShardWriter, to_stored
from jaxprune.models import load_config, modules

SHAPES = {
    "bloom-560m": {"model_type": "bloom", "hidden_size": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 250880},
    "bloom-7b1": {"model_type": "bloom", "hidden_size": 4096, "n_layer": 30, "n_head": 32, "vocab_size": 250880},
    "xglm-564m": {
        "model_type": "xglm", "d_model": 1024, "num_layers": 24, "attention_heads": 16,
        "ffn_dim": 4096, "vocab_size": 256008, "max_position_embeddings": 2048,
    },
    "xglm-7.5b": {
        "model_type": "xglm", "d_model": 4096, "num_layers": 32, "attention_heads": 32,
        "ffn_dim": 16384, "vocab_size": 256008, "max_position_embeddings": 2048,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text", "hidden_size": 1152, "num_hidden_layers": 26, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 6912, "vocab_size": 262144,
        "sliding_window": 512, "rope_theta": 1000000, "rope_local_base_freq": 10000,
        "max_position_embeddings": 32768,
    },
}  # fmt: skip
NAMES = {
    "bloom": ("n_layer", "vocab_size"), "xglm": ("num_layers", "vocab_size"),
    "gemma3_text": ("num_hidden_layers", "vocab_size"),
}  # fmt: skip


def read(name: str):
    """The config of a shape."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(SHAPES[name]))
        return load_config(Path(folder))


def write(name: str, folder: Path, dtype: str, layers: int | None = None, vocab: int | None = None):
    """Writes a folder with config.json and weights; `layers` and `vocab` make it smaller."""
    raw = dict(SHAPES[name])
    for key, value in zip(NAMES[raw["model_type"]], (layers, vocab), strict=True):
        raw[key] = value or raw[key]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(raw))
    config = load_config(folder)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float32
    rng = np.random.default_rng(0)

    def fill(leaf):
        if leaf.ndim == 1:
            return np.ones(leaf.shape, kind)
        return (0.02 * rng.standard_normal(leaf.shape, np.float32)).astype(kind)

    parts = modules(config)
    writer = ShardWriter(folder)
    writer.write(to_stored(config, jax.tree.map(fill, parts.embed[1]), "embed"))
    for layer in range(config.n_layers):
        writer.write(to_stored(config, jax.tree.map(fill, parts.block[1]), "blocks", layer))
    writer.write(to_stored(config, jax.tree.map(fill, parts.head[1]), "head"))
    writer.close()
    return config
