"""Scores against plain numpy, and layer by layer against the stacked tree."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from known_stats import stats_from_squares

from jaxprune.base.errors import InputError
from jaxprune.data.config import COMPAT
from jaxprune.devices.compiled import pinned
from jaxprune.pruning import scores
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criteria.refined import refined_norm
from jaxprune.pruning.criteria.wanda import weighted
from jaxprune.pruning.criterion import Inputs, kernel_scores, key_of_seed

# as one program each, as in the loop
weighted = jax.jit(weighted)
refined_norm = jax.jit(refined_norm, static_argnames="compat")
LAYERS = 3


def of_block(kernels, criterion, norms=None, seed=0, layer=0):
    """The scores of a block's kernels, as the loop over blocks gets them."""
    with pinned():
        key = key_of_seed(seed)
    return {
        path: kernel_scores(
            CRITERIA[criterion],
            kernel,
            Inputs(
                {name: by_path[path] for name, by_path in (norms or {}).items()},
                path=path, layer=layer, seed_key=key, compat="corrected",
            ),
        )
        for path, kernel in kernels.items()
    }  # fmt: skip


SITES = (
    ("attention/query/kernel", "qkv"),
    ("attention/key/kernel", "qkv"),
    ("mlp/up/kernel", "in"),
)
SHAPES = {"attention/query/kernel": (6, 4), "attention/key/kernel": (6, 2), "mlp/up/kernel": (5, 7)}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def params(rng):
    def draw(*shape):
        return rng.standard_normal((LAYERS, *shape)).astype(np.float32)

    return {
        "embed": {"tokens": {"kernel": draw(9, 6)[0]}},
        "blocks": {
            "attention_norm": {"scale": draw(6)},
            "attention": {"query": {"kernel": draw(6, 4), "bias": draw(4)}}
            | {"key": {"kernel": draw(6, 2)}},
            "mlp": {"up": {"kernel": draw(5, 7)}},
        },
        "head": {"kernel": draw(6, 9)[0]},
    }


@pytest.fixture
def stats(rng):
    def draw():
        return {
            "qkv": rng.random((LAYERS, 6)).astype(np.float32),
            "in": rng.random((LAYERS, 5)).astype(np.float32),
        }

    return stats_from_squares(
        sum_sq={"translation": draw(), "code": draw()},
        count={"translation": 10, "code": 20},
        sites=SITES,
    )


def only(stats, role):
    return stats_from_squares({role: stats.sum_sq[role]}, {role: stats.count[role]}, stats.sites)


def kernel_of(tree, path):
    for part in path.split("/"):
        tree = tree[part]
    return np.asarray(tree)


def paths_of(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    }


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16])
def test_wanda_score_is_float32_of_any_kernel(rng, dtype):
    kernel = rng.standard_normal((2, 4, 3)).astype(dtype)
    norm = rng.random((2, 4)).astype(np.float32)
    score = weighted(kernel, norm)
    expected = np.zeros((2, 4, 3), np.float32)
    for layer, i, j in np.ndindex(expected.shape):
        expected[layer, i, j] = np.float32(abs(kernel[layer, i, j])) * norm[layer, i]
    assert score.dtype == jnp.float32
    np.testing.assert_array_equal(score, expected)
    by_size = of_block({"a/kernel": jnp.asarray(kernel[0])}, "magnitude")["a/kernel"]
    np.testing.assert_array_equal(by_size, np.abs(kernel[0].astype(np.float32)))


def test_refined_norm_without_zeros_is_the_papers_ratio_in_both_modes(rng):
    mt, code = rng.random((2, 2, 5)).astype(np.float32) + 0.1
    for compat in COMPAT.choices:
        np.testing.assert_array_equal(refined_norm(mt, code, compat), mt * (mt / code))


def test_refined_norm_guards_zero_code_norms_by_the_smallest_of_the_row():
    mt = np.array([[2.0, 3.0, 0.0, 0.0], [1.0, 2.0, 3.0, 0.0]], np.float32)
    code = np.array([[0.0, 0.5, 0.0, 4.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    refined = refined_norm(mt, code)
    np.testing.assert_array_equal(refined, [[8.0, 18.0, 0.0, 0.0], [1.0, 4.0, 9.0, 0.0]])
    official = refined_norm(mt, code, "official")
    np.testing.assert_array_equal(
        official, [[np.inf, 18.0, np.nan, 0.0], [np.inf, np.inf, np.inf, np.nan]]
    )


def test_refined_norm_stays_finite_and_shows_a_norm_that_is_not_a_number():
    mt = np.array([1e19, 1.0, 1.0], np.float32)
    code = np.array([0.0, 1e-30, 1.0], np.float32)
    assert np.isfinite(refined_norm(mt, code)).all()
    mt[1] = code[2] = np.nan
    broken = refined_norm(mt, code)
    assert np.isnan(np.asarray(broken)).tolist() == [False, True, True]


@pytest.mark.parametrize("criterion", ["wanda", "refined", "magnitude"])
def test_every_kernel_of_a_block_is_scored_and_nothing_else(criterion, params, stats):
    given = {"wanda": [only(stats, "translation")], "refined": [stats], "magnitude": []}
    tree = getattr(scores, criterion)(params, *given[criterion])
    assert (
        paths_of(tree) == paths_of(scores.random(params)) == {f"blocks/{path}" for path in SHAPES}
    )
    for path, site in SITES:
        mt, code = (np.sqrt(stats.sum_sq[role][site]) for role in ("translation", "code"))
        factors = {"wanda": mt, "refined": mt * (mt / code), "magnitude": np.ones_like(mt)}
        expected = np.abs(kernel_of(params["blocks"], path)) * factors[criterion][:, :, None]
        np.testing.assert_array_equal(kernel_of(tree["blocks"], path), expected)


def one_block(params, stats, layer):
    kernels = {path: jnp.asarray(kernel_of(params["blocks"], path)[layer]) for path in SHAPES}
    norms = {
        name: {path: jnp.asarray(np.sqrt(stats.sum_sq[role][site][layer])) for path, site in SITES}
        for name, role in (("demonstrations", "translation"), ("code", "code"))
    }
    return kernels, norms


@pytest.mark.parametrize("criterion", CRITERIA)
def test_block_by_block_gives_the_bits_of_the_stacked_tree(params, stats, criterion):
    tree = scores.tree_scores(criterion, params, stats, role="translation", seed=3)

    @jax.jit
    def block(kernels, norms, layer):
        return of_block(kernels, criterion, norms=norms, seed=3, layer=layer)

    for layer in range(LAYERS):
        for path, leaf in block(*one_block(params, stats, layer), layer).items():
            np.testing.assert_array_equal(leaf, kernel_of(tree["blocks"], path)[layer])


def test_random_depends_on_seed_layer_and_path_alone(params):
    kernel = jnp.zeros((6, 4))

    def draw(path="a/kernel", seed=0, layer=0, **others):
        return np.asarray(
            of_block({path: kernel, **others}, "random", seed=seed, layer=layer)[path]
        )

    first = draw()
    np.testing.assert_array_equal(first, draw(**{"0/kernel": jnp.ones((3, 3))}))
    for other in (draw("b/kernel"), draw(seed=1), draw(layer=1)):
        assert (first != other).mean() > 0.9
    assert 0 <= first.min() < first.max() < 1


def test_random_scores_are_pinned():
    # The masks of a seed must not change with the version of jaxprune or of jax.
    leaf = of_block({"mlp/up/kernel": jnp.zeros((2, 2))}, "random", seed=7, layer=5)
    steps = np.array(
        [[871112, 5611820], [2809488, 8139617]]
    )  # uniform draws are on a grid of 2^-23
    np.testing.assert_array_equal(leaf["mlp/up/kernel"], np.float32(steps / 2**23))


def test_refusals_name_what_is_wrong(params, stats):
    with pytest.raises(InputError, match=r"criterion: got 'wand'; expected .*wanda, .*refined"):
        scores.tree_scores("wand", params, stats)
    with pytest.raises(InputError, match="compat: got 'paper'; expected corrected, official"):
        scores.refined(params, stats, compat="paper")
    with pytest.raises(InputError, match="seed: got -1; expected"):
        scores.random(params, seed=-1)
    up = {"up": {"kernel": np.zeros((LAYERS, 4, 7), np.float32)}}
    other = {**params, "blocks": {**params["blocks"], "mlp": up}}
    with pytest.raises(InputError, match="criterion wanda: mlp/up/kernel: "):
        scores.wanda(other, stats, role="code")
    with pytest.raises(InputError, match="role: not set; expected translation, code"):
        scores.wanda(params, stats)
    with pytest.raises(InputError, match="stats: got 'translation'; expected a set of code too"):
        scores.refined(params, only(stats, "translation"))
    with pytest.raises(InputError, match="stats: got 'code'; expected a set of demonstrations too"):
        scores.refined(params, only(stats, "code"))
    same = scores.refined(params, stats, role="translation")
    jax.tree.map(np.testing.assert_array_equal, same, scores.refined(params, stats))
    del params["blocks"]["mlp"]
    with pytest.raises(
        InputError,
        match="blocks/mlp/up/kernel: missing in params; expected all kernels of stats",
    ):
        scores.wanda(params, only(stats, "code"))


def test_ria_is_the_papers_formula():
    """Equation 4, with loops; a row of zeros scores 0."""
    rng = np.random.default_rng(0)
    kernel, norm = rng.normal(size=(6, 4)).astype(np.float32), rng.uniform(1, 9, 6)
    kernel[2] = 0
    want = np.zeros((6, 4))
    for i, j in np.ndindex(6, 4):
        size = abs(kernel[i, j])
        shares = size / abs(kernel[:, j]).sum() + (size / abs(kernel[i]).sum() if size else 0)
        want[i, j] = shares * np.sqrt(norm[i])
    norms = {"demonstrations": {"a": jnp.asarray(norm, jnp.float32)}}
    got = of_block({"a": jnp.asarray(kernel)}, "ria", norms=norms)["a"]
    np.testing.assert_allclose(got, want, rtol=1e-6)
