"""`recovery.minutes`: the choice fits into the time and fills it, and is that of an ordinary recovery."""

import itertools

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from jobs import job

import jaxprune as jp
from jaxprune.data.batches import first_samples
from jaxprune.pages.job import run_from_config
from jaxprune.recovery import in_time
from jaxprune.recovery.in_time import LEAST_EPOCHS, MOST_EPOCHS, PLANNED, Speed, chosen
from jaxprune.steps import recover

MODEL, LEAST = "nano/bloom", 16


def test_a_choice_fills_the_time():
    """Neither an epoch nor, with the least epochs, a sample more would fit."""
    speeds = itertools.product((0.0, 20.0), (0.01, 1.0), (0.02, 2.0))
    for speed, seconds, available in itertools.product(
        itertools.starmap(Speed, speeds), (10.0, 100.0, 2000.0), (16, 100, 5000)
    ):
        samples, epochs = chosen(speed, seconds, LEAST, available)
        assert LEAST <= samples <= available
        if speed.seconds(LEAST, 1) > PLANNED * seconds:
            assert epochs == 0
            continue
        assert speed.seconds(samples, epochs) <= PLANNED * seconds + 1e-6
        if epochs < MOST_EPOCHS:
            assert speed.seconds(samples, epochs + 1) > PLANNED * seconds
        if LEAST < samples < available:
            assert epochs == LEAST_EPOCHS
            assert speed.seconds(samples + 1, LEAST_EPOCHS) > PLANNED * seconds


@pytest.mark.parametrize("how", ["block", "distil"])
def test_the_choice_is_an_ordinary_recovery(how, monkeypatch):
    monkeypatch.setattr(in_time, "MOST_EPOCHS", 1)
    model = jp.load(MODEL)
    batches = jp.demonstrations(model.tokenizer, "nano", samples=40)
    pruned = jp.prune(model, batches, sparsity=0.5, progress=False)
    timed = jp.recover(model, pruned, batches, how=how, minutes=0.5, progress=False)
    size = timed.report["in_minutes"]
    same = jp.recover(
        model, pruned, first_samples(batches, size["samples"]), how=how, epochs=size["epochs"], progress=False
    )  # fmt: skip
    first, second = (flatten_dict(dict(result.params), sep="/") for result in (timed, same))
    assert all(np.array_equal(first[path], second[path]) for path in first)


def test_a_stopped_run_keeps_its_choice(tmp_path, monkeypatch):
    fields = {"calibration__data": "nano", "calibration__lines": "0-99"}
    run_from_config(job(MODEL, **fields, calibration__samples=4), tmp_path / "pruned")
    config = job(MODEL, **fields, recovery__run=str(tmp_path / "pruned"), recovery__minutes=1)
    monkeypatch.setattr(in_time, "chosen", lambda *_: (19, 1))
    whole = recover.recover_blocks

    def stops(task):
        yield from itertools.islice(whole(task), 2)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recover, "recover_blocks", stops)
        with pytest.raises(KeyboardInterrupt):
            run_from_config(config, tmp_path / "recovered")
    monkeypatch.setattr(in_time, "chosen", lambda *_: 1 / 0)  # not asked again
    report = run_from_config(config, tmp_path / "recovered")
    assert report["in_minutes"] == {"samples": 19, "epochs": 1}
    card = (tmp_path / "recovered/hf/README.md").read_text(encoding="utf-8")
    assert "19" in next(
        line for line in card.splitlines() if "recovery, calibration.samples" in line
    )


def test_minutes_that_are_too_few_name_how_many_are_needed(monkeypatch):
    monkeypatch.setattr(in_time, "_measured", lambda *_: Speed(30.0, 1.0, 1.0))
    model = jp.load(MODEL)
    batches = jp.demonstrations(model.tokenizer, "nano", samples=20)
    pruned = jp.prune(model, batches, sparsity=0.5, progress=False)
    with pytest.raises(
        jp.InputError, match=r"recovery\.minutes: too few; 16 samples take 2 minutes, expected 2"
    ):
        jp.recover(model, pruned, batches, minutes=0.5, progress=False)
