"""Kinds that are controls: the sentences of translations in other pairs or in separate samples, and text over code."""

import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest

import jaxprune as jp
from jaxprune.data.batches import set_tokens


@pytest.fixture(scope="module")
def tokenizer():
    return jp.load("nano/bloom").tokenizer


def sentences_of(tokenizer, batches):
    """By sample, its (language, sentence) pairs."""
    texts = {
        int(sample): tokenizer.decode(tokens[valid])
        for batch in batches
        for sample, tokens, valid in zip(batch.samples, batch.tokens, batch.valid, strict=True)
    }
    shape = re.compile(r"(French|Swahili|English): (.*)", re.DOTALL)
    return [
        [
            shape.fullmatch(part.strip()).groups()
            for part in texts[sample].split(tokenizer.eos_token)[:-1]
        ]
        for sample in sorted(texts)
    ]


def made(tokenizer, kind, **settings):
    how = {"source": "fr", "shots": 3, "samples": 8, "max_length": 4096, **settings}
    return jp.demonstrations(tokenizer, "nano", kind=kind, **how)


@pytest.mark.parametrize("kind", ["shuffled", "unpaired"])
@pytest.mark.parametrize("source", ["fr", "fr,sw"])
def test_controls_have_the_sentences_and_tokens_of_translations(kind, source, tokenizer):
    batches, translations = (made(tokenizer, one, source=source) for one in (kind, "translation"))
    found, wanted = (sentences_of(tokenizer, one) for one in (batches, translations))
    assert Counter(chain(*found)) == Counter(chain(*wanted))
    assert [len(sample) for sample in found] == [6] * 8
    counts = [
        {key.language: n for key, n in set_tokens(one).items()} for one in (batches, translations)
    ]
    assert counts[0] == counts[1]
    assert {key.kind for key in set_tokens(batches)} == {kind}
    code = source.split(",")
    rows = {
        int(sample): language
        for batch in batches
        for sample, language in zip(batch.samples, batch.languages, strict=True)
    }
    assert [rows[i] for i in range(8)] == [code[i % len(code)] for i in range(8)]


def test_a_shuffled_sentence_is_followed_by_the_translation_of_another(tokenizer):
    translation_of = {
        own[1]: english[1]
        for sample in sentences_of(tokenizer, made(tokenizer, "translation"))
        for own, english in zip(sample[::2], sample[1::2], strict=True)
    }
    for sample in sentences_of(tokenizer, made(tokenizer, "shuffled")):
        assert [name for name, _ in sample] == ["French", "English"] * 3
        there = {sentence for _, sentence in sample}
        assert not any(translation_of[own] in there for _, own in sample[::2])


@pytest.mark.parametrize("samples", [8, 7, 2])
def test_an_unpaired_sample_has_no_translation(samples, tokenizer):
    translations = sentences_of(tokenizer, made(tokenizer, "translation", samples=samples))
    pairs = [
        pair for sample in translations for pair in zip(sample[::2], sample[1::2], strict=True)
    ]
    order = [own for own, _ in pairs] + [english for _, english in pairs]
    found = sentences_of(tokenizer, made(tokenizer, "unpaired", samples=samples))
    assert [*chain(*found)] == order
    assert not any({*pair} <= {*sample} for pair in pairs for sample in found)


def test_one_side_of_a_sample_in_one_language_is_all_or_none_of_it(tokenizer):
    for side, name in (("source", "French"), ("target", "English")):
        for batch in made(tokenizer, "unpaired", tokens=side):
            for tokens, valid, counted in zip(
                batch.tokens, batch.valid, batch.counted, strict=True
            ):
                own = tokenizer.decode(tokens[valid]).strip().startswith(name)
                np.testing.assert_array_equal(counted, valid & own)


def test_plain_text_over_code_has_both_sets(tokenizer, tmp_path):
    for number in range(8):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n", encoding="utf-8")
    plain = made(tokenizer, "monolingual")
    over_code, translations = (
        made(tokenizer, kind, code=tmp_path)
        for kind in ("monolingual_vs_code", "translation_vs_code")
    )
    for one, other in zip(over_code, plain, strict=False):
        np.testing.assert_array_equal(one.tokens, other.tokens)
    codes = [
        [batch for batch in batches if batch.role == "code"]
        for batches in (over_code, translations)
    ]
    assert len(over_code) == len(plain) + len(codes[0])
    for one, other in zip(*codes, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
