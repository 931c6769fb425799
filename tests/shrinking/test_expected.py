"""Probabilities of all tokens after a text against transformers, on one device and two; tokens that they add."""

import numpy as np
import pytest
import torch
import transformers
from jobs import job

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.shrinking import expected
from jaxprune.shrinking.expected import expected_shares
from jaxprune.shrinking.texts import texts_by_language

TEXTS = texts_by_language("text", ["nano"], ["fr", "sw"])


@pytest.mark.parametrize("family", ["bloom", "xglm"])
def test_the_shares_are_mean_probabilities_in_transformers(family, monkeypatch):
    monkeypatch.setattr(expected, "_WINDOW", 32)
    monkeypatch.setattr(expected, "_SLICE", 300)  # which does not divide the vocabulary
    model = jp.load(CHECKPOINTS[family])
    shares = expected_shares(model, TEXTS, 200, progress=False)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(CHECKPOINTS[family])
    tokenizer = model.tokenizer
    front = tokenizer("")["input_ids"]
    width = 32 - len(front)
    for code, own in shares.items():
        ids = tokenizer("\n".join(TEXTS[code]), add_special_tokens=False)["input_ids"]
        starts = np.arange(0, len(ids) - width + 1, width)
        chosen = starts[np.linspace(0, len(starts) - 1, 200 // width).astype(int)]
        rows = torch.tensor([[*front, *ids[start : start + width]] for start in chosen])
        with torch.no_grad():
            probabilities = torch.softmax(theirs(rows).logits.double(), -1)
        mean = probabilities[..., : model.config.vocab_size].mean((0, 1)).numpy()
        np.testing.assert_allclose(own, mean, rtol=1e-4, atol=1e-9)
        assert own.sum() == pytest.approx(1)


def test_likely_tokens_that_the_texts_lack_are_kept(tmp_path):
    model = jp.load("nano/bloom")
    few = {"fr": TEXTS["fr"][:20]}
    others = {"fr": TEXTS["fr"][20:]}
    settings = {"texts": few, "heldout": others, "progress": False, "multiple": 1}
    plain = jp.shrink(model, tmp_path / "plain", **settings)
    size = plain.model.config.vocab_size
    likely = jp.shrink(model, tmp_path / "likely", **settings, expected=500, tokens=size)
    assert likely.model.config.vocab_size <= size
    splits = [shrunk.report["heldout"]["fr"]["same"] for shrunk in (plain, likely)]
    assert splits[1] > splits[0]


def test_a_config_has_the_shares_of_its_texts(tmp_path):
    fields = {
        "shrink__vocabulary": "nano", "shrink__languages": "fr", "shrink__expected": 500,
        "shrink__coverage": 0.99,
    }  # fmt: skip
    report = run_from_config(job("nano/bloom", "shrink", **fields), tmp_path / "run")
    model = jp.load("nano/bloom")
    direct = jp.shrink(
        model, tmp_path / "direct", texts={"fr": TEXTS["fr"]}, expected=500, coverage=0.99,
        progress=False,
    )  # fmt: skip
    assert report["shrunk"]["tokens"]["after"] == direct.model.config.vocab_size
    names = [jp.load(tmp_path / name).tokenizer.get_vocab() for name in ("run/hf", "direct")]
    assert names[0] == names[1]


def test_every_token_has_a_probability_so_some_must_be_dropped(tmp_path):
    with pytest.raises(
        InputError, match=r"^shrink.expected: set without shrink.coverage below 1 or"
    ):
        jp.shrink(jp.load("nano/bloom"), tmp_path, texts=TEXTS, expected=100)
