"""model.gguf in llama.cpp itself: the same logits and tokens as here, the same bytes as its own quantization."""

import gguf
import libllama
import numpy as np
import pytest
import transformers
from conftest import TINY, random_torch
from jax import lax
from small_tokenizers import byte_fallback, byte_level

import jaxprune as jp
from jaxprune.hf.gguf.tensors import Types
from jaxprune.hf.gguf.write import write_gguf
from jaxprune.models import layers
from jaxprune.models.grids import GRIDS
from jaxprune.pruning.roundings.llama_cpp import searched_rows
from jaxprune.pruning.roundings.nearest import nearest_rows

FLOAT32 = Types(None, None)
GEMMA = {
    "vocab_size": 133, "hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 80, "head_dim": 16, "sliding_window": 6, "query_pre_attn_scalar": 16,
    "max_position_embeddings": 64,
}  # fmt: skip
COHERE = {
    "vocab_size": 131, "hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 80, "max_position_embeddings": 64, "pad_token_id": 0, "logit_scale": 0.3,
}  # fmt: skip
# Of each family a member that llama.cpp has.
MEMBERS = {
    **{name: TINY[name] for name in ("apertus", "llama", "qwen2", "qwen3", "mistral")},
    # of other sizes than in other tests: modules, whose activation a test replaces, are kept by config
    "bloom": lambda: transformers.BloomConfig(vocab_size=133, hidden_size=48, n_layer=3, n_head=4),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=133, n_embd=48, n_layer=3, n_head=4, n_positions=64
    ),
    "llama3": TINY["llama3-tied-biases"],
    "gemma2": lambda: transformers.Gemma2Config(
        num_hidden_layers=4, attn_logit_softcapping=2.0, final_logit_softcapping=5.0, **GEMMA
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        num_hidden_layers=5, layer_types=["sliding_attention", "full_attention"] * 2 + ["sliding_attention"], **GEMMA
    ),
    "smollm3": lambda: transformers.SmolLM3Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=5, num_attention_heads=6, num_key_value_heads=2,
        intermediate_size=80, no_rope_layer_interval=4, max_position_embeddings=64, pad_token_id=0,
        bos_token_id=1, eos_token_id=2,
    ),
    "cohere": lambda: transformers.CohereConfig(num_hidden_layers=2, **COHERE),
    "cohere2": lambda: transformers.Cohere2Config(
        num_hidden_layers=5, sliding_window=6, sliding_window_pattern=4, **COHERE
    ),
}  # fmt: skip


def in_half_precision(function):
    """An activation whose inputs and outputs are rounded to float16, as in llama.cpp's table of GELU."""

    def rounded(x):
        # casts there and back may be optimised away
        return lax.reduce_precision(function(lax.reduce_precision(x, 5, 10)), 5, 10)

    return rounded


@pytest.mark.parametrize("name", MEMBERS)
def test_logits_agree(name, tmp_path, monkeypatch):
    for activation in ("gelu_new", "gelu_pytorch_tanh"):
        exact = layers.ACTIVATIONS[activation]
        monkeypatch.setitem(layers.ACTIVATIONS, activation, in_half_precision(exact))
    random_torch(MEMBERS[name]()).save_pretrained(tmp_path / "hf")
    model = jp.load(tmp_path / "hf")
    file = tmp_path / "model.gguf"
    write_gguf(model, FLOAT32, file)
    count = 6 if name == "mistral" else 24  # its window, which llama.cpp does not have, is 7
    ids = np.random.default_rng(0).integers(3, 131, size=(1, count)).astype(np.int32)
    ours = np.asarray(jp.forward(model.config, model.params, ids)[0])
    theirs = libllama.logits(file, ids[0].tolist())
    assert np.abs(theirs - ours).max() <= 1e-3 * ours.std()


@pytest.mark.parametrize("kind", [byte_level, byte_fallback])
def test_texts_are_split_alike(kind, tmp_path):
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=kind(), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    config = MEMBERS["llama"]()
    config.vocab_size = len(tokenizer)
    random_torch(config).save_pretrained(tmp_path / "hf")
    tokenizer.save_pretrained(tmp_path / "hf")
    write_gguf(jp.load(tmp_path / "hf"), FLOAT32, tmp_path / "model.gguf")
    for text in ("the cats sleep  there", "кошка, paka\n\n猫在花园里", "naïve 123 🚀 \t x", " a"):
        theirs = libllama.tokens(tmp_path / "model.gguf", text)
        assert theirs == tokenizer(text).input_ids, text


@pytest.mark.parametrize("name", ["q4_0", "q5_0", "q8_0", "iq4_nl"])
def test_rounding_has_the_bytes_of_llama_cpp(name):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(64, 160)) * np.exp(rng.normal(size=(64, 1))) * 0.02
    weights, matrix = (
        weights.astype(np.float32),
        np.exp(2 * rng.normal(size=160)).astype(np.float32),
    )
    weights[3, :64] = 0
    grid, kind = GRIDS[name], gguf.GGMLQuantizationType[name.upper()]
    theirs = libllama.quantized(weights, kind)
    assert np.array_equal(grid.pack(nearest_rows(weights, grid)), theirs)
    if name != "q8_0":
        theirs = libllama.quantized(weights[4:], kind, matrix)
        assert np.array_equal(grid.pack(searched_rows(weights[4:], matrix, grid)), theirs)
