"""Masks from saved statistics: the bits of those from a pass, and nothing from another model."""

import dataclasses
import json
import shutil

import jax
import jobs
import numpy as np
import pytest
from known_stats import stats_from_squares
from recount import recount

import jaxprune as jp
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.stats import states


def job(model="nano/bloom", **fields):
    given = {
        "calibration.data": "nano", "calibration.samples": 8,
        "calibration.source": "fr,sw", "pruning.sparsity": 0.5, "pruning.propagate": "dense",
        "output.hf": False,
    }  # fmt: skip
    return jobs.job(model, **given | fields)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A finished run, and its report."""
    workdir = tmp_path_factory.mktemp("measured") / "run"
    return workdir, run_from_config(job(), workdir)


def masks_digest(report):
    return report["digests"]["masks"]


def test_a_second_mask_needs_no_pass(measured, tmp_path, monkeypatch):
    """Of another sparsity and criterion, with the bits of a run of its own."""
    run, report = measured
    other = {"pruning.criterion": "ria", "pruning.sparsity": 0.3, "calibration.combine": "mean"}
    want = run_from_config(job(**other), tmp_path / "passed")

    def fail(*_, **__):
        raise AssertionError("a pass over a block")

    monkeypatch.setattr(states, "run_segment", fail)
    got = run_from_config(job(**{"calibration.stats": str(run)}, **other), tmp_path / "saved")
    assert masks_digest(got) == masks_digest(want) != masks_digest(report)
    assert got["tokens"] == want["tokens"]
    assert got["languages"] == want["languages"]
    assert got["calibration_lines"] == want["calibration_lines"]
    assert recount(tmp_path / "saved") == []


def test_a_criterion_without_data_has_no_lines_of_saved_statistics(measured, tmp_path):
    fields = {"calibration.stats": str(measured[0]), "pruning.criterion": "magnitude"}
    report = run_from_config(job(**fields), tmp_path / "run")
    assert measured[1]["calibration_lines"]
    assert not report["calibration_lines"]


def test_statistics_of_probe_do_as_well(measured, tmp_path):
    _, report = measured
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)
    stats = jp.probe(model, batches, progress=False)
    jp.checkpoint.save_stats(tmp_path / "stats", stats, model)
    fields = {"calibration.stats": str(tmp_path / "stats")}
    assert masks_digest(run_from_config(job(**fields), tmp_path / "run")) == masks_digest(report)


def bloom_and_batches():
    model = jp.load("nano/bloom")
    return model, jp.demonstrations(model.tokenizer, "nano", source="fr", samples=4)


def test_saved_statistics_of_pruned_blocks_are_refused(tmp_path):
    model, batches = bloom_and_batches()
    result = jp.prune(model, batches, sparsity=0.5, progress=False)
    jp.checkpoint.save_stats(tmp_path / "stats", result.stats, model)
    with pytest.raises(jp.InputError, match="measured with propagate 'block'; expected 'dense'"):
        run_from_config(job(**{"calibration.stats": str(tmp_path / "stats")}), tmp_path / "run")
    with pytest.raises(
        jp.InputError, match=r"pruning\.propagate: got 'block'; expected dense, with"
    ):
        job(**{"calibration.stats": str(tmp_path / "stats"), "pruning.propagate": "block"})
    settings = jp.Settings(propagate="dense")
    with pytest.raises(
        jp.InputError, match=r"propagate='block'.*; expected statistics of the dense"
    ):
        next(jp.prune_blocks(model, [], settings, stats=result.stats, progress=False))


def test_saved_statistics_of_bfloat16_give_its_masks(tmp_path):
    model, batches = bloom_and_batches()
    stats = jp.probe(model, batches, dtype="bfloat16", progress=False)
    jp.checkpoint.save_stats(tmp_path / "stats", stats, model)
    fields = {"calibration.stats": str(tmp_path / "stats")}
    report = run_from_config(job(dtype="bfloat16", **fields), tmp_path / "run")
    result = jp.prune(
        model, batches, sparsity=0.5, propagate="dense", dtype="bfloat16", progress=False
    )
    assert result.stats.digest == stats.digest
    kept = jp.masks.overlap(result.masks, jp.checkpoint.restore(tmp_path / "run/checkpoint").masks)
    assert kept.overall == 1.0
    assert report["languages"] == {"translation": {"fr": stats.count["translation"]}}


def test_statistics_are_not_saved_as_those_of_another_model(tmp_path):
    model, batches = bloom_and_batches()
    stats = jp.probe(model, batches, progress=False)
    other = model.replace(jax.tree.map(lambda leaf: leaf / 2, model.params))
    for wrong in (stats, dataclasses.replace(stats, measured_on=None)):
        with pytest.raises(jp.InputError, match="stats: measured on another model"):
            jp.checkpoint.save_stats(tmp_path / "stats", wrong, other)


def test_what_statistics_were_measured_on_outlives_saving_merging_and_combining(tmp_path):
    model, batches = bloom_and_batches()
    stats = jp.probe(model, batches, progress=False)
    jp.checkpoint.save_stats(tmp_path / "stats", stats, model)
    read = jp.checkpoint.restore_stats(tmp_path / "stats")
    want = (model.source.fingerprint.digest, "float32", "dense")
    for known in (stats, read, stats.merge(read), stats.of(stats.roles), jp.combine(stats, "mean")):
        assert known.measured_on == want
    unknown = dataclasses.replace(stats, measured_on=None)
    assert stats.merge(unknown).measured_on is unknown.merge(stats).measured_on is None
    rounded = jp.probe(model, batches, dtype="bfloat16", progress=False)
    with pytest.raises(
        jp.InputError, match="dtype is float32 in the first and bfloat16 in the sec"
    ):
        stats.merge(rounded)


def test_a_resumed_run_may_not_change_its_statistics(measured, tmp_path):
    run, _ = measured
    model, batches = bloom_and_batches()
    jp.checkpoint.save_stats(tmp_path / "stats", jp.probe(model, batches, progress=False), model)
    run_from_config(job(**{"calibration.stats": str(run)}), tmp_path / "run")
    with pytest.raises(jp.InputError, match="contains a complete run with calibration"):
        run_from_config(job(**{"calibration.stats": str(tmp_path / "stats")}), tmp_path / "run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "nano/xglm"}, "measured with model '.*; expected '.*, as here"),
        ({"dtype": "bfloat16"}, "measured with dtype 'float32'; expected 'bfloat16', as here"),
        ({"pruning.criterion": "sparsegpt"}, "a run saves no gram, which the criterion needs"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(measured, fields, message, tmp_path):
    with pytest.raises(jp.InputError, match=message):
        run_from_config(job(**{"calibration.stats": str(measured[0])}, **fields), tmp_path / "run")


def test_statistics_of_another_tokenizer_are_refused(measured, tmp_path):
    run, _ = measured
    shutil.copytree(CHECKPOINTS["bloom"], tmp_path / "model")
    file = tmp_path / "model" / "tokenizer.json"
    rules = json.loads(file.read_text())
    rules["normalizer"] = {"type": "Lowercase"}
    file.write_text(json.dumps(rules))
    config = job(tmp_path / "model", **{"calibration.stats": str(run)})
    with pytest.raises(jp.InputError, match="measured with tokenizer"):
        run_from_config(config, tmp_path / "run")


def test_statistics_without_a_record_are_refused(tmp_path):
    stats = stats_from_squares(
        {"translation": {"qkv": np.ones((1, 4))}}, {"translation": 3}, (("a", "qkv"),)
    )
    jp.checkpoint.save_stats(tmp_path / "stats", stats)
    with pytest.raises(jp.InputError, match="no record of the model; save them by save_stats"):
        run_from_config(job(**{"calibration.stats": str(tmp_path / "stats")}), tmp_path / "run")
