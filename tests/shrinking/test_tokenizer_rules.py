"""Smaller tokenizers against the tokenizers library: texts of kept tokens split as before."""

import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import KINDS, LINES
from tokenizers import Tokenizer

from jaxprune.base.errors import InputError
from jaxprune.shrinking.tokenizer_rules import (
    always_kept,
    check_kind,
    parts_of,
    trimmed,
)

WORDS = sorted({word for line in LINES for word in line.split()})
UNUSUAL = "\u200d\u0301\ufe0f\u202e\u0000\u2028ǅſßİ\U0001f469\U0001f467\u0e33ﷺ\ud7a3𝔘\n\t "
# Pieces of the training text between characters that it lacks.
texts = st.lists(
    st.sampled_from(WORDS) | st.text(UNUSUAL, max_size=3) | st.text(max_size=3), max_size=6
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda between: between.join(parts)))


@functools.cache
def rules_and_tokenizer(kind):
    tokenizer = KINDS[kind]()
    return json.loads(tokenizer.to_str()), tokenizer


def ids_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def smaller(rules, ids, parts):
    kept = sorted(set().union(*map(parts, {*ids, *always_kept(rules)})))
    return Tokenizer.from_str(json.dumps(trimmed(rules, kept))), kept


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), texts)
def test_texts_of_kept_tokens_split_as_before(kind, selection, other):
    rules, whole = rules_and_tokenizer(kind)
    used = {i for text in selection for i in ids_of(whole, text)}
    small, kept = smaller(rules, used, parts_of(rules))
    for text in (*selection, other):
        before = ids_of(whole, text)
        if {*before} <= {*kept}:
            assert [kept[i] for i in ids_of(small, text)] == before
    assert {i for text in selection for i in ids_of(whole, text)} <= {*kept}


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback"])
def test_without_the_tokens_on_the_way_splits_would_change(kind):
    """So the test above can fail."""
    rules, whole = rules_and_tokenizer(kind)
    used = {i for line in LINES for i in ids_of(whole, line)}
    small, kept = smaller(rules, used, lambda token: {token})
    changed = [[kept[i] for i in ids_of(small, line)] != ids_of(whole, line) for line in LINES]
    assert any(changed)
    assert len(smaller(rules, used, parts_of(rules))[1]) < whole.get_vocab_size()


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_still_has_tokens_that_decode_to_it(kind):
    """Bytes are kept; Unigram has none and writes the unknown token."""
    rules, whole = rules_and_tokenizer(kind)
    small, _ = smaller(rules, ids_of(whole, LINES[0]), parts_of(rules))
    for line in LINES:
        if kind == "unigram":
            assert ids_of(small, line)
        else:
            assert small.decode(ids_of(small, line)).strip() == line


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_begin_texts_as_before(kind):
    rules, whole = rules_and_tokenizer(kind)
    small, kept = smaller(rules, ids_of(whole, LINES[1]), parts_of(rules))
    before, after = (t.encode(f"{LINES[1]}<|turn|>") for t in (whole, small))
    assert [kept[i] for i in after.ids] == before.ids
    assert after.tokens[0] == "<s>"
    assert after.tokens[-1] == "<|turn|>"
    assert small.token_to_id("<unused0>") is None


def test_penalty_of_unknown_characters_is_that_of_the_whole_vocabulary():
    """It is computed from the lowest score."""
    rules, whole = rules_and_tokenizer("unigram")
    small, _ = smaller(rules, ids_of(whole, LINES[0]), parts_of(rules))
    lowest = [
        min(score for _, score in json.loads(t.to_str())["model"]["vocab"]) for t in (whole, small)
    ]
    assert lowest[0] == lowest[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "WordPiece"}, "model.type: got 'WordPiece'; expected BPE, Unigram"),
        ({"type": "BPE", "end_of_word_suffix": "</w>"}, "model.end_of_word_suffix: got '</w>'; expected none"),
        ({"type": "BPE", "dropout": 0.1}, "model.dropout: got 0.1; expected none"),
    ],
)  # fmt: skip
def test_other_kinds_are_rejected_by_name(change, message):
    with pytest.raises(InputError, match=message):
        check_kind({"model": change, "post_processor": None})
