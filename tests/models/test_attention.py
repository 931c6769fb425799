"""Every path of attention against the plain softmax of a numpy loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas.ops.tpu import splash_attention

from jaxprune.models.attention import attend, by_keys, fused
from jaxprune.models.attention.attend import causal_attention
from jaxprune.models.attention.scoring import Prefix, Scoring
from jaxprune.models.layers import alibi_slopes
from jaxprune.models.positions import Tree

SCALE = 0.4


def on_cpu_too(patch):
    """Kernels of accelerators as they run on CPUs, with blocks and chunks so small that there are several."""
    make = splash_attention.make_splash_mha_single_device
    interpreted = functools.partial(make, interpret=True)
    patch.setattr(splash_attention, "make_splash_mha_single_device", interpreted)
    patch.setattr(fused, "_BLOCK", 128)
    patch.setattr(by_keys, "CHUNKS", (32,))


def attention(
    q, k, v, *, alibi=False, dtype=jnp.float32, kind=None, platform="cpu", softcap=None,
    windows=(None,), rounded=False, **more,
):  # fmt: skip
    """`causal_attention` as one program, with ALiBi's slopes or without, on the path of a platform."""
    slopes = alibi_slopes(q.shape[2]) if alibi else None
    scoring = Scoring(SCALE, slopes, softcap, windows, rounded)
    call = functools.partial(causal_attention, scoring=scoring, dtype=dtype)
    more["kind"] = None if kind is None else np.int32(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attend, "platform", lambda: platform)
        on_cpu_too(patch)
        return np.asarray(jax.jit(call)(q, k, v, **more))


def plain(q, k, v, slopes=None, window=None, softcap=None):
    """Query by query in float64; head n reads key head n // (N / K)."""
    B, T, N, H = q.shape
    out = np.zeros((B, T, N, H))
    for b, t, n in np.ndindex(B, T, N):
        head = n // (N // k.shape[2])
        keys, values = (x[b, : t + 1, head].astype(np.float64) for x in (k, v))
        scores = SCALE * keys @ q[b, t, n].astype(np.float64)
        if softcap is not None:
            scores = softcap * np.tanh(scores / softcap)
        if window is not None:
            scores[: max(0, t + 1 - window)] = -np.inf
        if slopes is not None:  # BLOOM's bias grows with the key's position, a constant per query
            scores += slopes[n] * np.arange(t + 1)
        weights = np.exp(scores - scores.max())
        out[b, t, n] = weights @ values / weights.sum()
    return out.reshape(B, T, N * H)


def random_tree(B, T, seed=0):
    """Rows of trees in depth-first order: each token hangs on the last one or on one of its ancestors, or is a root."""
    rng = np.random.default_rng(seed)
    parents = np.full((B, T), -1)
    for b in range(B):
        path = []
        for t in range(T):
            path = path[: rng.integers(0, len(path) + 1)] if rng.random() < 0.3 else path
            parents[b, t] = path[-1] if path else -1
            path.append(t)
    ends = np.tile(np.arange(1, T + 1), (B, 1))
    depth = np.zeros((B, T), int)
    for b, t in np.ndindex(B, T):
        ancestor = parents[b, t]
        while ancestor >= 0:
            depth[b, t] += 1
            ends[b, ancestor] = t + 1
            ancestor = parents[b, ancestor]
    return parents, Tree(depth.astype(np.int32), ends.astype(np.int32))


def plain_tree(q, k, v, parents, *how):
    """Each token with its ancestors as a sequence of its own."""
    B, T, N, H = q.shape
    out = np.zeros((B, T, N * H))
    for b, t in np.ndindex(B, T):
        path = [t]
        while parents[b, path[0]] >= 0:
            path.insert(0, parents[b, path[0]])
        chosen = [x[b : b + 1, path] for x in (q, k, v)]
        out[b, t] = plain(*chosen, *how)[0, -1]
    return out


def inputs(B, T, N, K, H, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, T, heads, H)).astype(np.float32) * 2 for heads in (N, K, K)]


# T, N, K, H: lengths that are no multiple of a chunk, below one chunk and over several of them (with 32 queries a key
# head, 70 keys already need smaller ones), grouped and single key heads.
SHAPES = [
    *((shape, "cpu") for shape in [(1, 2, 2, 4), (33, 4, 4, 8), (97, 3, 1, 8), (70, 64, 2, 4)]),
    *((shape, path) for shape in [(37, 4, 4, 8), (150, 6, 2, 5)] for path in ("gpu", "tpu")),
]
# ALiBi or not, one chunk and several of grouped heads, on the paths that know trees and prefixes
CASES = [
    ((33, 4, 4, 8), True, "cpu"),
    ((97, 6, 2, 5), False, "cpu"),
    ((97, 6, 2, 5), True, "cpu"),
    ((37, 6, 2, 5), False, "gpu"),
    ((97, 6, 2, 5), True, "gpu"),
]
PLATFORMS = ("cpu", "gpu", "tpu")


@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize(("shape", "platform"), SHAPES)
def test_equals_the_plain_softmax(shape, platform, alibi):
    T, N, K, H = shape
    q, k, v = inputs(2, T, N, K, H)
    got = attention(q, k, v, alibi=alibi, platform=platform)
    assert got.dtype == np.float32
    want = plain(q, k, v, alibi_slopes(N) if alibi else None)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("shape", "alibi", "platform"), CASES)
def test_in_trees_a_token_sees_its_ancestors(shape, alibi, platform):
    T, N, K, H = shape
    q, k, v = inputs(2, T, N, K, H)
    parents, tree = random_tree(2, T)
    got = attention(q, k, v, alibi=alibi, tree=tree, platform=platform)
    want = plain_tree(q, k, v, parents, alibi_slopes(N) if alibi else None)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def behind_prefix(q, k, v):
    """A prefix of 11 keys, with room for 16, and queries, keys and values in which it stands before every row."""
    B, _, N, H = q.shape
    K = k.shape[2]
    _, *prefix = (x[0] for x in inputs(1, 16, N, K, H, seed=1))
    before = [np.broadcast_to(x[:11], (B, 11, K, H)) for x in prefix]
    k_whole, v_whole = (np.concatenate(pair, axis=1) for pair in zip(before, (k, v), strict=True))
    q_whole = np.pad(q, ((0, 0), (11, 0), (0, 0), (0, 0)))
    for x in prefix:
        x[11:] = 1e4  # what stands in the rest of the room does not matter
    keys, values = (x.transpose(1, 0, 2) for x in prefix)
    return Prefix(keys, values, np.int32(11)), (q_whole, k_whole, v_whole)


@pytest.mark.parametrize(("shape", "alibi", "platform"), CASES)
def test_a_prefix_stands_before_every_row(shape, alibi, platform):
    T, N, K, H = shape
    q, k, v = inputs(2, T, N, K, H)
    there, whole = behind_prefix(q, k, v)
    want = plain(*whole, alibi_slopes(N) if alibi else None)
    got = attention(q, k, v, alibi=alibi, prefix=there, platform=platform)
    np.testing.assert_allclose(got, want[:, 11:], rtol=1e-4, atol=2e-5)


# Of a model whose layers have a window of 20 keys, or none; chunks of 32 and 64 queries, and one that holds all.
WINDOWS = (None, 20)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("softcap", [None, 1.5])
def test_windows_and_capped_scores(softcap, kind, platform):
    q, k, v = inputs(2, 150, 6, 2, 5)
    got = attention(q, k, v, windows=WINDOWS, kind=kind, softcap=softcap, platform=platform)
    want = plain(q, k, v, None, WINDOWS[kind], softcap)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_a_window_in_trees_counts_ancestors(platform):
    q, k, v = inputs(2, 97, 6, 2, 5)
    parents, tree = random_tree(2, 97)
    parents[0], tree.depth[0], tree.ends[0] = np.arange(-1, 96), np.arange(97), 97  # one long path
    got = attention(q, k, v, windows=WINDOWS, kind=1, tree=tree, platform=platform)
    want = plain_tree(q, k, v, parents, None, 20)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_a_window_reaches_into_the_prefix(platform):
    q, k, v = inputs(2, 97, 6, 2, 5)
    there, whole = behind_prefix(q, k, v)
    got = attention(q, k, v, windows=WINDOWS, kind=1, prefix=there, platform=platform)
    want = plain(*whole, None, 20)[:, 11:]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("platform", "keys", "first"), [("cpu", 40, 64), ("gpu", 64, 96), ("tpu", 128, 256)]
)
def test_chunks_outside_the_window_are_not_computed(platform, keys, first):
    """A key that is read and masked would still make NaN of 0 · NaN."""
    q, k, v = inputs(1, 300, 6, 2, 5)
    want = attention(q, k, v, windows=WINDOWS, kind=1, platform=platform)
    k[:, :keys], v[:, :keys] = np.nan, np.nan
    got = attention(q, k, v, windows=WINDOWS, kind=1, platform=platform)
    np.testing.assert_array_equal(got[:, first:], want[:, first:])
    whole = attention(q, k, v, windows=WINDOWS, kind=0, platform=platform)
    assert np.isnan(whole[:, first:]).all()


def test_layers_of_several_kinds_must_say_which():
    with pytest.raises(ValueError, match="of several kinds; `kind` is missing"):
        attention(*inputs(1, 40, 2, 2, 8), windows=WINDOWS)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_rows_of_pads_hold_no_nan(platform):
    q, k, v = inputs(1, 40, 2, 2, 8)
    nothing = np.zeros((1, 40), np.int32)  # as filled-up rows have it
    got = attention(q, k, v, tree=Tree(nothing, nothing), platform=platform)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_keys_behind_a_query_never_reach_it(platform):
    """What pads hold, infinities and NaN among it, leaves the bits of the tokens before them alone."""
    q, k, v = inputs(1, 50, 4, 2, 8)
    before = attention(q, k, v, platform=platform)
    for array, rubbish in ((q, 1e30), (k, np.inf), (v, 3e38)):
        array[:, 30:] = rubbish
    q[:, 40:], k[:, 45:] = np.nan, np.nan
    got = attention(q, k, v, platform=platform)
    np.testing.assert_array_equal(got[:, :30], before[:, :30])


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("alibi", [False, True])
def test_bfloat16_products_stay_near(alibi, platform):
    q, k, v = inputs(2, 65, 4, 2, 8)
    want = plain(q, k, v, alibi_slopes(4) if alibi else None)
    got = attention(q, k, v, alibi=alibi, dtype=jnp.bfloat16, platform=platform)
    assert got.dtype == np.float32
    error = np.abs(got - want).mean() / np.abs(want).mean()
    assert 1e-4 < error < 0.02


def test_rounded_factors_are_those_of_bfloat16():
    q, k, v = inputs(2, 65, 4, 2, 8)
    want, got = plain(q, k, v), attention(q, k, v, dtype=jnp.bfloat16)
    error = np.abs(got - want).mean() / np.abs(want).mean()
    # the same factors as float32: what is left are weights on the edge between two numbers of bfloat16
    as_float32 = attention(q, k, v, rounded=True)
    assert np.abs(as_float32 - got).mean() / np.abs(want).mean() < error / 50
