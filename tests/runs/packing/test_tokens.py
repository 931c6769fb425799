"""Choices of tokens: counts against the selection of a run, costs against least squares, and their balance."""

import dataclasses

import numpy as np
import pytest

import jaxprune as jp
from jaxprune.base.schema import checked
from jaxprune.data.nano import text_place
from jaxprune.search.packing.config import PackConfig
from jaxprune.search.packing.steps import Vocabulary
from jaxprune.search.packing.texts import parts_of
from jaxprune.search.packing.tokens import Tokens
from jaxprune.shrinking.choose import candidate_tokens
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.expected import expected_shares

CODES = ("en", "fr", "sw")


@pytest.fixture(scope="module")
def made():
    model = jp.load("nano/bloom")
    settings = {
        "model": "nano/bloom",
        "languages": CODES,
        "text": str(text_place("nano", "calibration")),
    }
    parts = parts_of(checked(PackConfig, settings))
    expected = expected_shares(model, parts.kept, 512, progress=False)
    return model, parts, expected, Tokens(model, parts, expected)


def kept_by_a_run(model, parts, expected, coverage):
    candidates = candidate_tokens(model, parts.kept, {}, expected)
    return candidates.chosen(ShrinkFields(coverage=coverage, multiple=1))


def missing_share(model, texts, kept):
    ids = [token for text in texts for token in model.tokenizer(text)["input_ids"]]
    return np.mean(~np.isin(ids, kept))


def vocabulary(tokens, losses, coverage):
    return Vocabulary(coverage, tokens, 10_000 + 100 * tokens, 1000, losses, f"tokens_{tokens}")


def test_choices_are_those_of_a_run_and_lose_as_was_measured(made):
    model, parts, expected, tokens = made
    none = dict.fromkeys(CODES, 0.0)
    everything = vocabulary(model.config.vocab_size, none, {})
    uniform = tokens.uniform([everything])
    kept = kept_by_a_run(model, parts, expected, uniform.coverage)
    assert uniform.tokens == len(kept)
    missing = {code: missing_share(model, parts.choosing[code], kept) for code in CODES}
    lost = {"en": 0.08, "fr": 0.02, "sw": 0.01}
    first = dataclasses.replace(uniform, smallest=10_000 + 100 * len(kept), losses=lost)
    choices = [*tokens.balanced([everything, first])]
    assert len({choice.tokens for choice in choices}) > 3
    for choice in choices[::5]:
        kept = kept_by_a_run(model, parts, expected, choice.coverage)
        assert choice.tokens == len(kept)
        assert choice.name is None
        assert choice.smallest == pytest.approx(10_000 + 100 * choice.tokens, abs=1)
        for code in CODES:
            # least squares through 0 of what was measured and of 3 at a share of 0.002
            x, y = np.array([[missing[code], lost[code]], [0.002, 0.006]]).T
            cost = max(0.5, (x @ y) / (x @ x))
            share = missing_share(model, parts.choosing[code], kept)
            assert choice.losses[code] == pytest.approx(cost * share, rel=1e-6, abs=1e-9)


def test_a_language_that_loses_more_keeps_more(made):
    model, _, _, tokens = made
    everything = vocabulary(model.config.vocab_size, dict.fromkeys(CODES, 0.0), {})
    uniform = tokens.uniform([everything])

    def coverages(**losses):
        few, losses = dict.fromkeys(CODES, 0.97), dict.fromkeys(CODES, 0.01) | losses
        measured = dataclasses.replace(uniform, coverage=few, losses=losses)
        return [choice.coverage for choice in tokens.balanced([everything, measured])][-1]

    alike, french = coverages(), coverages(fr=9.0)
    assert french["fr"] > alike["fr"]
    assert (french["en"], french["sw"]) == (alike["en"], alike["sw"])
