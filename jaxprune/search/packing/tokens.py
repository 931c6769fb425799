"""Texts and measured losses → choices of tokens that cost all languages about as much, with predicted losses.

A language loses in proportion to the share of its held-out tokens that are missing. How much, differs by language, and
is fitted to the losses that were measured; how many are missing is counted, without the model.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from jaxprune.hf.model import Model
from jaxprune.search.packing.steps import Coverage, Vocabulary
from jaxprune.search.packing.texts import Parts
from jaxprune.shrinking.choose import Candidates, candidate_tokens
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.expected import Shares
from jaxprune.shrinking.vocabulary import token_counts

# Shares of a language's tokens that may be kept, and losses of a language that they may cost.
_COVERAGES = (0.9999, 0.9998, 0.9997, 0.9995, 0.999, 0.998, 0.997, 0.996, 0.994, 0.99, 0.98, 0.97)
_LOSSES = np.geomspace(0.001, 0.1, 21)
# The coverage with which to begin.
_FIRST = 0.998
# The loss of a language by its share of missing tokens: before one is measured, at least, and the share of missing
# tokens as one of which the first counts.
_USUAL_COST, _LEAST_COST, _PRIOR = 3.0, 0.5, 0.002


class Tokens:
    """The tokens that are kept by coverage, and how many of the tokens of held-out text are missing then.

    Args:
      model: the dense model.
      parts: its texts.
      expected: the tokens that the model expects in them.
    """

    def __init__(self, model: Model, parts: Parts, expected: Shares) -> None:
        candidates = candidate_tokens(model, parts.kept, {}, expected)
        size = model.config.vocab_size
        self._heldout = {
            code: np.bincount([*counts.elements()], minlength=size)
            for code, counts in token_counts(model, parts.choosing).items()
        }
        self._kept = {
            code: {
                share: _mask(candidates._replace(counts={code: counts}), share, size)
                for share in _COVERAGES
            }
            for code, counts in candidates.counts.items()
        }

    def _missing(self, code: str, kept: Bool[np.ndarray, " V"]) -> float:
        """The share of a language's held-out tokens that are missing."""
        counts = self._heldout[code]
        return float(counts[~kept].sum() / max(1, counts.sum()))

    def _union(self, coverage: Coverage) -> Bool[np.ndarray, " V"]:
        """True at the tokens that any language keeps."""
        return np.logical_or.reduce([self._kept[code][c] for code, c in coverage.items()])

    def uniform(self, measured: Sequence[Vocabulary]) -> Vocabulary:
        """The choice to begin with, of the same coverage in all languages; its size and losses are not predicted."""
        coverage = dict.fromkeys(self._kept, _FIRST)
        tokens = int(self._union(coverage).sum())
        return dataclasses.replace(measured[0], coverage=coverage, tokens=tokens, name=None)

    def balanced(self, measured: Sequence[Vocabulary]) -> Iterator[Vocabulary]:
        """Choices of ever fewer tokens, of which each language keeps as few as cost it at most a certain loss.

        Args:
          measured: all tokens, and vocabularies with losses that were measured.
        """
        costs = self._costs(measured)
        numbers, sizes = zip(*sorted((v.tokens, v.smallest) for v in measured), strict=True)
        size_of_token = (sizes[-1] - sizes[0]) / max(1, numbers[-1] - numbers[0])
        for loss in _LOSSES:
            coverage = {code: self._least(code, loss / costs[code]) for code in costs}
            kept = self._union(coverage)
            tokens = int(kept.sum())
            if tokens <= len(kept) - ShrinkFields().multiple:
                size = sizes[-1] - int(size_of_token * (numbers[-1] - tokens))
                losses = {code: cost * self._missing(code, kept) for code, cost in costs.items()}
                yield Vocabulary(coverage, tokens, size, measured[0].weights, losses)

    def _least(self, code: str, missing: float) -> float:
        """The least coverage with which at most this share of a language's held-out tokens is missing."""
        fits = (c for c, kept in self._kept[code].items() if self._missing(code, kept) <= missing)
        return min(fits, default=_COVERAGES[0])

    def _costs(self, measured: Sequence[Vocabulary]) -> dict[str, float]:
        """By language the loss over the share of missing tokens, by least squares."""
        unions = [(self._union(v.coverage), v.losses) for v in measured if v.coverage]
        costs = {}
        for code in self._heldout:
            pairs = [(self._missing(code, kept), losses[code]) for kept, losses in unions]
            shares, losses = np.array([*pairs, (_PRIOR, _USUAL_COST * _PRIOR)]).T
            costs[code] = max(_LEAST_COST, float(shares @ losses / (shares @ shares)))
        return costs


def _mask(candidates: Candidates, coverage: float, size: int) -> Bool[np.ndarray, " V"]:
    kept = np.zeros(size, bool)
    kept[candidates.chosen(ShrinkFields(coverage=coverage, multiple=1))] = True
    return kept
