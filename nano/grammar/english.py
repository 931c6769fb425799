"""English: a/an, do-support, place and time at the end."""

from __future__ import annotations

from nano.lexicon.english import NOUNS, OPINIONS, PLACES, TIMES, VERBS
from nano.meanings import Clause, NounPhrase

__all__ = ["OPINIONS", "PLACES", "TIMES", "clause", "noun", "phrase"]


def noun(name: str, plural: bool = False) -> str:
    """A bare noun."""
    return NOUNS[name][plural]


def phrase(np: NounPhrase) -> str:
    """As in "the big black dog"."""
    return " ".join(["the", *np.adjectives, noun(np.noun, np.plural)])


def clause(c: Clause) -> str:
    """As in "the dog does not eat an apple in the garden today"."""
    words = [phrase(c.subject), _verb(c)]
    if c.object is not None:
        words.append(_indefinite(c.object))
    if c.predicate is not None:
        words.append(c.predicate)
    words += [PLACES[c.place]] if c.place else []
    words += [TIMES[c.time]] if c.time else []
    return " ".join(words)


def _verb(c: Clause) -> str:
    singular, plain = VERBS[c.verb]
    form = plain if c.subject.plural else singular
    if not c.negated:
        return form
    if c.verb == "be":
        return f"{form} not"
    return f"{'do' if c.subject.plural else 'does'} not {plain}"


def _indefinite(np: NounPhrase) -> str:
    words = " ".join([*np.adjectives, noun(np.noun, np.plural)])
    if np.plural:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
