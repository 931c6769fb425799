"""What exists in the small world, before any language: kinds, properties, actions, places, times.

Concepts are named by their English word. Which of them go together is said here, once, so that
every sentence of every language makes the same (modest) sense.
"""

from __future__ import annotations

from typing import NamedTuple

# Every category is a noun itself: a dog is an animal, an apple is a fruit.
MEMBERS: dict[str, tuple[str, ...]] = {
    "person": ("woman", "man", "child", "girl", "boy", "teacher", "doctor", "farmer"),
    "animal": ("dog", "cat", "horse", "goat", "bird", "lion"),
    "fruit": ("apple", "orange", "mango", "lemon", "banana"),
    "garment": ("shirt", "dress", "coat", "hat", "shoe"),
    "plant": ("tree", "flower"),
    "thing": ("book", "chair", "knife", "basket", "bag", "ball", "letter", "table"),
}
CATEGORY: dict[str, str] = {noun: category for category in MEMBERS for noun in MEMBERS[category]}
CATEGORY |= {category: category for category in MEMBERS}

ANIMATE = ("person", "animal")
INANIMATE = ("fruit", "garment", "plant", "thing")

# What reviews speak of besides the product: no category, singular.
ASPECTS = ("price", "quality")

# Nouns of Swahili class 9/10 show no number unless they are animate: these stay in the singular,
# so that a sentence of one language always says all that its translation needs.
SINGULAR_ONLY = frozenset({"banana", "hat", "letter", "table", *ASPECTS})

_ALL = (*ANIMATE, *INANIMATE)
_COLOURED = ("animal", *INANIMATE)

# Adjective -> categories that it may describe. Pairs of opposites stand next to each other.
OPPOSITES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("big", "small", _ALL),
    ("good", "bad", _ALL),
    ("fat", "thin", ANIMATE),
    ("new", "old", ("garment", "plant", "thing")),
    ("long", "short", ("garment", "thing")),
    ("heavy", "light", ("fruit", "garment", "thing")),
)
COLOURS: dict[str, tuple[str, ...]] = {
    "white": _COLOURED,
    "black": _COLOURED,
    "red": INANIMATE,
    "green": INANIMATE,
    "yellow": INANIMATE,
}
DESCRIBES: dict[str, tuple[str, ...]] = {
    **{adjective: where for first, second, where in OPPOSITES for adjective in (first, second)},
    **COLOURS,
}
ADJECTIVES: tuple[str, ...] = tuple(DESCRIBES)
# Noun -> the adjectives that may stand with it.
FITTING: dict[str, tuple[str, ...]] = {
    noun: tuple(a for a in ADJECTIVES if category in DESCRIBES[a])
    for noun, category in CATEGORY.items()
}
_OPPOSITE = {first: second for first, second, _ in OPPOSITES}
_OPPOSITE |= {second: first for first, second in _OPPOSITE.items()}


class Frame(NamedTuple):
    """Who does a thing and to what: categories or single nouns; no objects: intransitive."""

    subjects: tuple[str, ...]
    objects: tuple[str, ...] = ()


_PERSON = ("person",)
_GOODS = ("fruit", "garment", "thing")
VERBS: dict[str, Frame] = {
    "eat": Frame(ANIMATE, ("fruit",)),
    "read": Frame(_PERSON, ("book", "letter")),
    "buy": Frame(_PERSON, _GOODS),
    "sell": Frame(_PERSON, _GOODS),
    "see": Frame(ANIMATE, _ALL),
    "seek": Frame(ANIMATE, _ALL),
    "carry": Frame(_PERSON, _GOODS),
    "wash": Frame(_PERSON, ("animal", *_GOODS)),
    "draw": Frame(_PERSON, _ALL),
    "hide": Frame(_PERSON, _ALL),
    "sleep": Frame(ANIMATE),
    "run": Frame(ANIMATE),
    "sing": Frame(("person", "bird")),
    "work": Frame(_PERSON),
    "play": Frame(ANIMATE),
    "wait": Frame(ANIMATE),
    "fall": Frame(_ALL),
    "burn": Frame(INANIMATE),
    "disappear": Frame(_ALL),
}

PLACES = ("garden", "market", "school", "house", "forest", "river", "kitchen", "town")
TIMES = ("today", "now", "every_day", "morning", "night")

# Whole sentences that only reviews use, with what they say of the product.
OPINIONS: dict[str, str] = {
    "happy": "positive",
    "not_sad": "positive",
    "family_happy": "positive",
    "joy": "positive",
    "not_mistake": "positive",
    "thanks": "positive",
    "sad": "negative",
    "not_happy": "negative",
    "family_not_happy": "negative",
    "not_joy": "negative",
    "mistake": "negative",
    "pity": "negative",
}


def accepts(allowed: tuple[str, ...], noun: str) -> bool:
    """Whether a list of categories and nouns takes this noun."""
    return noun in allowed or CATEGORY.get(noun) in allowed


def contraries(adjective: str, noun: str) -> tuple[str, ...]:
    """Adjectives that the noun cannot have together with this one: its opposite, other colours."""
    if adjective in COLOURS:
        return tuple(c for c in FITTING[noun] if c in COLOURS and c != adjective)
    return (_OPPOSITE[adjective],)
