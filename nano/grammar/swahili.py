"""Swahili: noun classes in adjectives and verbs, object markers, the negative present.

a-na-m-wona mbwa     he sees a dog          ha-m-woni mbwa    he does not see a dog
ki-na-anguka         it (a book) falls      ha-ki-anguki      it does not fall
"""

from __future__ import annotations

from nano.lexicon.concepts import ANIMATE, CATEGORY
from nano.lexicon.swahili import (
    ADJECTIVES,
    ASSOCIATIVE,
    ASSOCIATIVES,
    CLASSES,
    NOUNS,
    OPINIONS,
    PLACES,
    SUBJECT,
    TIMES,
    VERBS,
)
from nano.meanings import Clause, NounPhrase

__all__ = ["OPINIONS", "PLACES", "TIMES", "clause", "noun", "phrase"]


def noun(name: str, plural: bool = False) -> str:
    """A bare noun."""
    return NOUNS[name][1 + plural]


def phrase(np: NounPhrase) -> str:
    """As in "mbwa mkubwa mweusi", "tunda la kijani"; there is no article."""
    return " ".join([noun(np.noun, np.plural), *(_agree(a, np) for a in np.adjectives)])


def clause(c: Clause) -> str:
    """As in "leo mbwa hali tufaha bustanini"."""
    words = [TIMES[c.time]] if c.time else []
    words.append(phrase(c.subject))
    if c.predicate is not None:
        words += ["si" if c.negated else "ni", _agree(c.predicate, c.subject)]
    else:
        words.append(_verb(c))
    words += [phrase(c.object)] if c.object is not None else []
    words += [PLACES[c.place]] if c.place else []
    return " ".join(words)


def _class(np: NounPhrase) -> int:
    """Index into CLASSES of the class that agrees with the noun phrase."""
    number = NOUNS[np.noun][0].split("/")[np.plural]
    return CLASSES.index({"10": "9", "14": "3"}.get(number, number))


def _agree(adjective: str, np: NounPhrase) -> str:
    if adjective in ASSOCIATIVES:
        return f"{ASSOCIATIVE[_class(np)]} {ASSOCIATIVES[adjective]}"
    return ADJECTIVES[adjective][_class(np)]


def _verb(c: Clause) -> str:
    stem = VERBS[c.verb][c.negated]
    if c.object is not None and CATEGORY[c.object.noun] in ANIMATE:
        stem = _object_marker(c.object.plural, stem) + stem
    subject = SUBJECT[_class(c.subject)]
    if not c.negated:
        return f"{subject}na{stem}"
    return f"ha{subject}{stem}" if subject != "a" else f"ha{stem}"  # ha + a contract


def _object_marker(plural: bool, stem: str) -> str:
    """Animate objects are marked in the verb; the singular marker is mw- before a vowel."""
    if plural:
        return "wa"
    return "mw" if stem[0] in "aeiou" else "m"
