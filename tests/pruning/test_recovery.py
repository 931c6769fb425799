"""Recovery's place in the loop: it sees what the dense block gives, its changes are kept, and costs nothing unasked."""

import functools

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import jaxprune as jp
from jaxprune.passes import CalibrationStates
from jaxprune.pruning import overlaid, steps
from jaxprune.pruning.packed import PackedMasks

NANO = "jaxprune/nano/checkpoints/bloom"
BIAS = "mlp/out/bias"


@pytest.fixture(scope="module")
def job():
    model = jp.load(NANO)
    return model, jp.demonstrations(model.tokenizer, "nano", samples=6)


def error(block, params):
    """Mean square error of a block's outputs over real tokens, and the mean error by feature."""
    errors = []
    for state, target, context in zip(block.inputs, block.targets, block.contexts, strict=True):
        output = np.asarray(block.run(params, state, context))
        errors.append((output - target)[np.asarray(context.valid)])
    errors = np.concatenate(errors)
    return float((errors**2).mean()), errors.mean(axis=0)


def shifted(block, seen):
    """Takes the mean error off the bias of the block's last product."""
    flat = flatten_dict(block.params, sep="/")
    before, shift = error(block, block.params)
    bias = np.asarray(flat[BIAS]) - shift
    after, _ = error(block, unflatten_dict(flat | {BIAS: bias}, sep="/"))
    seen.append((block.layer, before, after))
    return {BIAS: bias}


def prune(job, propagate, **more):
    settings = jp.Settings(sparsity=0.6, propagate=propagate)
    return list(jp.prune_blocks(*job, settings, progress=False, **more))


@pytest.mark.parametrize("propagate", ["block", "dense", "site"])
def test_a_block_is_brought_nearer_to_the_dense_one(job, propagate):
    seen = []
    blocks = prune(job, propagate, recover=functools.partial(shifted, seen=seen))
    assert [layer for layer, _, _ in seen] == [0, 1, 2, 3]
    assert all(after < before for _, before, after in seen)
    plain = prune(job, propagate)
    for one, other in zip(blocks, plain, strict=True):
        assert set(one.finished.changed) == {BIAS}
        assert not other.finished.changed
        recovered, pruned = (flatten_dict(b.params, sep="/") for b in (one, other))
        np.testing.assert_array_equal(recovered[BIAS], one.finished.changed[BIAS])
        if propagate == "dense":  # nothing below depends on it
            del recovered[BIAS], pruned[BIAS]
            jax.tree.map(np.testing.assert_array_equal, recovered, pruned)
    first = [flatten_dict(b[0].params, sep="/")["mlp/up/kernel"] for b in (blocks, plain)]
    np.testing.assert_array_equal(*first)


@pytest.mark.parametrize("propagate", ["block", "dense", "site"])
def test_finished_layers_give_the_same_without_recovering_again(job, propagate):
    seen = []
    recover = functools.partial(shifted, seen=seen)
    whole = prune(job, propagate, recover=recover)
    done = {block.layer: block.finished for block in whole[:2]}
    again = prune(job, propagate, recover=recover, finished=done.get)
    assert [layer for layer, _, _ in seen] == [0, 1, 2, 3, 2, 3]
    for one, other in zip(whole, again, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_a_model_in_memory_has_the_changes(job):
    model, _ = job
    blocks = prune(job, "block", recover=functools.partial(shifted, seen=[]))
    masks = PackedMasks.stack([PackedMasks.of(block.keep) for block in blocks])
    made = overlaid(model, masks, lambda layer: blocks[layer].finished.changed)
    for block in blocks:
        jax.tree.map(np.testing.assert_array_equal, made.block(block.layer), dict(block.params))
    assert made.source.fingerprint.digest != overlaid(model, masks).source.fingerprint.digest


def test_it_costs_nothing_unasked(job, monkeypatch):
    """No pass more: statistics and forward of each block, but for the forward of the last."""
    passes, real = [], steps.run_and_measure
    monkeypatch.setattr(steps, "run_and_measure", lambda *a: passes.append(a[2]) or real(*a))
    runs, run = [], CalibrationStates.run
    monkeypatch.setattr(CalibrationStates, "run", lambda *a: runs.append(a) or run(*a))
    prune(job, "block")
    assert [one.collect for one in passes] == [True, False] * 3 + [True]
    assert len(runs) == 1 + len(passes)  # one is of the embedding


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mlp/up/bais": np.zeros(512)}, r"layer 0, mlp/up/bais: got shape \(512,\); allowed"),
        ({BIAS: np.zeros(3)}, r"layer 0, mlp/out/bias: got shape \(3,\); allowed: parameters"),
        ({BIAS: np.full(128, np.nan)}, "layer 0, mlp/out/bias: a value is not finite"),
    ],
)
def test_what_does_not_fit_is_refused(job, changed, message):
    with pytest.raises(jp.InputError, match=message):
        prune(job, "block", recover=lambda block: changed)


def test_recovery_needs_samples(job):
    model, batches = job
    settings = jp.Settings(criterion="magnitude", sparsity=0.5)
    with pytest.raises(jp.InputError, match="recover: allowed: with batches, and without stats"):
        next(jp.prune_blocks(model, [], settings, progress=False, recover=lambda block: {}))
    seen = []
    recover = functools.partial(shifted, seen=seen)  # also of a method that measures nothing
    list(jp.prune_blocks(model, batches, settings, progress=False, recover=recover))
    assert all(after < before for _, before, after in seen)


def test_dropped_weights_stay_zero_whatever_recovery_says(job):
    path = "mlp/up/kernel"
    ones = lambda block: {path: np.ones(block.keep[path].shape)}  # noqa: E731
    for block in prune(job, "block", recover=ones):
        kernel = flatten_dict(block.params, sep="/")[path]
        np.testing.assert_array_equal(kernel, block.keep[path])
