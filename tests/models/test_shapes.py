"""Every published size of the families, from their real config.json values, without memory.

Totals are those that the model cards and the hub's safetensors headers give.
"""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import torch
import transformers

from jaxprune.hf import weights
from jaxprune.hf.tensors import StoredTensor
from jaxprune.hf.weights import Weights, shapes
from jaxprune.models.model import forward, load_config


def xglm(d_model, layers, heads, ffn):
    return {
        "activation_dropout": 0, "activation_function": "gelu", "architectures": ["XGLMForCausalLM"],
        "attention_dropout": 0.1, "attention_heads": heads, "bos_token_id": 0, "d_model": d_model,
        "decoder_start_token_id": 2, "dropout": 0.1, "eos_token_id": 2, "ffn_dim": ffn,
        "init_std": 0.02, "layerdrop": 0.0, "max_position_embeddings": 2048, "model_type": "xglm",
        "num_layers": layers, "pad_token_id": 1, "scale_embedding": True, "torch_dtype": "float16",
        "transformers_version": "4.16.0.dev0", "use_cache": True, "vocab_size": 256008,
    }  # fmt: skip


def bloom(hidden, layers, heads):
    return {
        "apply_residual_connection_post_layernorm": False, "architectures": ["BloomForCausalLM"],
        "attention_dropout": 0.0, "attention_softmax_in_fp32": True, "bias_dropout_fusion": True,
        "bos_token_id": 1, "eos_token_id": 2, "hidden_dropout": 0.0, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "masked_softmax_fusion": True, "model_type": "bloom",
        "n_embed": hidden, "n_inner": None, "n_layer": layers, "num_attention_heads": heads,
        "offset_alibi": 100, "pad_token_id": 3, "pretraining_tp": 2, "seq_length": 2048,
        "skip_bias_add": True, "skip_bias_add_qkv": False, "slow_but_exact": False,
        "transformers_version": "4.20.0.dev0", "unk_token_id": 0, "use_cache": True,
        "vocab_size": 250880,
    }  # fmt: skip


def gpt2(n_embd, layers, heads, positions, vocab):
    return {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
        "gradient_checkpointing": False, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2", "n_ctx": positions, "n_embd": n_embd, "n_head": heads,
        "n_inner": None, "n_layer": layers, "n_positions": positions,
        "reorder_and_upcast_attn": False, "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True,
        "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True,
        "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "torch_dtype": "float32", "transformers_version": "4.10.3", "use_cache": True,
        "vocab_size": vocab,
    }  # fmt: skip


LLAMA3_ROPE = {
    "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}  # fmt: skip


def llama(hidden, layers, heads, kv_heads, ffn, vocab, tied, positions=131072, **other):
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": hidden,
        "initializer_range": 0.02, "intermediate_size": ffn, "max_position_embeddings": positions,
        "mlp_bias": False, "model_type": "llama", "num_attention_heads": heads,
        "num_hidden_layers": layers, "num_key_value_heads": kv_heads, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": True,
        "vocab_size": vocab, **other,
    }  # fmt: skip


def qwen(kind, hidden, layers, heads, kv_heads, ffn, window, **other):
    return {
        "architectures": [f"{kind.capitalize()}ForCausalLM"], "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": hidden,
        "initializer_range": 0.02, "intermediate_size": ffn, "max_position_embeddings": 32768,
        "max_window_layers": window, "model_type": kind, "num_attention_heads": heads,
        "num_hidden_layers": layers, "num_key_value_heads": kv_heads, "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "transformers_version": "4.40.1", "use_cache": True, "use_sliding_window": False,
        "vocab_size": 151936, **other,
    }  # fmt: skip


def relative(kind, hidden, layers, heads, kv_heads, ffn, vocab, **other):
    """Of Llama's relatives, with what they alone have."""
    return {
        "architectures": [f"{kind.capitalize()}ForCausalLM"], "attention_dropout": 0.0,
        "hidden_size": hidden, "intermediate_size": ffn, "model_type": kind,
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": kv_heads,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": vocab, **other,
    }  # fmt: skip


def gemma3(hidden, layers, heads, kv_heads, ffn, window, **other):
    return relative(
        "gemma3_text", hidden, layers, heads, kv_heads, ffn, 262144, sliding_window=window,
        rope_theta=1000000, rope_local_base_freq=10000, sliding_window_pattern=6, **other,
    )  # fmt: skip


def gemma3_that_sees(*sizes, **other):
    text = gemma3(*sizes, **other)
    return {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "text_config": {n: v for n, v in text.items() if n != "architectures"} | {"vocab_size": 262208},
        "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
    }  # fmt: skip


MISTRAL = {"rope_theta": 1000000.0, "rms_norm_eps": 1e-05, "sliding_window": None}
COHERE = {"layer_norm_eps": 1e-05, "tie_word_embeddings": True}
APERTUS = {
    "hidden_act": "xielu", "rope_theta": 12000000, "rope_scaling": {"factor": 8.0, **LLAMA3_ROPE},
}  # fmt: skip

PUBLISHED = {
    "google/gemma-3-270m": (gemma3(640, 18, 4, 1, 2048, 512), 268_098_176),
    "google/gemma-3-1b-pt": (gemma3(1152, 26, 4, 1, 6912, 512), 999_885_952),
    "google/gemma-3-4b-pt": (gemma3_that_sees(2560, 34, 8, 4, 10240, 1024), None),
    "google/gemma-3-12b-pt": (gemma3_that_sees(3840, 48, 16, 8, 15360, 1024), None),
    "google/gemma-3-27b-pt": (
        gemma3_that_sees(5376, 62, 32, 16, 21504, 1024, head_dim=128, query_pre_attn_scalar=168),
        None,
    ),
    "google/gemma-2-2b": (relative("gemma2", 2304, 26, 8, 4, 9216, 256000), 2_614_341_888),
    "google/gemma-2-9b": (
        relative("gemma2", 3584, 42, 16, 8, 14336, 256000), 9_241_705_984,
    ),
    "google/gemma-2-27b": (
        relative("gemma2", 4608, 46, 32, 16, 36864, 256000, head_dim=128,
                 query_pre_attn_scalar=144),
        27_227_128_320,
    ),
    "mistralai/Mistral-7B-v0.1": (
        relative("mistral", 4096, 32, 32, 8, 14336, 32000, sliding_window=4096), 7_241_732_096,
    ),
    "mistralai/Mistral-7B-v0.3": (
        relative("mistral", 4096, 32, 32, 8, 14336, 32768, **MISTRAL), 7_248_023_552,
    ),
    "mistralai/Mistral-Nemo-Base-2407": (
        relative("mistral", 5120, 40, 32, 8, 14336, 131072, head_dim=128, **MISTRAL),
        12_247_782_400,
    ),
    "HuggingFaceTB/SmolLM3-3B-Base": (
        relative("smollm3", 2048, 36, 16, 4, 11008, 128256, tie_word_embeddings=True,
                 no_rope_layer_interval=4, rope_theta=5000000.0),
        3_075_098_624,
    ),
    "CohereLabs/aya-expanse-8b": (
        relative("cohere", 4096, 32, 32, 8, 14336, 256000, logit_scale=0.125, **COHERE),
        8_028_033_024,
    ),
    "CohereLabs/aya-expanse-32b": (
        relative("cohere", 8192, 40, 64, 8, 24576, 256000, logit_scale=0.0625, **COHERE),
        32_296_476_672,
    ),
    "CohereLabs/c4ai-command-r7b-12-2024": (
        relative("cohere2", 4096, 32, 32, 8, 14336, 256000, logit_scale=0.25,
                 sliding_window_pattern=4, rope_theta=50000, **COHERE),
        8_028_033_024,
    ),
    "swiss-ai/Apertus-8B-2509": (
        relative("apertus", 4096, 32, 32, 8, 21504, 131072, **APERTUS), None,
    ),
    "swiss-ai/Apertus-70B-2509": (
        relative("apertus", 8192, 80, 64, 8, 43008, 131072, **APERTUS), None,
    ),
    "facebook/xglm-564M": (xglm(1024, 24, 16, 4096), 564_463_616),
    "facebook/xglm-1.7B": (xglm(2048, 24, 16, 8192), 1_732_907_008),
    "facebook/xglm-2.9B": (xglm(2048, 48, 16, 8192), 2_941_505_536),
    "facebook/xglm-4.5B": (xglm(2048, 48, 16, 16384), None),
    "facebook/xglm-7.5B": (xglm(4096, 32, 32, 16384), 7_492_771_840),
    "bigscience/bloom-560m": (bloom(1024, 24, 16), 559_214_592),
    "bigscience/bloom-1b1": (bloom(1536, 24, 16), 1_065_314_304),
    "bigscience/bloom-1b7": (bloom(2048, 24, 16), 1_722_408_960),
    "bigscience/bloom-3b": (bloom(2560, 30, 32), 3_002_557_440),
    "bigscience/bloom-7b1": (bloom(4096, 30, 32), 7_069_016_064),
    "bigscience/bloom": (bloom(14336, 70, 112), 176_247_271_424),
    "ai-forever/mGPT": (gpt2(2048, 24, 16, 2048, 100_000), None),
    "openai-community/gpt2": (gpt2(768, 12, 12, 1024, 50257), 124_439_808),
    "meta-llama/Llama-3.2-1B": (
        llama(2048, 16, 32, 8, 8192, 128256, True, head_dim=64,
              rope_scaling={"factor": 32.0, **LLAMA3_ROPE}),
        1_235_814_400,
    ),
    "meta-llama/Llama-3.2-3B": (
        llama(3072, 28, 24, 8, 8192, 128256, True, head_dim=128,
              rope_scaling={"factor": 32.0, **LLAMA3_ROPE}),
        3_212_749_824,
    ),
    "meta-llama/Llama-3.1-8B": (
        llama(4096, 32, 32, 8, 14336, 128256, False, rope_scaling={"factor": 8.0, **LLAMA3_ROPE}),
        8_030_261_248,
    ),
    "HuggingFaceTB/SmolLM2-135M": (
        llama(576, 30, 9, 3, 1536, 49152, True, 8192, rope_theta=100000, rope_scaling=None,
              is_llama_config=True, rope_interleaved=False,
              **{"transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}}}),
        134_515_008,
    ),
    "HuggingFaceTB/SmolLM2-360M": (
        llama(960, 32, 15, 5, 2560, 49152, True, 8192, rope_theta=100000, rope_scaling=None),
        361_821_120,
    ),
    "Qwen/Qwen2.5-0.5B": (
        qwen("qwen2", 896, 24, 14, 2, 4864, 24, sliding_window=32768, use_mrope=False),
        494_032_768,
    ),
    "Qwen/Qwen3-0.6B-Base": (
        qwen("qwen3", 1024, 28, 16, 8, 3072, 28, head_dim=128, attention_bias=False,
             rope_scaling=None, sliding_window=None),
        596_049_920,
    ),
}  # fmt: skip


def published(name, folder):
    raw, total = PUBLISHED[name]
    (folder / "config.json").write_text(json.dumps(raw))
    return load_config(folder), raw, total


def abstract(config):
    """Parameters as shapes, blocks stacked."""
    tree = {}
    for path, shape in shapes(config).items():
        *parents, leaf = path.split("/")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        stacked = (config.n_layers, *shape) if parents[0] == "blocks" else shape
        node[leaf] = jax.ShapeDtypeStruct(stacked, jnp.bfloat16)
    return tree


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_logits_of_published_sizes(name, tmp_path):
    config, _, total = published(name, tmp_path)
    params = abstract(config)
    if total is not None:
        assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == total
    tokens = jax.ShapeDtypeStruct((2, 7), jnp.int32)
    valid = jax.ShapeDtypeStruct((2, 7), jnp.bool_)
    out = jax.eval_shape(lambda p, t, v: forward(config, p, t, v), params, tokens, valid)
    assert out.shape == (2, 7, config.vocab_size)
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(
    "name",
    ["facebook/xglm-4.5B", "bigscience/bloom-7b1", "ai-forever/mGPT", "meta-llama/Llama-3.1-8B",
     "Qwen/Qwen2.5-0.5B", "Qwen/Qwen3-0.6B-Base", "google/gemma-3-1b-pt", "google/gemma-2-27b",
     "mistralai/Mistral-Nemo-Base-2407", "HuggingFaceTB/SmolLM3-3B-Base", "CohereLabs/aya-expanse-32b",
     "CohereLabs/c4ai-command-r7b-12-2024", "swiss-ai/Apertus-70B-2509"],
)  # fmt: skip
def test_every_tensor_of_torch_at_full_size(name, tmp_path, monkeypatch):
    """Names and shapes of transformers' own model, which is built without memory as well."""
    config, raw, total = published(name, tmp_path)
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(**raw)
        )
    want = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    if config.tied_head:
        del want["lm_head.weight"]
    dtype, file = jnp.dtype("bfloat16"), Path("full-size")
    headers = {key: StoredTensor(shape, dtype, file, 0) for key, shape in want.items()}
    monkeypatch.setattr(weights, "find_tensors", lambda folder: headers)
    Weights(config, tmp_path)  # checks every name and shape both ways
    if total is None:
        total = sum(math.prod(shape) for shape in want.values())
    ours = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract(config)))
    assert ours == total
