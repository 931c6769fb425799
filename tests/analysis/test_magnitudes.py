"""Magnitudes of sets against torch, and demonstrations that share their shapes."""

import jax
import numpy as np
import pytest
import torch
from conftest import tiny_torch
from known_stats import stats_from_squares
from small_samples import one_shape, sequences
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.analysis import magnitudes
from jaxprune.analysis.magnitudes import (
    demonstration_sets,
    measure,
    over_median,
    share_shapes,
)
from jaxprune.data.config import DemonstrationFields
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.walk import HIDDEN

NANO = "jaxprune/nano/checkpoints/xglm"


SAMPLES = {
    role: sequences(5, seed) for seed, role in enumerate(("monolingual/fr", "translation/fr"))
}
BATCHES = [one_shape(samples, role) for role, samples in SAMPLES.items()]


def output_sums(model, samples):
    """Σ over tokens of the square of each block's output, [L, D] in float64, by forward hooks."""
    sums = {}

    def see(layer):
        def hook(module, args, output):
            output = output[0] if isinstance(output, tuple) else output
            square = output.detach().double().square().sum(dim=(0, 1)).numpy()
            sums[layer] = sums.get(layer, 0) + square

        return hook

    hooks = [block.register_forward_hook(see(i)) for i, block in enumerate(blocks_of(model))]
    with torch.no_grad():
        for sample in samples:
            model(torch.tensor(sample[None].astype(np.int64)))
    for hook in hooks:
        hook.remove()
    return np.stack([sums[layer] for layer in sorted(sums)])


@pytest.mark.parametrize("name", ["xglm", "bloom", "gpt2"])
def test_outputs_of_blocks_equal_those_of_torch(name, tiny_folder):
    stats = measure(jp.load(tiny_folder(name)), BATCHES, progress=False)
    reference = tiny_torch(name)
    for role, samples in SAMPLES.items():
        want = output_sums(reference, samples)
        got = stats.sum_sq[role][HIDDEN]
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)
        tokens = sum(map(len, samples))
        np.testing.assert_allclose(stats.rms(role)[HIDDEN], np.sqrt(want / tokens), rtol=2e-5)


def test_several_passes_give_the_bits_of_one_and_the_sites_those_of_probe(tiny_folder, monkeypatch):
    model = jp.load(tiny_folder("xglm"))
    once = measure(model, BATCHES, progress=False)
    monkeypatch.setattr(magnitudes, "PASS_BYTES", 1)
    apart = measure(model, BATCHES, progress=False)
    assert once.count == apart.count
    jax.tree.map(np.testing.assert_array_equal, once.sum_sq, apart.sum_sq)
    plain = jp.probe(model, BATCHES, progress=False).sum_sq
    for role, sites in plain.items():
        assert HIDDEN not in sites
        for site, sums in sites.items():
            np.testing.assert_array_equal(sums, once.sum_sq[role][site])


def rows(batches):
    """(role, sample, tokens) of every row, in order."""
    return sorted(
        (batch.role, int(number), tuple(tokens[valid]))
        for batch in batches
        for tokens, valid, number in zip(batch.tokens, batch.valid, batch.samples, strict=True)
    )


def test_sets_are_the_demonstrations_of_each_language():
    tokenizer, options = jp.load(NANO).tokenizer, {"shots": 2, "samples": 3}
    fields = DemonstrationFields(data="nano", target="en", **options)
    sets = demonstration_sets(tokenizer, fields, ["en", "fr", "sw"], 0, "corrected")
    roles = [f"monolingual/{code}" for code in ("en", "fr", "sw")] + [
        "translation/fr",
        "translation/sw",
    ]
    assert list(dict.fromkeys(batch.role for batch in sets)) == roles
    for role in roles:
        kind, code = role.split("/")
        alone = jp.demonstrations(tokenizer, "nano", kind=kind, source=code, target="en", **options)
        of_role = [batch for batch in sets if batch.role == role]
        assert {language for batch in of_role for language in batch.languages} == {code}
        got = [row[1:] for row in rows(sets) if row[0] == role]
        assert got == [row[1:] for row in rows(alone)]


def test_shared_shapes_hold_the_same_rows():
    batches = [
        batch
        for seed, role in enumerate("abc")
        for batch in group_by_length(sequences(6, seed, high=400), role)
    ]
    shared = share_shapes(batches, max_shapes=2)
    assert rows(shared) == rows(batches)
    assert len({batch.tokens.shape[1] for batch in batches}) > 2
    assert len({batch.tokens.shape[1] for batch in shared}) == 2
    assert [*dict.fromkeys(batch.role for batch in shared)] == ["a", "b", "c"]


def test_over_median_and_rms_are_what_their_names_say():
    norms = np.array([[1, 2, 4, 8, 2], [0, 0, 0, 3, 0]], np.float32)
    np.testing.assert_array_equal(over_median(norms), [[0.5, 1, 2, 4, 1], [0, 0, 0, np.inf, 0]])
    stats = stats_from_squares({"a": {"qkv": norms**2}}, {"a": 4}, ())
    np.testing.assert_allclose(stats.rms("a")["qkv"], norms / 2)
