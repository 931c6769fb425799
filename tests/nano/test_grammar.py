"""Sentences have one meaning and plain words; test_files.py compares all bundled ones with the grammars."""

import functools
import random

import pytest

from jaxprune.base.errors import InputError
from nano import meanings
from nano.grammar import LANGUAGES, grammar, render
from nano.lexicon import concepts, english, french, german, spanish, swahili
from nano.meanings import Clause


@functools.cache
def clauses() -> list[Clause]:
    rng = random.Random("one meaning")
    return [meanings.clause(rng) for _ in range(20_000)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_one_meaning(language: str) -> None:
    """Else translations of it could not be told right from wrong."""
    said: dict[str, Clause] = {}
    for clause in clauses():
        assert said.setdefault(render(clause, language), clause) == clause


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_plain_lines(language: str) -> None:
    for clause in clauses()[:2000]:
        words = render(clause, language).split(" ")
        assert all(word and word.replace("'", "").isalpha() for word in words)


def test_every_language_has_every_word() -> None:
    nouns = {*concepts.CATEGORY, *concepts.ASPECTS}
    for table in (english, french, spanish, german, swahili):
        assert set(table.NOUNS) == nouns
        assert set(table.VERBS) - {"be"} == set(concepts.VERBS)
        assert set(table.PLACES) == set(concepts.PLACES)
        assert set(table.TIMES) == set(concepts.TIMES)
        assert set(table.OPINIONS) == set(concepts.OPINIONS)
    for table in (french, spanish, german):
        assert set(table.ADJECTIVES) == set(concepts.ADJECTIVES)
    assert {*swahili.ADJECTIVES, *swahili.ASSOCIATIVES} == set(concepts.ADJECTIVES)
    assert all(len(forms) == len(swahili.CLASSES) for forms in swahili.ADJECTIVES.values())
    assert len(swahili.ASSOCIATIVE) == len(swahili.SUBJECT) == len(swahili.CLASSES)


def test_number_shows_wherever_it_is_drawn() -> None:
    for noun, (classes, singular, plural) in swahili.NOUNS.items():
        fixed = singular == plural and classes != "1/2"
        assert fixed == (noun in concepts.SINGULAR_ONLY)


def test_unknown_language() -> None:
    with pytest.raises(InputError, match=r"'it'.*en, fr, es, de, sw"):
        grammar("it")
