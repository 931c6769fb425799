"""Which path attention takes, what its programs hold, and the calls that only GPUs and TPUs can run."""

import dataclasses
import functools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo as cudnn

from jaxprune.models.attention import attend, by_keys, fused
from jaxprune.models.attention.attend import causal_attention
from jaxprune.models.attention.paths import PATHS, path_for
from jaxprune.models.attention.scoring import Scoring
from jaxprune.models.layers import alibi_slopes
from jaxprune.models.model import attention_path, load_config
from jaxprune.nano import CHECKPOINTS

PLAIN = Scoring(1.0)
ALIBI = Scoring(1.0, slopes=alibi_slopes(4))
CAPPED = Scoring(1.0, softcap=30.0)
WINDOWS = Scoring(1.0, windows=(None, 512))
CPU, CUDNN, SPLASH, KEYS = (
    "chunks of queries, head by head", "cuDNN flash attention", "splash attention", "chunks of keys"
)  # fmt: skip


@pytest.mark.parametrize(
    ("platform", "dtype", "features", "scoring", "branches", "name"),
    [
        ("cpu", "bfloat16", 512, Scoring(1.0, ALIBI.slopes, 30.0), True, CPU),
        ("sm90", "bfloat16", 5, WINDOWS, False, CUDNN),
        ("sm90", "bfloat16", 256, PLAIN, False, CUDNN),
        ("sm90", "bfloat16", 257, PLAIN, False, KEYS),
        ("sm90", "bfloat16", 128, ALIBI, False, CUDNN),
        ("sm90", "bfloat16", 256, ALIBI, False, KEYS),
        ("sm90", "bfloat16", 256, CAPPED, False, KEYS),
        ("sm90", "bfloat16", 64, PLAIN, True, KEYS),
        ("sm90", "float32", 64, PLAIN, False, KEYS),
        ("sm80", "bfloat16", 128, PLAIN, False, CUDNN),
        ("sm80", "bfloat16", 128, ALIBI, False, KEYS),
        ("sm80", "bfloat16", 256, PLAIN, False, KEYS),
        ("gpu", "bfloat16", 64, PLAIN, False, KEYS),
        ("tpu", "bfloat16", 256, ALIBI, False, SPLASH),
        ("tpu", "float32", 80, CAPPED, False, SPLASH),
        ("tpu", "bfloat16", 64, PLAIN, True, KEYS),
    ],
)
def test_the_path_of_each_need(platform, dtype, features, scoring, branches, name):
    assert path_for(platform, dtype, features, scoring, branches=branches).name == name


def test_a_model_has_the_path_of_its_attention():
    bloom, gpt2 = (load_config(Path(CHECKPOINTS[name])) for name in ("bloom", "gpt2"))
    assert attention_path(bloom, "bfloat16", "sm90").name == CUDNN
    assert attention_path(gpt2, "float32", "sm90").name == KEYS
    assert attention_path(gpt2, "float32", "tpu").name == SPLASH
    # of a head that with ALiBi's features is wider than an A100's 128
    wide = dataclasses.replace(bloom, head_dim=128)
    assert attention_path(wide, "bfloat16", "sm80").name == KEYS


def inputs(B, T, N, K, H, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=(B, T, n, H)), jnp.float32) for n in (N, K, K)]


# What a program holds.


def arrays(jaxpr):
    """The shapes of all arrays in a traced program and those inside it."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.shape for variable in equation.outvars)
        for value in equation.params.values():
            for part in value if isinstance(value, (tuple, list)) else [value]:
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from arrays(inner)


@pytest.mark.parametrize("windows", [(None,), (None, 300)])
@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_no_array_grows_with_the_square_of_a_row(platform, windows, monkeypatch):
    monkeypatch.setattr(attend, "platform", lambda: platform)
    T = 4096
    scoring = Scoring(1.0, alibi_slopes(2), windows=windows)
    call = functools.partial(causal_attention, dtype=jnp.float32, scoring=scoring)
    kind = None if len(windows) == 1 else np.asarray(1, np.int32)
    traced = jax.make_jaxpr(lambda *x: call(*x, kind=kind))(*inputs(1, T, 2, 1, 8))
    largest = max(np.prod(shape, dtype=int) for shape in arrays(traced.jaxpr))
    assert largest < T * T / 16
    # the same search finds one where there is one
    scores = jax.make_jaxpr(lambda q, k, v: jax.nn.dot_product_attention(q, k, v))
    assert max(map(np.prod, arrays(scores(*inputs(1, T, 2, 1, 8)).jaxpr))) >= T * T


def test_chunks_hold_what_the_table_says():
    [path] = [path for path in PATHS if path.name == KEYS]
    for heads in (1, 32, 128, 2000):
        chunk = by_keys.chunk_of(heads)
        call = functools.partial(
            by_keys.by_keys, prefix=None, scoring=PLAIN, window=None, tree=None
        )
        rows = [jax.ShapeDtypeStruct((1, 2 * chunk, heads, 1), jnp.float32)] * 3
        traced = jax.make_jaxpr(call)(*rows)
        largest = max(np.prod(shape, dtype=int) for shape in arrays(traced.jaxpr))
        assert path.scores(heads) == 4 * largest
        assert path.scores(heads) <= by_keys.SCORE_BYTES or chunk == by_keys.CHUNKS[-1]


def test_gradients_through_chunks_are_those_of_whole_scores(monkeypatch):
    monkeypatch.setattr(by_keys, "CHUNKS", (16,))
    q, k, v = inputs(1, 50, 4, 2, 8)
    scoring = Scoring(1.0, windows=(20,))

    def whole(q, k, v):
        mask = np.tri(50, dtype=bool) & ~np.tri(50, k=-20, dtype=bool)
        return jax.nn.dot_product_attention(q, k, v, mask=mask[None, None], scale=1.0)

    def chunks(q, k, v):
        return by_keys.by_keys(q, k, v, None, scoring=scoring, window=20, tree=None)

    got, want = (
        jax.jit(jax.grad(lambda *x, f=f: (f(*x) ** 2).sum(), argnums=(0, 1, 2)))(q, k, v)
        for f in (chunks, whole)
    )
    for mine, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


# ALiBi as features.


@pytest.mark.parametrize("heads", [4, 12, 32])
def test_features_of_alibi_are_slope_times_position(heads):
    """In bfloat16 too, and at positions that it does not have."""
    T = 70_000
    slopes = alibi_slopes(heads)
    q, k = (jnp.zeros((1, T, n, 2), jnp.bfloat16) for n in (heads, 1))
    q, k = fused.with_alibi(q, k, slopes)
    got = np.asarray(q[0, 0], np.float64) @ np.asarray(k[0, :, 0], np.float64).T
    np.testing.assert_allclose(got, slopes[:, None].astype(np.float64) * np.arange(T), rtol=1e-7)


# cuDNN's call. No GPU runs it here: what it is asked for is computed by XLA, and what it is lowered to is read.


@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize("window", [None, 20])
def test_what_cudnn_is_asked_for_is_the_same_attention(window, alibi, monkeypatch):
    q, k, v = inputs(2, 50, 6, 2, 5)
    scoring = Scoring(1.0, slopes=alibi_slopes(6) if alibi else None)
    want = by_keys.by_keys(q, k, v, None, scoring=scoring, window=window, tree=None)
    asked = jax.nn.dot_product_attention

    def by_xla(*arrays, implementation, **how):
        assert implementation == "cudnn"
        assert {x.shape[-1] % 8 for x in arrays} == {0}
        return asked(*arrays, implementation="xla", **how)

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    got = fused.by_cudnn(q, k, v, None, scoring=scoring, window=window, tree=None)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def lowered(platform, name, q, k, v, dtype=jnp.bfloat16, **how):
    """The program of attention for a platform that is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attend, "platform", lambda: name)
        # which kernels there are, is asked of a GPU
        patch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
        patch.setattr(cudnn, "check_compute_capability", lambda least: name == "sm90")
        call = functools.partial(causal_attention, dtype=dtype, **how)
        with jax.default_matmul_precision("float32"):  # as compiled passes have it
            traced = jax.jit(call).trace(q, k, v)
            return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("heads", "features", "width", "slopes", "window"),
    [
        ((4, 4), 64, 64, None, None),
        ((6, 2), 80, 80, None, None),
        ((6, 1), 20, 24, None, 33),
        ((4, 4), 128, 144, alibi_slopes(4), None),
    ],
)
def test_gpus_get_a_call_of_cudnn(heads, features, width, slopes, window):
    scoring = Scoring(0.5, slopes=slopes, windows=(window,))
    text = lowered("cuda", "sm90", *inputs(2, 70, *heads, features), scoring=scoring)
    [call] = re.findall(r"custom_call @__cudnn\$fmhaSoftmax\(.*", text)
    config = re.search(r'backend_config = "(.*?[^\\])"', call)[1].replace("\\22", '"')
    asked = json.loads(config)["cudnn_fmha_backend_config"]
    assert asked["mask_type"] == "CAUSAL"
    assert asked["fmha_scale"] == 1.0  # queries are scaled before
    assert asked["sliding_window_length"] == (window or 0)
    N, K = heads
    assert f"tensor<2x70x{N}x{width}xbf16>, tensor<2x70x{K}x{width}xbf16>" in call
    assert "70x70" not in text


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_tpus_get_a_kernel_for_each_window(dtype):
    scoring = Scoring(0.5, softcap=30.0, windows=(None, 100))
    how = {"scoring": scoring, "kind": np.asarray(1, np.int32), "dtype": dtype}
    text = lowered("tpu", "tpu", *inputs(2, 200, 6, 2, 20), **how)
    assert len(re.findall(r"custom_call @tpu_custom_call", text)) == 2
    assert "200x200" not in text


def test_what_no_kernel_knows_is_lowered_without_one():
    scoring = Scoring(0.5, softcap=30.0)
    text = lowered("cuda", "sm90", *inputs(1, 70, 2, 2, 8), scoring=scoring)
    assert "custom_call @__cudnn" not in text
    assert "stablehlo.while" in text
