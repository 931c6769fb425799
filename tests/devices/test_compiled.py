"""Settings of JAX that a user has made: results keep their bits, and the user the settings."""

import contextlib

import jax
import numpy as np
from device_jobs import pruned, xglm_shaped

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.scoring.scorer import Scorer


@contextlib.contextmanager
def unusual():
    """Each of these alone changes bits, or refuses what the package computes, where nothing pins it."""
    with (
        jax.threefry_partitionable(False),
        jax.default_prng_impl("rbg"),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
        jax.default_matmul_precision("bfloat16"),
        jax.enable_x64(True),
    ):
        yield


def test_results_keep_their_bits():
    model = xglm_shaped(2)
    rng = np.random.default_rng(0)
    sequences = rng.integers(0, model.config.vocab_size, (3, 12)).tolist()

    def results():
        masks = [pruned(model, device_mesh(1), propagate=way) for way in ("block", "site")]
        random = jp.prune(model, criterion="random", progress=False).masks
        keep = jp.masks.keep(jp.scores.magnitude(model.params), pattern="2:4")
        scored = Scorer(model, progress=False)(sequences)
        generated = Generator(model, progress=False)(sequences, max_new_tokens=3)
        return jax.tree.leaves((masks, random, keep, scored, generated))

    usual = results()
    with unusual():
        found = results()
    for one, other in zip(usual, found, strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_settings_are_the_user_s_between_blocks():
    settings = jp.Settings(criterion="magnitude", sparsity=0.5)
    with jax.enable_x64(True), jax.default_prng_impl("rbg"):
        for _ in jp.prune_blocks(xglm_shaped(2), [], settings, progress=False):
            assert jax.config.jax_enable_x64
            assert jax.config.jax_default_prng_impl == "rbg"
