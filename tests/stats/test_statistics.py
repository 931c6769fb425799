"""Statistics that the devices add up: Gram matrices against torch, and the same bits on many meshes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_torch
from small_samples import sequences
from torch_loop import depth, input_sums

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.hf.weights import stored_name
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.statistics.gram import gram
from jaxprune.stats.statistics.squares import sum_of_squares

LANGUAGES = ("fr", "sw", "fr", "fr", "sw", "sw", "fr")


@pytest.mark.parametrize("name", ["xglm", "gemma2", "cohere"])
def test_gram_matrices_are_those_of_torch_by_language(name, tiny_folder):
    """Of every linear layer's inputs; rows have pads, which hold other tokens' features."""
    model, samples = jp.load(tiny_folder(name)), sequences(7, 1, low=3, high=17)
    batches = group_by_length(samples, "translation", languages=LANGUAGES, multiple=8, max_shapes=2)
    stats = jp.probe(model, batches, statistics=("gram", "squares"), progress=False)
    reference = tiny_torch(name)
    for code in ("fr", "sw"):
        own = [row for row, language in zip(samples, LANGUAGES, strict=True) if language == code]
        layers = range(depth(reference))
        want, _ = input_sums(reference, layers, own, of=lambda x: x.T @ x)
        for path, site in stats.sites:
            for layer in layers:
                tensor = stored_name(model.config, f"blocks/{path}", layer)
                (name,) = (n for at, n in want if at == layer and tensor.endswith(f".{n}.weight"))
                sums, gram = stats.sums[SetKey("translation", code)][site], want[layer, name]
                np.testing.assert_allclose(
                    sums["gram"][layer], gram, rtol=1e-4, atol=1e-5 * np.abs(gram).max()
                )
                diagonal = np.diag(sums["gram"][layer])
                np.testing.assert_allclose(diagonal, sums["squares"][layer], rtol=1e-5)


@pytest.mark.parametrize(
    ("sums", "formula"), [(gram, "btd,bte->bde"), (sum_of_squares, "btd,btd->bd")]
)
def test_pads_do_not_count_whatever_they_hold(sums, formula):
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 7, 5)).astype(np.float32)
    valid = np.arange(7) < np.array([7, 3, 0])[:, None]
    real = u.astype(np.float64) * valid[..., None]
    poisoned = np.where(valid[..., None], u, [np.nan, np.inf, -np.inf, 1e30, 0]).astype(np.float32)
    got = sums(jnp.asarray(poisoned), jnp.asarray(valid))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, np.einsum(formula, real, real), rtol=1e-5, atol=1e-6)
    assert not np.asarray(got)[2].any()


def test_an_unknown_statistic_is_refused(tiny_folder):
    batches = group_by_length(sequences(2, 1), "translation")
    with pytest.raises(
        jp.InputError, match="statistics: got 'grams'; expected gram, positive, squares"
    ):
        jp.probe(jp.load(tiny_folder("bloom")), batches, statistics=["grams"], progress=False)


def test_results_that_nobody_takes_are_not_kept(tiny_folder):
    """Of a pass of many micro-batches two are there at a time."""
    from jaxprune.devices.sharding import device_mesh
    from jaxprune.stats.states import calibration_states

    batches = group_by_length(sequences(12, 3), "translation", max_shapes=1)
    states = calibration_states(
        jp.load(tiny_folder("bloom")), batches, device_mesh(1), 1, "float32"
    )
    alive, most = 0, 0

    class Result:
        def __init__(self):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    jax.tree_util.register_pytree_node(Result, lambda r: ((), None), lambda *_: None)
    states.run(lambda state, context: (None, Result()))
    assert len(states.states) == 12
    assert most <= 3
    assert alive == 0
