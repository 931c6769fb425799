"""Statistics of several languages combined, against the formulas and against other ways to the same sums."""

import json

import numpy as np
import pytest
from jobs import job
from known_stats import stats_from_squares

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.stats.combinations import COMBINATIONS

SUMS = {"fr": np.array([[6.0, 1.0, 4.0]]), "sw": np.array([[2.0, 3.0, 1.0]])}
TOKENS = {"fr": 30, "sw": 10}
WANTED = {
    "sum": SUMS["fr"] + SUMS["sw"],
    "mean": 40 / 2 * (SUMS["fr"] / 30 + SUMS["sw"] / 10),
    "max": 40 * np.maximum(SUMS["fr"] / 30, SUMS["sw"] / 10),
    "weights": 40 * (2 / 3 * SUMS["fr"] / 30 + 1 / 3 * SUMS["sw"] / 10),
}


def statistics(languages=("fr", "sw")):
    keys = {SetKey("translation", code): code for code in languages}
    sums = {key: {"qkv": SUMS[code]} for key, code in keys.items()}
    counts = {key: TOKENS[code] for key, code in keys.items()}
    return stats_from_squares(sums, counts, (("a", "qkv"),))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_combination_is_its_formula(name):
    weights = "fr:2,sw:1" if name == "weights" else None
    got = jp.combine(statistics(), name, weights)
    np.testing.assert_allclose(got.sums["translation", ""]["qkv"]["squares"], WANTED[name])
    assert got.count == {"translation": 40}


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_a_single_language_is_the_same_in_all(name):
    got = jp.combine(statistics(["sw"]), name)
    np.testing.assert_array_equal(got.sums["translation", ""]["qkv"]["squares"], SUMS["sw"])


@pytest.fixture(scope="module")
def nano():
    model = jp.load("nano/bloom")
    return model, jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)


@pytest.mark.parametrize("how", [("max",), ("weights", {"fr": 1, "sw": 3})])
def test_a_criterion_sees_what_combine_returns(nano, how):
    model, batches = nano
    combined = jp.combine(jp.probe(model, batches, progress=False), *how)
    settings = jp.Settings(sparsity=0.5, propagate="dense")
    want = [
        block.keep for block in jp.prune_blocks(model, [], settings, stats=combined, progress=False)
    ]
    given = dict(zip(("combine", "weights"), how, strict=False))
    result = jp.prune(model, batches, sparsity=0.5, progress=False, propagate="dense", **given)
    plain = jp.prune(model, batches, sparsity=0.5, progress=False, propagate="dense")
    assert jp.masks.overlap(result.masks, plain.masks).overall < 1
    for layer, keep in enumerate(want):
        for path, mask in keep.items():
            got = result.masks["blocks"]
            for part in path.split("/"):
                got = got[part]
            np.testing.assert_array_equal(got[layer], mask)


def test_running_sums_are_combined_while_they_are_added(nano):
    """SparseGPT with the Gram matrices of each language combined afterwards prunes alike."""
    (model, batches), how = nano, {"combine": "weights", "weights": "fr:1,sw:4"}
    stats = jp.probe(model, batches, statistics=["gram"], progress=False)
    combined = jp.combine(stats, **how)
    settings = jp.Settings(criterion="sparsegpt", sparsity=0.5, propagate="dense")
    blocks = jp.prune_blocks(model, [], settings, stats=combined, progress=False)
    want = [block.finished for block in blocks]
    got = jp.prune(
        model,
        batches,
        criterion="sparsegpt",
        sparsity=0.5,
        propagate="dense",
        progress=False,
        **how,
    )
    for layer, block in enumerate(want):
        assert block.changed.keys() == block.keep.keys()
        for path, kernel in block.changed.items():
            leaf = got.params["blocks"]
            for part in path.split("/"):
                leaf = leaf[part]
            agree = (leaf[layer] == 0) == (kernel == 0)
            assert agree.mean() > 0.999
            difference = np.linalg.norm((leaf[layer] - kernel)[agree])
            assert difference < 1e-2 * np.linalg.norm(kernel)


def test_weights_of_other_languages_are_refused(nano):
    model, batches = nano
    with pytest.raises(jp.InputError, match="weights: got fr,ru; expected fr,sw, the languages of"):
        jp.prune(model, batches, combine="weights", weights={"fr": 1, "ru": 2}, progress=False)
    french = jp.probe(model, jp.demonstrations(model.tokenizer, "nano", samples=2), progress=False)
    with pytest.raises(
        jp.InputError, match="weights: got sw; expected fr, the languages of the samp"
    ):
        jp.combine(french, "weights", {"sw": 1})


def test_a_config_contains_the_weights_of_its_file(tmp_path):
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({"sw": 1e-05, "fr": 2.5}))
    fields = {"calibration.combine": "weights", "calibration.weights": str(file)}
    validated = job("nano/bloom", **fields)
    assert validated.calibration.weights == (("fr", 2.5), ("sw", 1e-05))
    assert validated.json()["calibration"]["weights"] == "fr:2.5,sw:1e-05"
    assert validated.settings.mixture.weights == (("fr", 2.5), ("sw", 1e-05))
