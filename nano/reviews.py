"""Reviews: what somebody says of a product, with one sentiment throughout.

the chair is red . the price is not good . i am sad .  ->  negative
"""

from __future__ import annotations

import random

from nano.lexicon import concepts
from nano.lexicon.concepts import MEMBERS, OPINIONS
from nano.meanings import Clause, NounPhrase, Review, chance, pick

SENTIMENTS = ("negative", "positive")
_PRODUCTS = tuple(n for c in ("fruit", "garment", "plant", "thing") for n in MEMBERS[c])
_NAMES = {s: tuple(name for name, said in OPINIONS.items() if said == s) for s in SENTIMENTS}


def review(rng: random.Random) -> Review:
    """A review of two or three statements, the first of which may be beside the point."""
    sentiment = pick(rng, SENTIMENTS)
    product = NounPhrase(pick(rng, _PRODUCTS))
    judgements: list[Clause | str] = []
    while len(judgements) < 2:
        statement = _judgement(rng, product, sentiment)
        if statement not in judgements:
            judgements.append(statement)
    if chance(rng, 0.5):
        judgements = [_description(rng, product), *judgements[: 1 + chance(rng, 0.5)]]
    return Review(tuple(judgements), sentiment)


def _judgement(rng: random.Random, product: NounPhrase, sentiment: str) -> Clause | str:
    """As in "the price is not bad", "i am happy": words of both sentiments, turned by negation."""
    if chance(rng, 0.4):
        return pick(rng, _NAMES[sentiment])
    negated = chance(rng, 0.4)
    good = (sentiment == "positive") != negated
    subject = product if chance(rng, 0.6) else NounPhrase(pick(rng, concepts.ASPECTS))
    return Clause(subject, "be", negated, predicate="good" if good else "bad")


def _description(rng: random.Random, product: NounPhrase) -> Clause:
    """As in "the chair is red": says nothing for or against."""
    fitting = [a for a in concepts.FITTING[product.noun] if a not in ("good", "bad")]
    predicate = pick(rng, fitting)
    return Clause(product, "be", chance(rng, 0.3), predicate=predicate)
