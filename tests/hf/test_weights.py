"""Checkpoints seen through a config: names, shapes, dtypes, and how little is read."""

import json
import re
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import TINY, tiny_torch
from flax.traverse_util import flatten_dict

import jaxprune as jp
from jaxprune.hf import tensors
from jaxprune.hf.tensor_index import find_tensors
from jaxprune.hf.weights import shapes, stack_layers, stored_name, to_stored
from jaxprune.models.families import FAMILIES
from jaxprune.models.model import family_of, load_config


def state_of(name):
    """The torch model's tensors by name, each in memory of its own; a tied head only once."""
    model = tiny_torch(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    return state


@pytest.fixture
def folder(tmp_path, tiny_folder):
    """(name, state) → a folder with that model's config and these tensors."""

    def make(name, state, save=None):
        target = tmp_path / name
        target.mkdir()
        shutil.copyfile(tiny_folder(name) / "config.json", target / "config.json")
        if save is None:
            safetensors.torch.save_file(
                {key: value.contiguous() for key, value in state.items()},
                target / "model.safetensors",
            )
        else:
            save(state, target)
        return target

    return make


def assert_same(got, want):
    got, want = flatten_dict(got, sep="/"), flatten_dict(want, sep="/")
    assert set(got) == set(want)
    for path, value in want.items():
        assert got[path].dtype == value.dtype, path
        np.testing.assert_array_equal(got[path], value, err_msg=path)


def bits(array):
    return array.shape, array.dtype.name, np.ascontiguousarray(array).tobytes()


# --- names, both ways ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY)
def test_parts_back_under_their_stored_names_are_the_torch_state(name, tiny_folder):
    """Both ways at once: no tensor of torch is left out, none is invented, each has its own bits."""
    config = load_config(tiny_folder(name))
    model = jp.load(tiny_folder(name))
    stored = to_stored(config, model.part("embed"), "embed")
    stored |= to_stored(config, model.part("head"), "head")
    for layer in range(config.n_layers):
        stored |= to_stored(config, model.block(layer), "blocks", layer)
    want = state_of(name)
    assert set(stored) == set(want)
    for key, value in want.items():
        assert bits(stored[key]) == bits(value.numpy()), key


@pytest.mark.parametrize(
    "family", ["xglm", "bloom", "gpt2", "llama", "gemma2", "gemma3_text", "cohere", "apertus"]
)
def test_every_entry_of_a_name_table_is_of_some_model(family, tiny_folder):
    """A name that no model has would be a typing error that nothing else notices."""
    configs = [load_config(tiny_folder(name)) for name in TINY]
    configs = [config for config in configs if family in family_of(config).model_types]
    used = {path for config in configs for path in shapes(config)} - {"head/kernel"}
    unused = {p: n for p, n in family_of(configs[0]).tensors.items() if p not in used}
    # what a relative of Llama takes over from it is some model's there
    assert unused.items() <= (FAMILIES["llama"].tensors.items() if family != "llama" else set())
    assert used <= set(family_of(configs[0]).tensors)
    for config in configs:
        blocks = {p.removeprefix("blocks/") for p in shapes(config) if p.startswith("blocks/")}
        kernels = {path for path in blocks if path.endswith("/kernel")}
        assert kernels == set(family_of(config).sites)  # every linear layer is pruned


@pytest.mark.parametrize("name", ["xglm", "bloom", "gpt2", "llama", "qwen3"])
def test_names_without_the_prefix_of_the_base_model(name, folder, tiny_folder):
    state = state_of(name)
    prefix = re.match(r"\w+\.", next(iter(state)))[0]
    bare = {key.removeprefix(prefix): value for key, value in state.items()}
    assert set(bare) != set(state)
    without = folder(name, bare)
    assert set(find_tensors(without)) == set(bare)
    assert_same(jp.load(without).params, jp.load(tiny_folder(name)).params)


@pytest.mark.parametrize("name", ["xglm", "bloom", "gpt2", "qwen3"])
def test_a_tied_head_may_be_stored_once_more(name, folder):
    state = state_of(name)
    embedding = next(value for value in state.values() if value.shape == (131, 48))
    there = folder(name, {**state, "lm_head.weight": embedding.clone()})
    assert "kernel" not in jp.load(there).params["head"]
    state["lm_head.weight"] = embedding + 1  # transformers does not tie it
    safetensors.torch.save_file(state, there / "model.safetensors")
    with pytest.raises(jp.InputError, match=r"lm_head\.weight differs from the embedding"):
        jp.load(there)


def test_a_peft_adapter_beside_the_weights_is_refused(folder):
    there = folder("bloom", state_of("bloom"))
    (there / "adapter_config.json").write_text("{}")
    with pytest.raises(jp.InputError, match="has a PEFT adapter"):
        jp.load(there)


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("gpt2", ["transformer.h.0.attn.bias", "transformer.h.2.attn.masked_bias"]),
        ("gpt2", ["h.1.attn.bias"]),
        ("xglm", ["model.embed_positions.weights"]),
        ("llama", ["model.layers.2.self_attn.rotary_emb.inv_freq"]),
    ],
)
def test_old_buffers_are_passed_over(name, buffers, folder, tiny_folder):
    state = state_of(name) | {buffer: torch.ones(2, 2) for buffer in buffers}
    assert_same(jp.load(folder(name, state)).params, jp.load(tiny_folder(name)).params)


# --- what is refused ----------------------------------------------------------------------------


def drop(name):
    return lambda state: state.pop(name)


def put(name, value):
    return lambda state: state.__setitem__(name, value)


BAD = {
    "missing": (
        drop("model.layers.1.fc2.bias"),
        r"xglm: tensor layers\.1\.fc2\.bias missing",
    ),
    "several missing": (
        lambda state: [state.pop(key) for key in list(state) if ".layers.2." in key],
        r"tensors layers\.2\.\S+, layers\.2\.\S+, layers\.2\.\S+ and 13 more missing",
    ),
    "unexpected": (
        put("model.layers.3.fc2.bias", torch.zeros(48)),
        r"model\.safetensors: tensor model\.layers\.3\.fc2\.bias not expected in a xglm model",
    ),
    "misshapen": (
        put("model.layers.1.fc1.weight", torch.zeros(48, 80)),
        r"model\.safetensors: tensor model\.layers\.1\.fc1\.weight has shape \[48, 80\], "
        r"config\.json requires \[80, 48\]",
    ),
    "doubles": (
        put("model.layer_norm.bias", torch.zeros(48, dtype=torch.float64)),
        r"tensor model\.layer_norm\.bias is float64, expected float32, float16 or bfloat16",
    ),
    "two of one": (
        put("layer_norm.bias", torch.zeros(48)),
        r"tensor \S*layer_norm\.bias exists with and without prefix",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_one_line_names_file_and_tensor(case, folder):
    spoil, message = BAD[case]
    state = state_of("xglm")
    spoil(state)
    with pytest.raises(jp.InputError, match=message):
        jp.load(folder("xglm", state))


# --- kinds of files -----------------------------------------------------------------------------


def as_bin(state, target):
    torch.save(state, target / "pytorch_model.bin")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("save", [None, as_bin], ids=["safetensors", "bin"])
def test_half_precision_comes_as_it_is_stored(dtype, save, folder):
    state = {key: value.to(dtype) for key, value in state_of("xglm").items()}
    model = jp.load(folder("xglm", state, save))
    for path, value in flatten_dict(model.block(1), sep="/").items():
        want = state["model." + stored_name(model.config, f"blocks/{path}", 1)]
        want = want.view(torch.int16).numpy()
        assert str(dtype) == f"torch.{value.dtype.name}"
        np.testing.assert_array_equal(
            value.view(np.int16), want.T if path.endswith("kernel") else want
        )


# --- laziness -----------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """(offset, bytes) of all data that is read from tensor files."""
    log = []
    fill = tensors._fill

    def logged(path, pieces):
        pieces = list(pieces)
        log.extend((offset, out.nbytes) for offset, out in pieces)
        fill(path, pieces)

    monkeypatch.setattr(tensors, "_fill", logged)
    return log


def spans(folder, pattern):
    files = find_tensors(folder)
    infos = [files[name] for name in files if re.search(pattern, name)]
    return {(info.offset, int(np.prod(info.shape)) * info.dtype.itemsize) for info in infos}


@pytest.mark.parametrize("name", ["bloom", "gpt2", "llama"])
def test_opening_reads_no_tensor_and_a_block_only_its_own(name, reads, tiny_folder):
    model = jp.load(tiny_folder(name))
    assert reads == []
    block = model.block(1)
    own = spans(tiny_folder(name), r"\.(h|layers)\.1\.")
    assert len(reads) == len(set(reads)) == len(flatten_dict(block))
    assert set(reads) == own
    reads.clear()
    assert_same(block, {path: leaf[1] for path, leaf in flat_blocks(model).items()})
    assert len(reads) == len(find_tensors(tiny_folder(name)))  # all, once each
    reads.clear()
    assert model.params is model.params
    assert reads == []


def flat_blocks(model):
    return flatten_dict(model.params["blocks"], sep="/")


@pytest.mark.parametrize("name", ["xglm", "bloom", "gpt2"])
def test_embeddings_of_the_tokens_that_occur(name, reads, tiny_folder):
    model = jp.load(tiny_folder(name))
    tokens = np.array([[130, 5, 5], [0, 7, 130]], np.int32)
    embed, indices = model.source.embed_rows(tokens)
    table = spans(tiny_folder(name), r"(embed_tokens|word_embeddings|wte)\.weight")
    ((offset, size),) = table
    inside = [n for start, n in reads if offset <= start < offset + size]
    assert sum(inside) == 4 * 48 * 4  # tokens 0, 5, 7, 130; 48 features; float32
    assert embed["tokens"].shape == (4, 48)
    assert indices.dtype == np.int32
    whole = jp.load(tiny_folder(name)).params["embed"]
    np.testing.assert_array_equal(embed["tokens"][indices], whole["tokens"][tokens])
    embed.pop("tokens")
    assert_same(embed, {path: leaf for path, leaf in whole.items() if path != "tokens"})


def test_replaced_parameters_take_the_place_of_the_files(reads, tiny_folder):
    model = jp.load(tiny_folder("xglm"))
    params = model.params
    other = {**params, "head": {"norm": {k: v + 1 for k, v in params["head"]["norm"].items()}}}
    reads.clear()
    replaced = model.replace(other)
    assert_same(replaced.block(2), model.block(2))
    reads.clear()
    assert_same(replaced.block(0), {p: leaf[0] for p, leaf in flat_blocks(replaced).items()})
    assert replaced.params is other
    tokens = np.array([[3, 4]], np.int32)
    embed, indices = replaced.source.embed_rows(tokens)
    np.testing.assert_array_equal(embed["tokens"][indices], params["embed"]["tokens"][tokens])
    assert reads == []
    assert model.params is params


def test_the_index_of_a_sharded_folder_is_not_needed_twice(folder):
    """A folder with both layouts goes by the single file, as transformers does."""
    target = folder("bloom", state_of("bloom"))
    (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    assert jp.load(target).params["embed"]["tokens"].shape == (131, 48)


def test_layers_of_several_dtypes_keep_their_values():
    layers = [{"a": np.array([1 + 2**-10], np.float16)}, {"a": np.array([2.0**100], jnp.bfloat16)}]
    stacked = stack_layers(layers)["a"]
    assert stacked.dtype == np.float32
    assert stacked.tolist() == [[1 + 2**-10], [2.0**100]]
