"""What the functions of the package do not take: one line that names the argument, before anything is computed."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from known_stats import stats_from_squares

import jaxprune as jp
from jaxprune.nano import CHECKPOINTS
from jaxprune.pruning.settings import Settings

BATCH = jp.Batch(
    np.ones((2, 8), np.int32), np.ones((2, 8), bool), "tokens", np.arange(2, dtype=np.int32)
)
KERNEL = {"a": np.ones((4, 4), np.float32)}
MASK = {"a": np.ones((4, 4), bool)}
STATS = stats_from_squares({"tokens": {"qkv": np.ones((2, 4), np.float32)}}, {"tokens": 3}, ())
OTHER_MESH = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",))


def changed(**fields):
    return [dataclasses.replace(BATCH, **fields)]


CALLS = {
    "a name in place of the model, prune": (
        lambda m: jp.prune("bloom", [BATCH]), r"model: got 'bloom'; expected a Model, as jaxprune\.load"
    ),
    "a text in place of batches": (lambda m: jp.prune(m, "text"), "batches: got str; expected a list"),
    "no batches": (lambda m: jp.probe(m, []), "batches: none; expected at least one Batch"),
    "a list of texts as batches": (lambda m: jp.probe(m, ["text"]), "batches: got a list with str; expected a list"),
    "no samples on a device": (
        lambda m: jp.prune(m, [BATCH], samples_per_device=0), "samples_per_device: got 0; expected an integer of at"
    ),
    "a share of a sample": (
        lambda m: jp.probe(m, [BATCH], samples_per_device=2.0), r"samples_per_device: got 2\.0; expected an integer"
    ),
    "a text as sparsity": (lambda m: jp.prune(m, [BATCH], sparsity="0.3"), "sparsity: got '0.3'; expected"),
    "a pair as pattern": (lambda m: jp.prune(m, [BATCH], pattern=(2, 4)), r"pattern: got \(2, 4\)"),
    "a text as mesh": (lambda m: jp.prune(m, [BATCH], mesh="x"), "mesh: got 'x'; expected a jax.shard"),
    "a dtype of numpy's": (lambda m: jp.probe(m, [BATCH], dtype="f"), "dtype: got 'f'; expected float32"),
    "stats that are none": (
        lambda m: list(jp.prune_blocks(m, [BATCH], Settings(propagate="dense"), stats="x")),
        "stats: got 'x'; expected ActivationStats",
    ),
    "tokens that are floats": (
        lambda m: jp.prune(m, changed(tokens=np.ones((2, 8)))), r"batches\[0\]: tokens: got array.*integers"
    ),
    "valid of another shape": (
        lambda m: jp.prune(m, changed(valid=np.ones((2, 7), bool))), r"have the shapes .*\(2, 7\)"
    ),
    "no samples": (lambda m: jp.prune(m, changed(samples=None)), "samples: got None; expected an array"),
    "a row without tokens": (
        lambda m: jp.prune(m, changed(valid=np.arange(2)[:, None] < np.ones((1, 8)))),
        r"batches\[0\]: row 1 is not left-justified; expected real tokens first, one at least",
    ),
    "a seed of 70 bits": (
        lambda m: jp.scores.random(m.params, seed=2**70), "seed: got 1180591620717411303424; expected an int"
    ),
    "scores of integers": (
        lambda m: jp.masks.keep({"a": np.ones((4, 4), np.int64)}, 0.5), "scores: a is int64; expected floats"
    ),
    "floats as masks": (
        lambda m: jp.masks.intersect(KERNEL, KERNEL), "masks: a is float32 of shape .*expected bool"
    ),
    "density of one axis": (lambda m: jp.masks.density({"a": np.ones(4, bool)}), r"of shape \(4,\)"),
    "masks of no blocks": (lambda m: jp.masks.pack(MASK), "masks: no masks of blocks; expected"),
    "masks of a text": (lambda m: jp.checkpoint.save("x", masks="x"), "masks: got str; expected a nested"),
    "metadata that JSON has not": (
        lambda m: jp.checkpoint.save("x", masks={"blocks": MASK}, metadata={"a": {1}}),
        "metadata: Object of type set .*expected JSON values",
    ),
    "statistics of a text": (lambda m: STATS.merge("x"), "merge: got 'x'; expected ActivationStats"),
    "no folder": (lambda m: jp.export_hf(m, m.params, None), "folder: not set; expected a path"),
    "a bucket as checkpoint": (
        lambda m: jp.checkpoint.save(Path("gs://bucket/masks"), masks={}),
        "path: got .*gs:/bucket/masks.*; expected a path of this machine",
    ),
    "a bucket for a sweep": (lambda m: jp.sweep("nano", "s3://b/x"), "workdir: got 's3://b/x'"),
    "a number as model": (lambda m: jp.load(3), "model: got 3; expected a path"),
    "a number as picture": (lambda m: jp.plot(3), "result: got 3; expected statistics, a result of"),
    "a tokenizer that is none": (
        lambda m: jp.demonstrations("x", "nano", source="fr", target="en"), "tokenizer: got 'x'; expected"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return jp.load(CHECKPOINTS["bloom"])


@pytest.mark.parametrize("name", CALLS)
def test_is_refused_in_one_line(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, says = CALLS[name]
    with pytest.raises(jp.InputError, match=says):
        call(model)
    assert not list(tmp_path.iterdir())
