"""Natural language inference over meanings: three premises for one hypothesis, one of each label.

    entailment     the premise says more: one more adjective, a kind in place of its category
    neutral        the premise says less: no such adjective, place or time, only the category
    contradiction  the premise negates, or has the opposite adjective or another colour

The hypothesis is drawn first and each premise is built from it, so the hypothesis alone says nothing
about the label. The three premises are filled up with details that change no label until they hold
the same number of adjectives and the same number of places and times, so length says next to nothing.

The subject is one and the same in premise and hypothesis, as in SNLI. Under negation only the subject
changes: "does not eat a red apple" follows from "does not eat an apple", not the other way round.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

from nano import meanings
from nano.lexicon import concepts
from nano.lexicon.concepts import COLOURS, MEMBERS, SINGULAR_ONLY
from nano.meanings import Clause, NounPhrase, pick, split_of

LABELS = ("entailment", "neutral", "contradiction")  # the order of XNLI
ATTEMPTS = 20  # premises tried for one hypothesis before it is given up


def triple(rng: random.Random, split: str) -> tuple[Clause, dict[str, Clause]]:
    """A hypothesis and a premise for each label, all four of the split."""
    while True:
        hypothesis = meanings.draw(rng, split, _hypothesis)
        adjectives, details = _size(hypothesis)
        size = (adjectives + pick(rng, (0, 1, 1)), details + pick(rng, (0, 0, 0, 1)))
        found: dict[str, Clause] = {}
        for label in LABELS:
            premise = _premise(rng, split, hypothesis, label, size)
            if premise is None:
                break
            found[label] = premise
        if len(found) == len(LABELS):
            return hypothesis, found


def _hypothesis(rng: random.Random) -> Clause:
    return meanings.clause(rng, negated_share=0.5, detail_share=0.2, category_share=0.3)


def _premise(
    rng: random.Random, split: str, hypothesis: Clause, label: str, size: tuple[int, int]
) -> Clause | None:
    """A premise with so many adjectives and details; None where none is found."""
    cores = [core for core in _BUILD[label](hypothesis) if _fits(core, size)]
    for _ in range(ATTEMPTS if cores else 0):
        premise = _filled(rng, pick(rng, cores), hypothesis, size)
        if premise is not None and split_of(premise) == split:
            return premise
    return None


def _size(c: Clause) -> tuple[int, int]:
    """The number of adjectives (not the predicate), and that of place and time."""
    adjectives = len(c.subject.adjectives) + (len(c.object.adjectives) if c.object else 0)
    return adjectives, (c.place is not None) + (c.time is not None)


def _fits(c: Clause, size: tuple[int, int]) -> bool:
    adjectives, details = _size(c)
    return adjectives <= size[0] and details <= size[1]


def _filled(
    rng: random.Random, premise: Clause, hypothesis: Clause, size: tuple[int, int]
) -> Clause | None:
    """The premise with additions up to this size; None where there are not enough of them."""
    while (have := _size(premise)) != size:
        more = _adjectives(premise, hypothesis) if have[0] < size[0] else []
        more += _details(premise, hypothesis) if have[1] < size[1] else []
        if not more:
            return None
        field, word = pick(rng, more)
        said = getattr(premise, field)
        added: Any = word if said is None else _with(said, word)
        premise = premise._replace(**{field: added})
    return premise


# What may be added bears on nothing in the hypothesis. It is named, as (field, word): most is not picked.


def _adjectives(premise: Clause, hypothesis: Clause) -> list[tuple[str, str]]:
    h_subject = _free_adjectives(hypothesis.subject, hypothesis.predicate)
    p_subject = _free_adjectives(premise.subject, premise.predicate)
    options = [("subject", a) for a in p_subject if a in h_subject]
    if premise.negated or premise.object is None or hypothesis.object is None:
        return options
    h_object, p_object = _free_adjectives(hypothesis.object), _free_adjectives(premise.object)
    return options + [("object", a) for a in p_object if a in h_object]


def _details(premise: Clause, hypothesis: Clause) -> list[tuple[str, str]]:
    options: list[tuple[str, str]] = []
    if premise.negated or premise.verb == "be":
        return options
    if premise.place is None and hypothesis.place is None:
        options += _PLACES
    if premise.time is None and hypothesis.time is None:
        options += _TIMES
    return options


_PLACES = [("place", place) for place in concepts.PLACES]
_TIMES = [("time", time) for time in concepts.TIMES]


def _entailing(c: Clause) -> list[Clause]:
    options = [c._replace(subject=np) for np in _narrower(c.subject, _subjects(c), c.predicate)]
    if c.object is not None and not c.negated:
        allowed = concepts.VERBS[c.verb].objects
        options += [c._replace(object=np) for np in _narrower(c.object, allowed)]
    return options


def _neutral(c: Clause) -> list[Clause]:
    options = [c._replace(subject=np) for np in _wider(c.subject, _subjects(c))]
    if c.predicate is not None:
        options += [c._replace(predicate=a) for a in _unrelated(c.predicate, c.subject)]
    if c.negated:
        return options
    if c.object is not None:
        allowed = concepts.VERBS[c.verb].objects
        options += [c._replace(object=np) for np in _wider(c.object, allowed)]
    options += [c._replace(place=None)] if c.place else []
    options += [c._replace(time=None)] if c.time else []
    return options


def _contradicting(c: Clause) -> list[Clause]:
    flipped = c._replace(negated=not c.negated)
    options = [flipped, flipped]
    options += [c._replace(subject=np) for np in _contrary(c.subject, c.predicate)]
    if c.negated:
        return options
    if c.object is not None:
        options += [c._replace(object=np) for np in _contrary(c.object)]
    if c.predicate is not None:
        others = concepts.contraries(c.predicate, c.subject.noun)
        options += [c._replace(predicate=other) for other in others]
    return options


_BUILD: dict[str, Callable[[Clause], list[Clause]]] = {
    "entailment": _entailing,
    "neutral": _neutral,
    "contradiction": _contradicting,
}


def _subjects(c: Clause) -> tuple[str, ...]:
    if c.verb == "be":
        return (*concepts.ANIMATE, *concepts.INANIMATE)
    return concepts.VERBS[c.verb].subjects


def _narrower(
    np: NounPhrase, allowed: tuple[str, ...], predicate: str | None = None
) -> list[NounPhrase]:
    """The same thing, said with one more adjective or with a member in place of the category."""
    options = []
    if len(np.adjectives) < 2:
        options = [_with(np, a) for a in _free_adjectives(np, predicate)]
    members = [
        np._replace(noun=noun)
        for noun in MEMBERS.get(np.noun, ())
        if concepts.accepts(allowed, noun) and not (np.plural and noun in SINGULAR_ONLY)
    ]
    # As many of each, so that neither kind is rare.
    return options + members * (1 + len(options) // max(len(members), 1))


def _wider(np: NounPhrase, allowed: tuple[str, ...]) -> list[NounPhrase]:
    """The same thing, said without one adjective or with its category only."""
    options = [
        np._replace(adjectives=tuple(b for b in np.adjectives if b != a)) for a in np.adjectives
    ]
    category = meanings.category_of(np.noun)
    if category is not None and concepts.accepts(allowed, category):
        options.append(np._replace(noun=category))
    return options


def _contrary(np: NounPhrase, predicate: str | None = None) -> list[NounPhrase]:
    """The same noun with one adjective turned into its opposite or another colour."""
    options = []
    for index, adjective in enumerate(np.adjectives):
        for other in concepts.contraries(adjective, np.noun):
            if other != predicate:
                changed = (*np.adjectives[:index], other, *np.adjectives[index + 1 :])
                options.append(np._replace(adjectives=changed))
    return options


@functools.cache
def _free_adjectives(np: NounPhrase, predicate: str | None = None) -> tuple[str, ...]:
    """Adjectives that would be news: another kind than those that are there, or the predicate."""
    has_colour = any(a in COLOURS for a in np.adjectives)
    has_quality = any(a not in COLOURS for a in np.adjectives)
    taken = {predicate, *(concepts.contraries(predicate, np.noun) if predicate else ())}
    return tuple(
        a
        for a in concepts.FITTING[np.noun]
        if a not in taken and not (has_colour if a in COLOURS else has_quality)
    )


def _with(np: NounPhrase, adjective: str) -> NounPhrase:
    order = sorted((*np.adjectives, adjective), key=lambda a: a in COLOURS)
    return np._replace(adjectives=tuple(order))


def _unrelated(predicate: str, subject: NounPhrase) -> list[str]:
    """Predicates that neither follow from this one nor exclude it."""
    excluded = {predicate, *concepts.contraries(predicate, subject.noun), *subject.adjectives}
    for adjective in subject.adjectives:
        excluded.update(concepts.contraries(adjective, subject.noun))
    return [a for a in concepts.FITTING[subject.noun] if a not in excluded]
