"""Fewer layers against torch: models without them, and the influence of each layer."""

import dataclasses

import jax
import numpy as np
import pytest
import torch
import transformers
from conftest import TINY, tiny_torch
from small_samples import TOKENS, samples
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.data.batches import Batch
from jaxprune.hf.subset import subset
from jaxprune.shrinking.layers import block_influence, chosen_layers

FAMILIES = [
    "xglm", "bloom", "llama", "qwen2", "mistral", "smollm3", "gemma2", "gemma3", "cohere2",
]  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_torch_without_the_layer(name, tiny_folder, tmp_path):
    folder, dropped = tiny_folder(name), 0 if TINY[name]().num_hidden_layers == 2 else 1
    small, report = jp.shrink(
        jp.load(folder), tmp_path / "small", drop_layers=[dropped], progress=False
    )
    written = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "small").eval()
    whole = tiny_torch(name)
    assert len(blocks_of(written)) == len(blocks_of(whole)) - 1
    del blocks_of(whole)[dropped]
    kinds = getattr(
        whole.config, "layer_types", None
    )  # by which torch chooses the masks of windows
    if kinds:
        whole.config.layer_types = [kind for i, kind in enumerate(kinds) if i != dropped]
    whole.config.num_hidden_layers -= 1
    tokens = torch.from_numpy(TOKENS)
    with torch.no_grad():
        want, got = (one(tokens, use_cache=False).logits.numpy() for one in (whole, written))
    np.testing.assert_allclose(got, want, atol=1e-5)
    own = jax.jit(jp.forward, static_argnums=0)(small.config, small.params, TOKENS)
    np.testing.assert_allclose(own, want, atol=1e-4)
    assert report["depth"] == {"dropped": [dropped], "influence": {}}


@pytest.mark.parametrize(("name", "first"), [("bloom", 0), ("gemma3", 0), ("gemma3", 2)])
def test_influence_is_that_of_torchs_hidden_states(name, first, tiny_folder):
    model, [batch] = tiny_torch(name), samples()
    if first:  # as of one side of a translation
        counted = batch.valid & (np.arange(batch.valid.shape[1]) >= first)
        batch = dataclasses.replace(batch, counted=counted)
    found = block_influence(jp.load(tiny_folder(name)), [batch], progress=False)
    pairs = []

    def keep(_, given, result):
        pairs.append((given[0], result if torch.is_tensor(result) else result[0]))

    for layer in blocks_of(model):
        layer.register_forward_hook(keep)
    by_language = {"fr": [], "sw": []}
    for row, code in enumerate(batch.languages):
        pairs.clear()
        with torch.no_grad():
            model(torch.from_numpy(batch.tokens[row : row + 1, : batch.valid[row].sum()]).long())
        cosines = [torch.cosine_similarity(a[0], b[0], dim=-1)[first:] for a, b in pairs]
        by_language[code].append(torch.stack(cosines))
    for code, parts in by_language.items():
        want = 1 - torch.cat(parts, dim=1).mean(dim=1)
        np.testing.assert_allclose(found[code], want, atol=1e-5)


def test_the_influence_of_left_pads_whose_states_stay_zero(tmp_path):
    whole, pad, tokens = tiny_torch("llama"), 7, TOKENS.copy()
    tokens[:, :3] = pad
    with torch.no_grad():
        whole.get_input_embeddings().weight[pad] = 0
        states = whole(torch.from_numpy(tokens), output_hidden_states=True).hidden_states
    whole.save_pretrained(tmp_path)
    batch = Batch(
        tokens.astype(np.int32), np.ones(tokens.shape, bool), "tokens", np.arange(4, dtype=np.int32)
    )
    found = block_influence(jp.load(tmp_path), [batch], progress=False)["tokens"]
    last = len(found) - 1  # torch's last states are those after the final norm
    cosines = [torch.cosine_similarity(states[i], states[i + 1], dim=-1) for i in range(last)]
    assert not cosines[0][:, :3].any()
    np.testing.assert_allclose(found[:last], [1 - one.mean() for one in cosines], atol=1e-5)


def test_an_influence_that_is_not_finite_is_refused(tmp_path):
    whole = tiny_torch("llama")
    with torch.no_grad():
        blocks_of(whole)[0].mlp.up_proj.weight.mul_(1e11)
        blocks_of(whole)[0].mlp.down_proj.weight.mul_(1e11)
    whole.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="layer 0: cosine of input and output: got nan; "):
        jp.shrink(jp.load(tmp_path), tmp_path / "small", batches=samples(), layers=2)


def test_the_least_of_the_largest_influences_is_dropped(monkeypatch, tiny_folder):
    model = jp.load(tiny_folder("llama"))
    calls = []

    def measured(model, batches, **_):
        calls.append(model.config.n_layers)
        both = {"fr": [0.1, 0.3, 0.2], "sw": [0.5, 0.3, 0.4]}
        if len(calls) == 2:  # of the layers that are left, the first one has the least
            both = {"fr": [0.2, 0.3], "sw": [0.1, 0.9]}
        return {code: np.array(values) for code, values in both.items()}

    monkeypatch.setattr("jaxprune.shrinking.layers.block_influence", measured)
    at_once = chosen_layers(model, [], 1, one_by_one=False, progress=False)
    assert (at_once.kept, at_once.dropped, calls) == ((0,), (1, 2), [3])
    calls.clear()
    again = chosen_layers(model, [], 1, one_by_one=True, progress=False)
    assert (again.kept, again.dropped, calls) == ((2,), (1, 0), [3, 2])


def test_rows_of_a_model_without_some_tokens_are_those_of_the_whole_model(tiny_folder):
    model = jp.load(tiny_folder("gpt2-unscaled-inner"))
    small = subset(model, tokens=np.array([5, 7, 130]), layers=(1,)).source
    whole_rows = model.source.head_rows(np.array([7]))
    np.testing.assert_array_equal(small.head_rows(np.array([1])), whole_rows)
    rows, places = small.embed_rows(np.array([2, 0]))
    whole_rows = model.params["embed"]["tokens"][[130, 5]]
    np.testing.assert_array_equal(rows["tokens"][places], whole_rows)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "shrink: nothing is dropped; expected texts that lack tokens"),
        ({"layers": 3}, "shrink.layers: got 3; expected 1 to 2, of 3"),
        ({"drop_layers": [3]}, "shrink.drop_layers: got '3'; expected some of the layers 0 to 2"),
        ({"drop_layers": [0, 1, 2]}, "shrink.drop_layers: got '0,1,2'; expected some of the layers"),
        ({"layers": 2, "drop_layers": [1]}, "shrink.drop_layers: set with shrink.layers"),
    ],
)  # fmt: skip
def test_layers_that_are_not_there_are_refused(fields, message, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=message):
        jp.shrink(
            jp.load(tiny_folder("llama")),
            tmp_path / "small",
            batches=samples(),
            **fields,
            progress=False,
        )
    assert not (tmp_path / "small").exists()
