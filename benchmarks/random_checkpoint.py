"""Random checkpoints of published shapes, written block by block so that any size fits."""

import json
import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.weights import exported_specs, to_stored
from jaxprune.models.model import load_config, modules

LLAMA3_ROPE = {
    "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip
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
    "llama-3.2-1b": {
        "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256, "rope_theta": 500000.0,
        "rope_scaling": LLAMA3_ROPE, "rms_norm_eps": 1e-05, "tie_word_embeddings": True,
        "max_position_embeddings": 131072,
    },
    # of no published model: the three families that accelerator.py runs, in seconds on any CPU
    "tiny-bloom": {"model_type": "bloom", "hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 512},
    "tiny-gemma": {
        "model_type": "gemma3_text", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 192, "vocab_size": 512,
        "sliding_window": 24, "sliding_window_pattern": 2, "rope_theta": 1000000,
        "rope_local_base_freq": 10000, "max_position_embeddings": 512,
    },
    "tiny-llama": {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 192, "vocab_size": 512, "rope_theta": 500000.0,
        "rope_scaling": LLAMA3_ROPE, "rms_norm_eps": 1e-05, "tie_word_embeddings": True,
        "max_position_embeddings": 131072,
    },
}  # fmt: skip
PIECE = 1 << 22  # numbers that a thread makes at a time
LAYERS = {"bloom": "n_layer", "xglm": "num_layers"}  # where it is not "num_hidden_layers"


def read(name: str):
    """The config of a shape."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(SHAPES[name]))
        return load_config(Path(folder))


def write(name: str, folder: Path, dtype: str, layers: int | None = None, vocab: int | None = None):
    """Writes a folder with config.json and weights; `layers` and `vocab` make it smaller."""
    raw = dict(SHAPES[name])
    depth = LAYERS.get(raw["model_type"], "num_hidden_layers")
    raw |= {depth: layers or raw[depth], "vocab_size": vocab or raw["vocab_size"]}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(raw))
    config = load_config(folder)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float32
    parts = modules(config)
    writer = ShardWriter(folder, exported_specs(config, lambda path, layer: np.dtype(kind)))
    writer.write(to_stored(config, _filled(parts.embed[1], kind, 0), "embed"))
    for layer in range(config.n_layers):
        block = _filled(parts.block[1], kind, 2 + layer)
        writer.write(to_stored(config, block, "blocks", layer))
    writer.write(to_stored(config, _filled(parts.head[1], kind, 1), "head"))
    writer.close()
    return config


def _filled(abstract, kind, seed):
    """Random parameters in place of shapes: kernels around 0, scales of norms around 1, biases small."""

    def fill(path, leaf, place):
        mean, spread = (0, 0.02) if leaf.ndim > 1 else (path[-1] == "scale", 0.1)
        out = np.empty(math.prod(leaf.shape), kind)
        pieces = range(0, out.size, PIECE)

        # each piece has a generator of its own, so that threads may share them out
        def fill_piece(start):
            rng = np.random.default_rng([seed, place, start])
            numbers = rng.standard_normal(min(PIECE, out.size - start), np.float32)
            out[start : start + PIECE] = spread * numbers + mean

        with ThreadPoolExecutor() as pool:
            list(pool.map(fill_piece, pieces))
        return out.reshape(leaf.shape)

    flat = flatten_dict(abstract)
    return unflatten_dict({path: fill(path, flat[path], i) for i, path in enumerate(flat)})
