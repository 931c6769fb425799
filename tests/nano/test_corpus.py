"""The corpus: determinism, splits, alignment, balance, and labels by rules of their own."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import pytest

from jaxprune.base.errors import InputError
from nano import corpus, meanings
from nano.corpus import EOS
from nano.grammar import LANGUAGES, render
from nano.meanings import Clause, split_of


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def test_same_seed_same_bytes() -> None:
    """On every machine and Python: the checkpoints were trained on exactly this text."""
    texts = [document.text for document in islice(corpus.documents(0), 300)]
    assert digest(texts) == "e49ddde1e6ed2930"
    assert texts != [document.text for document in islice(corpus.documents(1), 300)]


def test_sentences_are_aligned_distinct_and_in_their_split() -> None:
    """The rng stream does not depend on the language, and each line's meaning renders to all."""
    lines = {code: corpus.sentences(code, "train", 400, seed=3) for code in LANGUAGES}
    by_english: dict[str, Clause] = {}
    rng = random.Random("sentences train 3")
    while len(by_english) < 400:
        clause = meanings.clause(rng)
        if split_of(clause) == "train":
            by_english.setdefault(render(clause, "en"), clause)
    for english, *others in zip(*lines.values(), strict=True):
        said = [render(by_english[english], code) for code in LANGUAGES if code != "en"]
        assert said == others
    assert len(set(lines["en"])) == 400
    assert lines["fr"][:100] == corpus.sentences("fr", "train", 100, seed=3)


def test_no_held_out_meaning_is_in_a_training_document() -> None:
    held_out = {
        *(line for code in LANGUAGES for line in corpus.sentences(code, "held_out", 2000)),
        *(row.text for code in ("en", "sw") for row in corpus.review_rows(code, "held_out", 300)),
        *(text for row in corpus.nli_rows("en", "held_out", 600) for text in row[:2]),
    }
    read: set[str] = set()
    for document in islice(corpus.documents(5), 5000):
        if document.kind == "nli":
            premise, rest = document.text.split(" , right? ")
            read |= {premise, rest.split(" , ")[1].removesuffix(EOS)}
        elif document.kind == "review":
            read.add(document.text.split(" It is ")[0])
        else:
            read |= {line.split(": ")[1] for line in document.text.split(EOS) if line}
    assert len(read) > 10_000
    assert not read & held_out


def test_translation_prompt_is_the_papers() -> None:
    prompt = corpus.translation_prompt([("le chat dort", "the cat sleeps")], "fr", "en", "l'oiseau")
    assert prompt == (
        "French: le chat dort</s>English: the cat sleeps</s>French: l'oiseau</s>English:"
    )


@pytest.mark.parametrize("language", ["en", "sw"])
def test_rows_are_balanced_and_aligned(language: str) -> None:
    rows = corpus.nli_rows(language, "held_out", 300, seed=4)
    assert Counter(row.label for row in rows) == {0: 100, 1: 100, 2: 100}
    assert [r.label for r in rows] == [
        r.label for r in corpus.nli_rows("en", "held_out", 300, seed=4)
    ]
    for i in range(0, 300, 3):
        assert len({row.hypothesis for row in rows[i : i + 3]}) == 1
        assert len({row.premise for row in rows[i : i + 3]}) == 3
    labels = [row.label for row in corpus.review_rows(language, "held_out", 1000)]
    assert 0.45 < np.mean(labels) < 0.55


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corpus.sentences("it", "train", 1), "language"),
        (lambda: corpus.nli_rows("en", "test", 1), "split.*'test'.*train, held_out"),
        (lambda: corpus.review_rows("en", "train", -1), "count"),
    ],
)
def test_bad_input(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
