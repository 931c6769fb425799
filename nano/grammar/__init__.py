"""Five grammars: each turns a meaning into one sentence, always the same one.

Sentences are written in lower case and without a final stop (German nouns keep their capital).
"""

from __future__ import annotations

from types import ModuleType

from jaxprune.base.errors import InputError
from nano.grammar import english, french, german, spanish, swahili
from nano.meanings import Clause, NounPhrase, Review

LANGUAGES: dict[str, str] = {
    "en": "English",
    "fr": "French",
    "es": "Spanish",
    "de": "German",
    "sw": "Swahili",
}
_GRAMMARS: dict[str, ModuleType] = {
    "en": english,
    "fr": french,
    "es": spanish,
    "de": german,
    "sw": swahili,
}


def grammar(language: str) -> ModuleType:
    """The grammar module of a language: `clause`, `phrase`, `noun` and its tables of words."""
    if language not in _GRAMMARS:
        raise InputError(f"language: got {language!r}, nano has {', '.join(_GRAMMARS)}")
    return _GRAMMARS[language]


def render(meaning: Clause | NounPhrase | Review, language: str) -> str:
    """The sentence of a clause, the definite phrase of a noun phrase, the text of a review."""
    rules = grammar(language)
    if isinstance(meaning, Clause):
        return rules.clause(meaning)
    if isinstance(meaning, NounPhrase):
        return rules.phrase(meaning)
    said = [
        rules.OPINIONS[statement] if isinstance(statement, str) else rules.clause(statement)
        for statement in meaning.statements
    ]
    return " . ".join(said) + " ."
