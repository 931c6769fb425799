"""Meanings: what a sentence says, before any language says it.

    Clause(subject=NounPhrase("dog", ("big", "black")), verb="eat", negated=True,
           object=NounPhrase("apple"), place="garden", time="today")

    en  the big black dog does not eat an apple in the garden today
    de  heute isst der große schwarze Hund keinen Apfel im Garten

The subject is always definite and the object always indefinite, because Swahili has no articles:
each language says everything that the translation into another needs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from jaxprune.base.errors import InputError
from nano.lexicon import concepts
from nano.lexicon.concepts import CATEGORY, COLOURS, MEMBERS, SINGULAR_ONLY, VERBS

SPLITS = ("train", "held_out")
HELD_OUT_ONE_IN = 8
T = TypeVar("T")
M = TypeVar("M", bound="Meaning")


class NounPhrase(NamedTuple):
    """A noun, at most one quality and at most one colour (in this order), and its number."""

    noun: str
    adjectives: tuple[str, ...] = ()
    plural: bool = False


class Clause(NamedTuple):
    """Who (does not) do what to whom, where and when; with the verb "be", what somebody is like."""

    subject: NounPhrase
    verb: str
    negated: bool = False
    object: NounPhrase | None = None
    predicate: str | None = None
    place: str | None = None
    time: str | None = None


class Review(NamedTuple):
    """Sentences about a product: clauses, and names of `concepts.OPINIONS`. One sentiment throughout."""

    statements: tuple[Clause | str, ...]
    sentiment: str


Meaning = NounPhrase | Clause | Review


def pick(rng: random.Random, options: Sequence[T]) -> T:
    """One of the options. Only `rng.random()` is used: its bits are the same on every Python."""
    return options[int(rng.random() * len(options))]


def chance(rng: random.Random, probability: float) -> bool:
    """True with this probability."""
    return rng.random() < probability


def split_of(meaning: Clause | Review) -> str:
    """The split that a meaning belongs to, in every language and task: one in eight is held out."""
    digest = hashlib.blake2b(repr(tuple(meaning)).encode(), digest_size=8).digest()
    return SPLITS[int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0]


def check_split(split: str) -> None:
    """InputError unless the split is one of SPLITS."""
    if split not in SPLITS:
        raise InputError(f"split: got {split!r}, allowed are {', '.join(SPLITS)}")


def draw(rng: random.Random, split: str, sample: Callable[[random.Random], M]) -> M:
    """The first meaning that `sample` gives in this split."""
    while True:
        meaning = sample(rng)
        if split_of(meaning) == split:  # type: ignore[arg-type]
            return meaning


def noun_of(rng: random.Random, allowed: tuple[str, ...], category_share: float) -> str:
    """A noun out of a list of categories and nouns; sometimes a category itself ("animal")."""
    name = pick(rng, allowed)
    if name in MEMBERS and not chance(rng, category_share):
        return pick(rng, MEMBERS[name])
    return name


def adjectives_of(rng: random.Random, noun: str, none_share: float = 0.45) -> tuple[str, ...]:
    """No adjective, one, or now and then a quality and a colour."""
    fitting = concepts.FITTING[noun]
    if chance(rng, none_share):
        return ()
    if chance(rng, 0.2):
        colours = [a for a in fitting if a in COLOURS]
        if colours:
            return (pick(rng, [a for a in fitting if a not in COLOURS]), pick(rng, colours))
    return (pick(rng, fitting),)


def noun_phrase(
    rng: random.Random, allowed: tuple[str, ...], category_share: float = 0.15
) -> NounPhrase:
    """A noun phrase whose noun is out of a list of categories and nouns."""
    noun = noun_of(rng, allowed, category_share)
    plural = noun not in SINGULAR_ONLY and chance(rng, 0.4)
    return NounPhrase(noun, adjectives_of(rng, noun), plural)


def clause(
    rng: random.Random,
    negated_share: float = 0.3,
    detail_share: float = 0.3,
    category_share: float = 0.15,
) -> Clause:
    """Any clause of the world. `detail_share` is the chance of a place, and that of a time."""
    negated = chance(rng, negated_share)
    if chance(rng, 0.15):
        return _copula(rng, negated, category_share)
    verb = pick(rng, tuple(VERBS))
    frame = VERBS[verb]
    return Clause(
        subject=noun_phrase(rng, frame.subjects, category_share),
        verb=verb,
        negated=negated,
        object=noun_phrase(rng, frame.objects, category_share) if frame.objects else None,
        place=pick(rng, concepts.PLACES) if chance(rng, detail_share) else None,
        time=pick(rng, concepts.TIMES) if chance(rng, detail_share) else None,
    )


def _copula(rng: random.Random, negated: bool, category_share: float) -> Clause:
    """As in "The dog is (not) big": the predicate says something new of the subject."""
    everything = (*concepts.ANIMATE, *concepts.INANIMATE)
    subject = noun_phrase(rng, everything, category_share)
    subject = subject._replace(adjectives=subject.adjectives[:1])
    taken = set(subject.adjectives)
    for adjective in subject.adjectives:
        taken.update(concepts.contraries(adjective, subject.noun))
    options = [a for a in concepts.FITTING[subject.noun] if a not in taken]
    return Clause(subject, "be", negated, predicate=pick(rng, options))


def short_clause(rng: random.Random) -> Clause:
    """A clause of a bare subject, a verb and at most a bare object."""
    long = clause(rng, detail_share=0.0)
    bare = long.object._replace(adjectives=()) if long.object else None
    return long._replace(subject=long.subject._replace(adjectives=()), object=bare)


def category_of(noun: str) -> str | None:
    """The category noun above a noun; None for a category."""
    return None if noun in MEMBERS else CATEGORY[noun]
