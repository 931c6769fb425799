"""Published config.json files against what transformers makes of them, attribute by attribute.

Some stand here, cut down to what matters. With JAXPRUNE_DATA, all files of its folder `configs/` are tested too.
"""

import json
import os
from pathlib import Path

import pytest
import transformers

import jaxprune as jp
from jaxprune.models.families import FAMILIES
from jaxprune.models.model import load_config

DATA = os.environ.get("JAXPRUNE_DATA")
FILES = sorted(Path(DATA, "configs").glob("*.json")) if DATA else []

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
    "Gemma 3 of text": {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "cache_implementation": "hybrid",
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 256,
        "hidden_size": 1152, "intermediate_size": 6912, "num_attention_heads": 4,
        "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10000, "rope_theta": 1000000, "sliding_window": 512,
        "rope_scaling": None, "sliding_window_pattern": 6, "vocab_size": 262144,
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
    "XGLM, cut": {
        "architectures": ["XGLMForCausalLM"], "model_type": "xglm", "d_model": 512, "num_layers": 4,
        "layerdrop": 0.0, "decoder_start_token_id": 2, "pad_token_id": 1,
    },
}  # fmt: skip


def first(theirs, *names):
    return next((v for name in names if (v := getattr(theirs, name, None)) is not None), None)


def facts(theirs):
    """What a config of transformers says of each thing that ours has, by the names that its modules read."""
    heads, width = theirs.num_attention_heads, theirs.hidden_size
    of_old = theirs.model_type in ("gpt2", "bloom", "xglm")
    bias = getattr(theirs, "attention_bias", of_old)
    head_dim = first(theirs, "head_dim") or width // heads
    scaled = getattr(theirs, "scale_attn_weights", True)
    return {
        "vocab_size": theirs.vocab_size,
        "d_model": width,
        "n_layers": theirs.num_hidden_layers,
        "n_heads": heads,
        "n_kv_heads": getattr(theirs, "num_key_value_heads", heads),
        "head_dim": head_dim,
        "d_ff": first(theirs, "intermediate_size", "ffn_dim", "n_inner") or 4 * width,
        "activation": first(theirs, "hidden_act", "hidden_activation", "activation_function")
        or "gelu_new",
        "norm_eps": first(theirs, "rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps") or 1e-5,
        "tied_head": theirs.tie_word_embeddings,
        "max_positions": getattr(theirs, "max_position_embeddings", None),
        "qkv_bias": theirs.model_type == "qwen2" or bias,
        "out_bias": theirs.model_type != "qwen2" and bias,
        "mlp_bias": getattr(theirs, "mlp_bias", False) if theirs.model_type != "qwen2" and not of_old
        else of_old,
        "qk_norm": theirs.model_type in ("qwen3", "gemma3_text", "apertus")
        or getattr(theirs, "use_qk_norm", False),
        "attention_scale": getattr(theirs, "query_pre_attn_scalar", head_dim) ** -0.5
        if scaled else 1.0,
        "attention_softcap": getattr(theirs, "attn_logit_softcapping", None),
        "logit_softcap": getattr(theirs, "final_logit_softcapping", None),
        "logit_scale": getattr(theirs, "logit_scale", 1.0),
        "layers": [layer(theirs, i) for i in range(theirs.num_hidden_layers)],
    }  # fmt: skip


STRETCH = ("factor", "low_freq_factor", "high_freq_factor")


def layer(theirs, i):
    """Window and rotary positions (base, linear factor, Llama 3's numbers) of one layer."""
    kinds = getattr(theirs, "layer_types", None)
    slides = "sliding" in kinds[i] if kinds else theirs.model_type == "mistral"
    window = theirs.sliding_window if slides else None
    rope = getattr(theirs, "rope_parameters", None) or {}
    rope = rope.get(kinds[i], rope) if kinds else rope
    never = theirs.model_type == "cohere2" and not slides
    turned = theirs.no_rope_layers[i] if theirs.model_type == "smollm3" else not never
    if not rope or not turned:
        return window, None
    linear, llama3 = (rope.get("rope_type") == kind for kind in ("linear", "llama3"))
    numbers = [rope.get(name) for name in (*STRETCH, "original_max_position_embeddings")]
    return window, (
        rope["rope_theta"], rope["factor"] if linear else 1.0, numbers if llama3 else None
    )  # fmt: skip


def ours(config):
    """The same of our config."""
    same = set(vars(config)) & set(facts(transformers.LlamaConfig()))
    layers = []
    for kind in map(config.kind, range(config.n_layers)):
        rope = kind.rope
        stretch = [getattr(rope, name, None) for name in (*STRETCH, "original_max_positions")]
        numbers = rope and (rope.theta, rope.linear_factor, stretch if stretch[0] else None)
        layers.append((kind.window, numbers))
    return {name: getattr(config, name) for name in same} | {"layers": layers}


def check(raw, folder):
    (folder / "config.json").write_text(json.dumps(raw))
    config = load_config(folder)
    theirs = transformers.AutoConfig.from_pretrained(folder).get_text_config()
    assert ours(config) == facts(theirs)
    if config.family == "xglm":
        assert config.embed_scale == (config.d_model**0.5 if theirs.scale_embedding else 1.0)
        assert config.position_zero_row == theirs.pad_token_id
    if config.family == "bloom":
        assert config.residual_from_norm == theirs.apply_residual_connection_post_layernorm
    if "gemma" in config.family:
        assert config.embed_scale == config.d_model**0.5


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_transformers_reads_it(name, tmp_path):
    check(PUBLISHED[name], tmp_path)


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
