"""Activation statistics against the hidden features of torch models."""

import functools
import json
import shutil

import jax
import numpy as np
import pytest
import small_samples
from conftest import TINY, tiny_torch
from safetensors.numpy import load_file, save_file
from torch_loop import depth, input_sums

import jaxprune as jp
from jaxprune.hf.weights import stored_name
from jaxprune.models.block import SITES

sequences = functools.partial(small_samples.sequences, low=3, high=17)


def batches_of(samples, role, languages=()):
    return [small_samples.one_shape(samples, role, multiple=16, languages=languages)]


# one of each model type
OF_TYPE = sorted({TINY[name]().model_type: name for name in reversed(TINY)}.values())


@pytest.mark.parametrize("name", OF_TYPE)
def test_sums_equal_those_of_torch_hooks(name, tiny_folder):
    """Every linear layer of every block, by its name in the checkpoint."""
    model, samples = jp.load(tiny_folder(name)), sequences(5, 1)
    stats = jp.probe(model, batches_of(samples, "translation"), progress=False)
    reference = tiny_torch(name)
    want, groups = input_sums(reference, range(depth(reference)), samples)
    seen = set()
    for path, site in stats.sites:
        for layer in range(model.config.n_layers):
            tensor = stored_name(model.config, f"blocks/{path}", layer)
            linear = next(n for n in groups[layer] for n in n if tensor.endswith(f".{n}.weight"))
            seen.add((layer, linear))
            got = stats.sum_sq["translation"][site][layer]
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, want[layer, linear], rtol=2e-5, atol=1e-6)
    assert seen == set(want)
    assert stats.count == {"translation": sum(map(len, samples))}
    by_site = {}
    for path, site in stats.sites:
        by_site.setdefault(site, set()).add(path)
    readers = [len(by_site[site]) for site in SITES]
    if len(groups[0]) == 3:  # attention and MLP side by side read one input
        readers = [readers[0] + readers[2], readers[1], readers[3]]
        sums = stats.sum_sq["translation"]
        np.testing.assert_array_equal(sums["qkv"], sums["mlp_in"])
    assert readers == [len(names) for names in groups[0]]


@pytest.fixture(scope="module")
def xglm(tiny_folder):
    return jp.load(tiny_folder("xglm"))


def test_order_and_rows_of_a_piece(xglm):
    """Rows of a batch in any order give the same bits; another number of rows a device the same sums."""
    (batch,) = batches_of(sequences(5, 5), "tokens")
    order = np.array([3, 0, 4, 2, 1])
    shuffled = jp.Batch(batch.tokens[order], batch.valid[order], batch.role, batch.samples[order])
    plain, other, wide = (
        jp.probe(xglm, [b], samples_per_device=count, progress=False).sum_sq
        for b, count in ((batch, 2), (shuffled, 2), (batch, 5))
    )
    jax.tree.map(np.testing.assert_array_equal, plain, other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), plain, wide)


def test_halves_are_every_second_sample(xglm):
    """Each has the bits of a pass over its samples alone; the whole role keeps its own; one sample has no halves."""
    samples, single = sequences(5, 7), batches_of(sequences(1, 8), "code")
    batches = batches_of(samples, "translation") + single
    plain = jp.probe(xglm, batches, progress=False)
    found = jp.probe(xglm, batches, progress=False, halves=True)
    halves = ("translation/even", "translation/odd")
    assert found.roles == ("translation", "code", *halves)
    whole = found.of(plain.roles)
    assert whole.count == plain.count
    jax.tree.map(np.testing.assert_array_equal, whole.sum_sq, plain.sum_sq)
    for first, half in enumerate(halves):
        alone = jp.probe(xglm, batches_of(samples[first::2], half), progress=False)
        assert found.count[half] == alone.count[half]
        jax.tree.map(np.testing.assert_array_equal, found.sum_sq[half], alone.sum_sq[half])
    with pytest.raises(jp.InputError, match="statistics: got 'gram'"):
        jp.probe(xglm, batches, statistics=["gram"], progress=False, halves=True)


def test_tokens_are_told_by_language(xglm):
    """Of the whole role, of the halves of each language with several samples, and of sets that were probed apart."""
    samples, codes = sequences(5, 9), ("fr", "sw", "fr", "de", "sw")
    sizes = [len(sample) for sample in samples]
    (batch,) = batches_of(samples, "translation", codes)
    batches = [  # not in the order of the samples
        jp.Batch(
            batch.tokens[rows], batch.valid[rows], batch.role, batch.samples[rows],
            tuple(codes[row] for row in rows),
        )
        for rows in ([3, 0], [4, 1, 2])
    ]  # fmt: skip
    found = jp.probe(
        xglm, batches + batches_of(sequences(2, 3), "code"), progress=False, halves=True
    )
    assert found.languages == {
        "translation": {"fr": sizes[0] + sizes[2], "sw": sizes[1] + sizes[4], "de": sizes[3]},
        "translation/even": {"fr": sizes[0], "sw": sizes[1]},
        "translation/odd": {"fr": sizes[2], "sw": sizes[4]},
    }
    parts = [
        jp.probe(xglm, batches_of([sample], "translation", (code,)), progress=False)
        for sample, code in zip(samples, codes, strict=True)
    ]
    merged = functools.reduce(jp.ActivationStats.merge, parts)
    assert merged.languages == {"translation": found.languages["translation"]}
    pruned = jp.prune(xglm, batches, progress=False)
    assert pruned.stats.languages == {"translation": found.languages["translation"]}


def test_pads_that_count_as_tokens_are_tokens(xglm):
    """compat="official" marks pads valid: the same as samples that really hold them."""
    samples = sequences(3, 6)
    (batch,) = batches_of(samples, "translation")
    padded = [np.pad(sample, (0, 16 - len(sample))) for sample in samples]
    official = jp.Batch(batch.tokens, np.ones_like(batch.valid), batch.role, batch.samples)
    got, want = (
        jp.probe(xglm, b, progress=False) for b in ([official], batches_of(padded, "translation"))
    )
    jax.tree.map(np.testing.assert_array_equal, got.sum_sq, want.sum_sq)
    assert got.count == {"translation": 48}


@pytest.mark.instructions
def test_bfloat16_is_near_and_counts_in_float32(xglm):
    batches = batches_of(sequences(5, 1), "translation")
    exact, half = (
        jp.probe(xglm, batches, dtype=dtype, progress=False).sum_sq["translation"]
        for dtype in ("float32", "bfloat16")
    )
    for site in SITES:
        assert half[site].dtype == np.float32
        error = np.abs(half[site] - exact[site]).sum() / exact[site].sum()
        assert 1e-6 < error < 0.03, site


def test_samples_as_long_as_the_positions(tiny_folder, tmp_path):
    """Their pads, up to a multiple of 16, have no positions; sums are those of the model with more."""
    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "short")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_positions": 20}))
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.wpe.weight"] = tensors["transformer.wpe.weight"][:20].copy()
    save_file(tensors, folder / "model.safetensors")
    np.savez(tmp_path / "tokens.npz", input_ids=np.arange(60, dtype=np.int32).reshape(3, 20))
    batches = jp.token_batches(tmp_path / "tokens.npz")
    assert batches[0].tokens.shape == (3, 32)
    short, long = (
        jp.probe(jp.load(path), batches, progress=False) for path in (folder, tiny_folder("gpt2"))
    )
    for site, norms in short.norms("tokens").items():
        np.testing.assert_allclose(norms, long.norms("tokens")[site], rtol=1e-5)
