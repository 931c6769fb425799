"""Text that the model writes itself: how it begins, its seed, and a run that is calibrated on it."""

import html

import numpy as np
import pytest
from jobs import job

import jaxprune as jp
from jaxprune.data.languages import LANGUAGES
from jaxprune.pages.files import read_files
from jaxprune.pages.job import run_from_config
from jaxprune.pages.page import run_page
from jaxprune.steps.generated import written_texts

CODES = ("fr", "sw", "fr", "sw", "fr")
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def model():
    return jp.load("nano/gpt2")


def test_texts_begin_with_words_of_their_language_and_depend_on_the_seed_alone(model):
    texts = written_texts(model, CODES, 24, seed=5, **QUIET)
    for code, text in zip(CODES, texts, strict=True):
        assert text.strip().startswith(LANGUAGES[code].openings)
    assert written_texts(model, CODES, 24, seed=5, **QUIET) == texts
    assert written_texts(model, CODES[:2], 24, seed=5, **QUIET) == texts[:2]
    assert written_texts(model, CODES, 24, seed=6, **QUIET) != texts


def test_batches_have_the_texts_in_turn(model):
    batches = jp.generated_batches(model, "fr,sw", samples=5, max_length=24, seed=5, **QUIET)
    texts = written_texts(model, CODES, 24, seed=5, **QUIET)
    rows = {
        int(number): (code, tokens[valid])
        for batch in batches
        for number, code, tokens, valid in zip(
            batch.samples, batch.languages, batch.tokens, batch.valid, strict=True
        )
    }
    assert [rows[i][0] for i in range(5)] == [*CODES]
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(rows[i][1], model.tokenizer(text)["input_ids"][:24])


def test_a_run_reads_no_data_and_shows_its_text(tmp_path):
    config = job(
        "nano/gpt2", calibration__kind="generated", calibration__data="nowhere", calibration__samples=4,
        calibration__source="fr,sw", calibration__max_length=24, seed=5,
    )  # fmt: skip
    report = run_from_config(config, tmp_path / "run")
    assert list(report["languages"]["generated"]) == ["fr", "sw"]
    batches = jp.generated_batches(jp.load("nano/gpt2"), "fr,sw", samples=4, max_length=24, seed=5)
    assert report["tokens"] == {"generated": sum(batch.num_tokens for batch in batches)}
    for code, text in report["generated"].items():
        assert text.strip().startswith(LANGUAGES[code].openings)
        assert text.strip() in html.unescape(run_page(read_files(tmp_path / "run")))
    masks = jp.prune(jp.load("nano/gpt2"), batches, progress=False).masks
    restored = jp.checkpoint.restore(tmp_path / "run/checkpoint").masks
    assert jp.masks.overlap(masks, restored).overall == 1


def test_a_smaller_model_and_its_recovery_show_what_the_dense_model_wrote(tmp_path, model):
    text = {
        "calibration__kind": "generated", "calibration__samples": 4, "calibration__source": "fr,sw",
        "calibration__max_length": 24, "seed": 5,
    }  # fmt: skip
    layers = model.config.n_layers - 1
    shrunk = run_from_config(job("nano/gpt2", shrink__layers=layers, **text), tmp_path / "small")
    recovery = {"recovery__run": str(tmp_path / "small"), "recovery__epochs": 1}
    recovered = run_from_config(job("nano/gpt2", **recovery, **text), tmp_path / "recovered")
    written = written_texts(model, CODES[:2], 24, seed=5, **QUIET)
    for report in (shrunk, recovered):
        assert list(report["generated"].values()) == written
    assert written[0].strip() in html.unescape(run_page(read_files(tmp_path / "recovered")))


def test_a_language_without_words_is_named(model):
    with pytest.raises(
        jp.InputError, match=r"^the model has no words of Akan to begin a text with; expected text$"
    ):
        jp.generated_batches(model, "ak", **QUIET)
