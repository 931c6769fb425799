"""Published config.json files against what transformers makes of them.

Those that the package lists, and others with older names and odd attributes, cut down to what matters. With
JAXPRUNE_DATA, all files of its folder `configs/` are tested too.
"""

import json
import os
from importlib.resources import files
from pathlib import Path

import pytest
import transformers

import jaxprune as jp
from jaxprune.models.families import FAMILIES
from jaxprune.models.model import load_config

DATA = os.environ.get("JAXPRUNE_DATA")
FILES = sorted(Path(DATA, "configs").glob("*.json")) if DATA else []
LISTED = json.loads(files("jaxprune.models").joinpath("published.json").read_text("utf-8"))

# Files of supported types that must not load → the reason that the error gives.
REFUSED = {
    "e5-mistral-7b.json": r"architectures=\['MistralModel'\] is not a causal language model",
    "gpt2-pivoice-classifier.json": r"architectures=\['GPT2ForSequenceClassification'\]",
    "llama3.1-405b-fp8.json": r"quantised \(fbgemm_fp8\): dequantise first",
    "qwen1.5-4b-chat-auto_map.json": "auto_map: the model needs custom code",
    "qwen3-8b-fp8.json": r"quantised \(fp8\): dequantise first",
    "tinyllama-text2sql-bnb4.json": r"quantised \(bitsandbytes\): dequantise first",
}


def sizes(model_type, **changes):
    """Attributes of a llama or a Qwen as most published files have them."""
    return {
        "architectures": [f"{model_type.capitalize()}ForCausalLM"], "model_type": model_type,
        "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": [2, 5], "hidden_act": "silu",
        "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632,
        "max_position_embeddings": 4096, "num_attention_heads": 16, "num_hidden_layers": 4,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.40.0",
        "use_cache": True, "vocab_size": 32000,
    } | changes  # fmt: skip


def without(raw, *names):
    return {name: value for name, value in raw.items() if name not in names}


GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-05, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 4,
    "n_positions": 1024, "vocab_size": 50257,
}  # fmt: skip

PUBLISHED = {
    "llama of 2023, capitals and max_sequence_length": without(
        sizes("llama", architectures=["LLaMAForCausalLM"], max_sequence_length=2048, pad_token_id=-1),
        "num_key_value_heads", "max_position_embeddings", "rope_theta", "tie_word_embeddings",
    ),
    "Vicuna, 16k": sizes(
        "llama", rope_scaling={"factor": 4.0, "type": "linear"}, pretraining_tp=2, pad_token_id=0,
        num_key_value_heads=16, _flash_attn_2_enabled=True, max_sequence_length=16384,
    ),
    "Llama 3.2 by unsloth": sizes(
        "llama", unsloth_fixed=True, unsloth_version="2025.3.19", head_dim=64, mlp_bias=False,
        rope_scaling={
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
    ),
    "without rotary positions": without(sizes("llama"), "rope_theta"),
    "rotary positions of null": sizes("llama", rope_theta=None, rope_scaling={"rope_type": "default"}),
    "dynamic rotary positions": sizes("llama", rope_scaling={"type": "dynamic", "factor": 4}),
    "a config of transformers 5": without(
        sizes(
            "llama", dtype="bfloat16", rope_parameters={"rope_theta": 5e5, "rope_type": "default"},
            layer_types=["full_attention"] * 4, pad_token_id=None, rope_scaling=None,
        ),
        "rope_theta", "torch_dtype",
    ),
    "Qwen 2.5 for a million tokens": sizes(
        "qwen2", dual_chunk_attention_config={"chunk_size": 262144, "local_size": 8192},
        sliding_window=32768, use_sliding_window=True, max_window_layers=28,
    ),
    "Qwen 3, cut": without(
        sizes("qwen3", attention_bias=True), "num_key_value_heads", "hidden_act", "rms_norm_eps"
    ) | {"num_attention_heads": 64},
    "Cerebras-GPT": GPT2 | {
        "architectures": ["GPT2Model"], "activation_function": "gelu", "n_inner": 3000,
        "reorder_and_upcast_attn": False, "scale_attn_weights": True,
    },
    "BLOOM, as first published": {
        "architectures": ["BloomModel"], "model_type": "bloom", "n_embed": 1024, "n_inner": None,
        "num_attention_heads": 16, "n_layer": 4, "offset_alibi": 100, "seq_length": 2048,
        "pretraining_tp": 2, "vocab_size": 250880, "unk_token_id": 0, "bias_dropout_fusion": True,
        "skip_bias_add": True, "masked_softmax_fusion": True,
    },
    # of Gemma 3 4B, as published: all else is the class's
    "Gemma 3 that sees": {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "boi_token_index": 255999, "eoi_token_index": 256000, "eos_token_id": [1, 106],
        "image_token_index": 262144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
            "num_hidden_layers": 34, "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"},
    },
    "Gemma 2": {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 3584, "num_hidden_layers": 42,
        "num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 14336,
        "query_pre_attn_scalar": 224, "sliding_window_size": 4096, "cache_implementation": "hybrid",
        "attn_logit_softcapping": None,
    },
    "Mistral that does not say": sizes("mistral"),
    "SmolLM 3": sizes(
        "smollm3", architectures=["SmolLM3ForCausalLM"], no_rope_layer_interval=4, rope_theta=5e6,
        no_rope_layers=[1, 1, 1, 0], layer_types=["full_attention"] * 4, max_window_layers=28,
        use_sliding_window=False, sliding_window=None, rope_scaling=None, pretraining_tp=2,
    ),
    "Command R7B": without(
        sizes(
            "cohere2", cache_implementation="hybrid", layer_norm_eps=1e-5, layer_switch=4,
            logit_scale=0.25, order_of_interleaved_layers="local_attn_first", rotary_pct=1.0,
            position_embedding_type="rope_gptj", rope_scaling=None, rope_theta=50000,
            sliding_window=4096, sliding_window_pattern=4, use_embedding_sharing=True,
            use_gated_activation=True, use_parallel_block=True, use_parallel_embedding=True,
        ),
        "rms_norm_eps", "tie_word_embeddings",
    ),
    "Apertus": sizes(
        "apertus", hidden_act="xielu", qk_norm=True, post_norm=False, mlp_bias=False,
        rope_theta=12000000,
        rope_scaling={
            "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "type": "llama3",
            "original_max_position_embeddings": 8192, "rope_type": "llama3",
        },
    ),
}  # fmt: skip


def check(raw, folder):
    """The file is read as the one that transformers makes of it, in which nothing is left out or has an old name."""
    file = folder / "config.json"
    file.write_text(json.dumps(raw))
    config = load_config(folder)
    theirs = transformers.AutoConfig.from_pretrained(folder).get_text_config().to_dict()
    file.write_text(json.dumps(theirs))
    assert load_config(folder) == config


@pytest.mark.parametrize("name", [*PUBLISHED, *LISTED])
def test_as_transformers_reads_it(name, tmp_path):
    check((PUBLISHED | LISTED)[name], tmp_path)


@pytest.mark.skipif(not FILES, reason="JAXPRUNE_DATA names no folder with configs/*.json")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_all_that_are_collected(file, tmp_path):
    """Those that are supported and no exception load; all others are refused, saying why."""
    raw = json.loads(file.read_text())
    supported = raw.get("model_type") in FAMILIES
    reason = REFUSED.get(file.name) if supported else "model_type"
    if reason is None:
        check(raw, tmp_path)
        return
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(jp.InputError, match=reason):
        load_config(tmp_path)
