"""What the nano models read, and what they are tested on.

Every document has the form in which the paper prompts: translation demonstrations
"{Language}: {sentence}{eos}{Language}: {sentence}{eos}…", NLI "{premise} , right? {Yes|Also|No} ,
{hypothesis}" and reviews "{review} It is {positive|negative}", English template for all languages.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxprune.base.errors import InputError
from nano import inference, meanings
from nano.grammar import LANGUAGES, grammar, render
from nano.inference import LABELS
from nano.lexicon import concepts
from nano.meanings import Clause, M, NounPhrase, Review, chance, check_split, draw, pick
from nano.reviews import review

EOS = "</s>"
VERBALISERS: dict[str, str] = {"entailment": "Yes", "neutral": "Also", "contradiction": "No"}

# Shares of documents by kind, and the loss weight of their parts.
MIXTURE = {"translation": 0.36, "glossary": 0.12, "monolingual": 0.10, "nli": 0.34, "review": 0.08}
ENGLISH_SHARE = 0.88  # of NLI and reviews; the rest is spread evenly over the other languages
READ, TOLD, SENTIMENT = 0.35, 1.0, 2.0


class Pair(NamedTuple):
    """An NLI row: two sentences and the label as an index into LABELS."""

    premise: str
    hypothesis: str
    label: int


class Opinion(NamedTuple):
    """A review row: its text and the label, 0 negative, 1 positive."""

    text: str
    label: int


class Document(NamedTuple):
    """A training text in parts, each with the weight of its tokens in the loss."""

    kind: str
    parts: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(text for text, _ in self.parts)


def sentences(language: str, split: str, count: int, seed: int = 0) -> list[str]:
    """`count` different sentences; line i means the same in every language.

    Raises InputError for a language or a split that nano does not have, or a negative count.
    """
    _check(language, split, count)
    return [render(clause, language) for clause in _clauses(split, count, seed)]


def nli_rows(language: str, split: str, count: int, seed: int = 0) -> list[Pair]:
    """`count` NLI rows; row i means the same in every language.

    Rows 3i, 3i + 1 and 3i + 2 share their hypothesis and have the three labels. Raises InputError
    as `sentences` does.
    """
    _check(language, split, count)
    rows: list[Pair] = []
    for hypothesis, premises in _triples(split, -(-count // len(LABELS)), seed):
        said = render(hypothesis, language)
        rows += [Pair(render(premises[k], language), said, i) for i, k in enumerate(LABELS)]
    return rows[:count]


def review_rows(language: str, split: str, count: int, seed: int = 0) -> list[Opinion]:
    """`count` different reviews; row i means the same in every language. Raises as `sentences` does."""
    _check(language, split, count)
    found = _reviews(split, count, seed)
    return [Opinion(render(r, language), int(r.sentiment == "positive")) for r in found]


def documents(seed: int = 0) -> Iterator[Document]:
    """The training documents, without end; the same for the same seed."""
    rng = random.Random(f"documents {seed}")
    kinds, shares = zip(*MIXTURE.items(), strict=True)
    while True:
        point, index = rng.random() * sum(shares), 0
        while point >= shares[index]:
            point -= shares[index]
            index += 1
        yield _BUILD[kinds[index]](rng)


def translation_prompt(pairs: list[tuple[str, str]], source: str, target: str, query: str) -> str:
    """Demonstrations and one open line: "French: …</s>English: …</s>French: {query}</s>English:"."""
    lines = [f"{LANGUAGES[source]}: {s}{EOS}{LANGUAGES[target]}: {t}{EOS}" for s, t in pairs]
    return "".join(lines) + f"{LANGUAGES[source]}: {query}{EOS}{LANGUAGES[target]}:"


def _check(language: str, split: str, count: int) -> None:
    grammar(language)
    check_split(split)
    if count < 0:
        raise InputError(f"count: got {count}, it must not be negative")


# Kept: the meanings are the same in every language, and callers go through the languages.


@functools.lru_cache(maxsize=8)
def _clauses(split: str, count: int, seed: int) -> tuple[Clause, ...]:
    return _different(random.Random(f"sentences {split} {seed}"), split, count, meanings.clause)


@functools.lru_cache(maxsize=8)
def _reviews(split: str, count: int, seed: int) -> tuple[Review, ...]:
    return _different(random.Random(f"reviews {split} {seed}"), split, count, review)


@functools.lru_cache(maxsize=8)
def _triples(split: str, count: int, seed: int) -> tuple[tuple[Clause, dict[str, Clause]], ...]:
    rng = random.Random(f"nli {split} {seed}")
    return tuple(inference.triple(rng, split) for _ in range(count))


def _different(
    rng: random.Random, split: str, count: int, sample: Callable[[random.Random], M]
) -> tuple[M, ...]:
    found: dict[M, None] = {}
    while len(found) < count:
        found[draw(rng, split, sample)] = None
    return tuple(found)


def _line(language: str, text: str, weight: float) -> list[tuple[str, float]]:
    """The name is only read, the sentence and its end have the weight."""
    return [(f"{LANGUAGES[language]}:", READ), (f" {text}{EOS}", weight)]


def _direction(rng: random.Random) -> tuple[str, str]:
    source = pick(rng, tuple(LANGUAGES))
    return source, pick(rng, tuple(code for code in LANGUAGES if code != source))


def _translation(rng: random.Random) -> Document:
    source, target = _direction(rng)
    parts: list[tuple[str, float]] = []
    for _ in range(1 + int(rng.random() * 4)):
        clause = draw(rng, "train", meanings.clause)
        parts += _line(source, render(clause, source), READ)
        parts += _line(target, render(clause, target), TOLD)
    return Document("translation", tuple(parts))


def _glossary(rng: random.Random) -> Document:
    source, target = _direction(rng)
    parts: list[tuple[str, float]] = []
    for _ in range(3 + int(rng.random() * 5)):
        kind, key = _entry(rng)
        parts += _line(source, _say(kind, key, source), READ)
        parts += _line(target, _say(kind, key, target), TOLD)
    return Document("glossary", tuple(parts))


def _entry(rng: random.Random) -> tuple[str, object]:
    """A word, a phrase or a short clause that reads the same way back."""
    kind = pick(rng, ("noun", "phrase", "phrase", "place", "time", "clause", "clause"))
    if kind == "place":
        return kind, pick(rng, concepts.PLACES)
    if kind == "time":
        return kind, pick(rng, concepts.TIMES)
    if kind == "clause":
        return kind, draw(rng, "train", meanings.short_clause)
    np = meanings.noun_phrase(rng, (*concepts.ANIMATE, *concepts.INANIMATE))
    bare = kind == "noun" or not np.adjectives
    if bare:  # a bare plural is no different from the singular for most animals in Swahili
        np = NounPhrase(np.noun, plural=np.plural and concepts.CATEGORY[np.noun] != "animal")
    return kind, np


def _say(kind: str, key: object, language: str) -> str:
    rules = grammar(language)
    if kind == "place":
        return rules.PLACES[key]
    if kind == "time":
        return rules.TIMES[key]
    if kind == "noun":
        assert isinstance(key, NounPhrase)
        return rules.noun(key.noun, key.plural)
    return render(key, language)  # type: ignore[arg-type]


def _monolingual(rng: random.Random) -> Document:
    language = pick(rng, tuple(LANGUAGES))
    parts: list[tuple[str, float]] = []
    for _ in range(2 + int(rng.random() * 5)):
        parts += _line(language, render(draw(rng, "train", meanings.clause), language), READ)
    return Document("monolingual", tuple(parts))


def _task_language(rng: random.Random) -> str:
    if chance(rng, ENGLISH_SHARE):
        return "en"
    return pick(rng, tuple(code for code in LANGUAGES if code != "en"))


def _nli(rng: random.Random) -> Document:
    language = _task_language(rng)
    hypothesis, premises = inference.triple(rng, "train")
    label = pick(rng, LABELS)
    premise = render(premises[label], language)
    answer = f" {VERBALISERS[label]} , {render(hypothesis, language)}{EOS}"
    return Document("nli", ((f"{premise} , right?", READ), (answer, TOLD)))


def _review(rng: random.Random) -> Document:
    language = _task_language(rng)
    said = draw(rng, "train", review)
    text = render(said, language)
    return Document("review", ((f"{text} It is", READ), (f" {said.sentiment}{EOS}", SENTIMENT)))


_BUILD = {
    "translation": _translation,
    "glossary": _glossary,
    "monolingual": _monolingual,
    "nli": _nli,
    "review": _review,
}
