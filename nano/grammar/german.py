"""German: three genders, nominative and accusative, kein, the verb in second place."""

from __future__ import annotations

from nano.lexicon.german import (
    ACCUSATIVE,
    ADJECTIVES,
    NOUNS,
    OPINIONS,
    PLACES,
    TIMES,
    VERBS,
)
from nano.meanings import Clause, NounPhrase

__all__ = ["OPINIONS", "PLACES", "TIMES", "clause", "noun", "phrase"]

_DER = {"m": "der", "f": "die", "n": "das"}
_EIN_ACCUSATIVE = {"m": "einen", "f": "eine", "n": "ein"}
_MIXED_ACCUSATIVE = {"m": "en", "f": "e", "n": "es"}  # adjective endings after ein, kein


def noun(name: str, plural: bool = False) -> str:
    """A bare noun, nominative."""
    return NOUNS[name][1 + plural]


def phrase(np: NounPhrase) -> str:
    """Nominative: "der große schwarze Hund", "die großen Hunde"."""
    article = "die" if np.plural else _DER[NOUNS[np.noun][0]]
    return _join(article, np, "en" if np.plural else "e", noun(np.noun, np.plural))


def clause(c: Clause) -> str:
    """The verb stands second: "heute isst der Hund keinen Apfel im Garten"."""
    verb = VERBS[c.verb][c.subject.plural]
    subject = phrase(c.subject)
    words = [TIMES[c.time], verb, subject] if c.time else [subject, verb]
    if c.object is not None:
        words.append(_object(c.object, c.negated))
    elif c.negated:
        words.append("nicht")
    if c.predicate is not None:
        words.append(ADJECTIVES[c.predicate])
    words += [PLACES[c.place]] if c.place else []
    return " ".join(words)


def _object(np: NounPhrase, negated: bool) -> str:
    """Accusative: "einen roten Apfel", "rote Äpfel", "keine roten Äpfel"."""
    gender = NOUNS[np.noun][0]
    if np.plural:
        article, ending = ("keine", "en") if negated else ("", "e")
    else:
        article = "k" * negated + _EIN_ACCUSATIVE[gender]
        ending = _MIXED_ACCUSATIVE[gender]
    singular = ACCUSATIVE.get(np.noun, noun(np.noun))
    return _join(article, np, ending, noun(np.noun, True) if np.plural else singular)


def _join(article: str, np: NounPhrase, ending: str, head: str) -> str:
    adjectives = [ADJECTIVES[a] + ending for a in np.adjectives]
    return " ".join([*([article] if article else []), *adjectives, head])
