"""French: gender and number, elision, adjectives before or after the noun, ne … pas de."""

from __future__ import annotations

from nano.lexicon.concepts import COLOURS
from nano.lexicon.french import (
    ADJECTIVES,
    BEFORE_NOUN,
    BEFORE_VOWEL,
    NOUNS,
    OPINIONS,
    PLACES,
    TIMES,
    VERBS,
)
from nano.meanings import Clause, NounPhrase

__all__ = ["OPINIONS", "PLACES", "TIMES", "clause", "noun", "phrase"]


def noun(name: str, plural: bool = False) -> str:
    """A bare noun."""
    return NOUNS[name][1 + plural]


def phrase(np: NounPhrase) -> str:
    """As in "le grand chien noir", "l'enfant", "les vieilles chaises"."""
    if np.plural:
        return f"les {_nominal(np)}"
    feminine = NOUNS[np.noun][0] == "f"
    return _elide("la" if feminine else "le", _nominal(np))


def clause(c: Clause) -> str:
    """As in "aujourd'hui le chien ne mange pas de pomme dans le jardin"."""
    words = [TIMES[c.time]] if c.time else []
    verb = VERBS[c.verb][c.subject.plural]
    words += [phrase(c.subject), f"{_elide('ne', verb)} pas" if c.negated else verb]
    if c.object is not None:
        words.append(_object(c.object, c.negated))
    if c.predicate is not None:
        words.append(_agree(c.predicate, c.subject))
    words += [PLACES[c.place]] if c.place else []
    return " ".join(words)


def _agree(adjective: str, np: NounPhrase) -> str:
    return ADJECTIVES[adjective][2 * np.plural + (NOUNS[np.noun][0] == "f")]


def _nominal(np: NounPhrase) -> str:
    """Adjectives and noun: short common ones before it, colours right after it, then the others."""
    head = noun(np.noun, np.plural)
    before = [a for a in np.adjectives if a in BEFORE_NOUN]
    after = sorted(
        (a for a in np.adjectives if a not in BEFORE_NOUN), key=lambda a: a not in COLOURS
    )
    forms = [_agree(a, np) for a in before]
    masculine_singular = NOUNS[np.noun][0] == "m" and not np.plural
    if before and masculine_singular and _starts_with_vowel(head):
        forms[-1] = BEFORE_VOWEL.get(before[-1], forms[-1])
    return " ".join([*forms, head, *(_agree(a, np) for a in after)])


def _object(np: NounPhrase, negated: bool) -> str:
    words = _nominal(np)
    if negated:
        return _elide("de", words)
    if not np.plural:
        return f"{'une' if NOUNS[np.noun][0] == 'f' else 'un'} {words}"
    adjective_first = any(a in BEFORE_NOUN for a in np.adjectives)
    return f"de {words}" if adjective_first else f"des {words}"


def _elide(particle: str, words: str) -> str:
    return f"{particle[:-1]}'{words}" if _starts_with_vowel(words) else f"{particle} {words}"


def _starts_with_vowel(words: str) -> bool:
    return words[0] in "aeiouéêèâîôh"  # every h of the lexicon is mute
