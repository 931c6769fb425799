"""The record of statistics: adding, norms, and sums that do not depend on the order of arrival."""

import copy
import functools
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_stats import stats_from_squares

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.stats.stats import sum_samples

SITES = (("attention/qkv/kernel", "qkv"), ("mlp/out/kernel", "mlp_out"))


def make(seed, roles, sites=SITES):
    rng = np.random.default_rng(seed)
    sums = {
        role: {site: rng.random((3, 4), np.float32) * 100 for _, site in sites} for role in roles
    }
    return stats_from_squares(sums, dict.fromkeys(roles, seed + 10), sites)


def test_merge_adds_roles_that_both_have_and_keeps_the_others():
    one, two = make(1, ["translation", "code"]), make(2, ["translation", "monolingual"])
    before = copy.deepcopy((one, two))
    merged = one.merge(two)
    for array, was in zip(jax.tree.leaves((one, two)), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(array, was)
    jax.tree.map(np.testing.assert_array_equal, merged.sum_sq, two.merge(one).sum_sq)
    assert merged.count == {"translation": 23, "code": 11, "monolingual": 12}
    for site in ("qkv", "mlp_out"):
        both = one.sum_sq["translation"][site] + two.sum_sq["translation"][site]
        np.testing.assert_array_equal(merged.sum_sq["translation"][site], both)
        np.testing.assert_array_equal(merged.sum_sq["code"][site], one.sum_sq["code"][site])
        other = two.sum_sq["monolingual"][site]
        np.testing.assert_array_equal(merged.sum_sq["monolingual"][site], other)


def test_merge_keeps_the_names_of_languages():
    """Those of one role add by language and stay apart; their sum is that of the role."""
    keys = [SetKey("translation", code) for code in ("fr", "sw", "fr", "")]
    sets = [make(seed, [key]) for seed, key in enumerate(keys)]
    merged = functools.reduce(jp.ActivationStats.merge, sets)
    assert merged.languages == {"translation": {"fr": 10 + 12, "sw": 11}}
    assert merged.count == {"translation": 10 + 11 + 12 + 13}
    assert merged.of(["translation"]).languages == merged.languages
    assert merged.merge(make(9, ["code"])).of(["code"]).languages == {}
    assert jax.tree.map(lambda x: 2 * x, merged).languages["translation"] == {"fr": 44, "sw": 22}
    total = np.sum([one.sum_sq["translation"]["qkv"].astype(float) for one in sets], axis=0)
    np.testing.assert_array_equal(merged.sum_sq["translation"]["qkv"], total.astype(np.float32))
    french = sum(sets[i].sums[keys[0]]["qkv"]["squares"] for i in (0, 2))
    np.testing.assert_array_equal(merged.sums[keys[0]]["qkv"]["squares"], french)


def test_merge_refuses_another_model():
    other = make(1, ["code"], (("attention/query/kernel", "qkv"), ("mlp/out/kernel", "mlp_out")))
    message = "stats: attention/qkv/kernel is qkv in the first and missing in the second; expected"
    with pytest.raises(jp.InputError, match=message):
        make(1, ["code"]).merge(other)


def cut(stats, layers=3, width=4):
    sums = jax.tree.map(lambda x: x[:layers, :width], stats.sum_sq)
    return stats_from_squares(sums, stats.count, stats.sites)


@pytest.mark.parametrize("role", ["code", "translation"])
@pytest.mark.parametrize(("layers", "width"), [(1, 4), (3, 2)])
def test_merge_refuses_another_depth_or_width(layers, width, role):
    """Also where numpy would stretch the smaller one, and where each has roles of its own."""
    other = cut(make(1, [role]), layers, width)
    message = rf"stats: qkv is \(3, 4\) in the first and \({layers}, {width}\) in the second"
    with pytest.raises(jp.InputError, match=message):
        make(1, ["code"]).merge(other)


def test_merge_refuses_a_site_that_one_side_lacks():
    stats = make(1, ["code"])
    hidden = {"code": {**stats.sum_sq["code"], "hidden": np.ones((3, 4), np.float32)}}
    with_hidden = stats_from_squares(hidden, stats.count, SITES)
    with pytest.raises(jp.InputError, match="stats: hidden is missing in the first and"):
        stats.merge(with_hidden)
    with pytest.raises(jp.InputError, match=r"stats: hidden is \(3, 4\) in the first and missing"):
        with_hidden.merge(stats)


def test_norms_are_roots_of_the_sums():
    stats = make(1, ["code"])
    norms = stats.norms("code")
    for site, norm in norms.items():
        assert norm.dtype == np.float32
        np.testing.assert_allclose(norm.astype(np.float64) ** 2, stats.sum_sq["code"][site], 1e-6)
    with pytest.raises(KeyError, match="no statistics of 'translation', only of code"):
        stats.norms("translation")


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_sums_over_samples_are_exact_to_the_last_bit_and_in_no_order(count, seed):
    rng = np.random.default_rng(seed)
    rows = (10.0 ** rng.uniform(-6, 6, (count, 3))).astype(np.float32)
    samples = rng.permutation(count)
    total = sum_samples(rows, samples)
    assert total.dtype == np.float64
    # float64 holds any sum of 40 float32 so exactly that its rounding is that of the true sum,
    # but for ties, which are half a float32 step off
    for column, value in enumerate(total):
        true = math.fsum(rows[:, column].astype(float))
        assert abs(float(np.float32(value)) - true) <= 0.500001 * np.spacing(np.float32(true))
    order = rng.permutation(count)
    again = sum_samples(rows[order], samples[order])
    assert total.tobytes() == again.tobytes()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_sums_of_sets_add_up_to_the_bits_of_the_whole(count, seed):
    """Where float64 is exact: values of float32 within 2^20 of each other, as samples of one model are."""
    rng = np.random.default_rng(seed)
    rows = (2.0 ** rng.uniform(-10, 10, (count, 3))).astype(np.float32)
    samples, sets = np.arange(count), rng.integers(0, 3, count)
    apart = [sum_samples(rows[sets == one], samples[sets == one]) for one in range(3)]
    assert (apart[0] + apart[1] + apart[2]).tobytes() == sum_samples(rows, samples).tobytes()
