"""Spanish: gender and number, adjectives after the noun, personal a, ningún under negation."""

from __future__ import annotations

from nano.lexicon.concepts import CATEGORY, COLOURS
from nano.lexicon.spanish import ADJECTIVES, NOUNS, OPINIONS, PLACES, TIMES, VERBS
from nano.meanings import Clause, NounPhrase

__all__ = ["OPINIONS", "PLACES", "TIMES", "clause", "noun", "phrase"]

_DEFINITE = ("el", "la", "los", "las")  # m. sg., f. sg., m. pl., f. pl.
_INDEFINITE = ("un", "una", "unos", "unas")


def noun(name: str, plural: bool = False) -> str:
    """A bare noun."""
    return NOUNS[name][1 + plural]


def phrase(np: NounPhrase) -> str:
    """As in "el perro negro grande"."""
    return f"{_DEFINITE[_form(np)]} {_nominal(np)}"


def clause(c: Clause) -> str:
    """As in "hoy el perro no come ninguna manzana en el jardín"."""
    words = [TIMES[c.time]] if c.time else []
    words.append(phrase(c.subject))
    words += ["no"] if c.negated else []
    words.append(VERBS[c.verb][c.subject.plural])
    if c.object is not None:
        words.append(_object(c.object, c.negated))
    if c.predicate is not None:
        words.append(ADJECTIVES[c.predicate][_form(c.subject)])
    words += [PLACES[c.place]] if c.place else []
    return " ".join(words)


def _form(np: NounPhrase) -> int:
    return 2 * np.plural + (NOUNS[np.noun][0] == "f")


def _nominal(np: NounPhrase) -> str:
    adjectives = sorted(np.adjectives, key=lambda a: a not in COLOURS)  # the colour comes first
    forms = [ADJECTIVES[a][_form(np)] for a in adjectives]
    return " ".join([noun(np.noun, np.plural), *forms])


def _object(np: NounPhrase, negated: bool) -> str:
    words = _nominal(np)
    if not negated:
        words = f"{_INDEFINITE[_form(np)]} {words}"
    elif not np.plural:
        words = f"{'ninguna' if NOUNS[np.noun][0] == 'f' else 'ningún'} {words}"
    return f"a {words}" if CATEGORY[np.noun] == "person" else words
