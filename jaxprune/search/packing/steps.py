"""Losses measured so far → the choice of tokens and bits to measure next.

The loss of a language is the share of its bits per byte that a model has more than the dense one. It is predicted as
the loss by the missing tokens plus the loss by rounding, which falls to a quarter with each bit of a weight, as the
square of the steps of a grid does.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxprune.models.grids import GRIDS

# The grid of kernels that get no more bits. Calibrated on languages it loses less than Q4_0, in the same bytes.
GRID = "iq4_nl"
# Bits of a weight in the grids of least and of most bits, with their scales.
LEAST_BITS, MOST_BITS = GRIDS[GRID].bits, GRIDS["q8_0"].bits
# The loss by rounding to `LEAST_BITS` before one is measured.
USUAL_LOSS = 0.03
# Sizes, numbers of tokens and losses closer than this are those of one choice.
_SAME_SIZE, _SAME_LOSS = 0.02, 0.002

Losses = Mapping[str, float]
# By language the share of its tokens that is kept.
Coverage = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """A choice of tokens.

    Attributes:
      coverage: none: all tokens of the model.
      tokens: their number.
      smallest: bytes of the file with kernels of `LEAST_BITS`.
      weights: number of weights in kernels.
      losses: by language, without rounding.
      name: of the step that made the model with these tokens; None: its size and losses are predictions.
    """

    coverage: Coverage
    tokens: int
    smallest: int
    weights: int
    losses: Losses
    name: str | None = None

    def is_like(self, measured: "Vocabulary") -> bool:
        """Whether it is hardly smaller than another vocabulary, and predicted to lose hardly less."""
        loss, other = max(self.losses.values()), max(measured.losses.values())
        return self.tokens > (1 - _SAME_SIZE) * measured.tokens and loss > other - _SAME_LOSS

    def bits(self, size: int) -> float:
        """Mean bits of a kernel's weight in a file of a size."""
        return min(MOST_BITS, LEAST_BITS + 8 * (size - self.smallest) / self.weights)

    def size(self, bits: float) -> int:
        """Bytes of a file whose kernels have these mean bits."""
        return self.smallest + int((bits - LEAST_BITS) * self.weights / 8)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Tokens, and the size of the file."""

    vocabulary: Vocabulary
    size: int

    def is_close(self, other: "Choice") -> bool:
        """Whether the other choice has the same tokens and about the same size."""
        is_same_size = abs(self.size / other.size - 1) < _SAME_SIZE
        return self.vocabulary.tokens == other.vocabulary.tokens and is_same_size


@dataclasses.dataclass(frozen=True)
class Measured:
    """A choice with the losses that were measured.

    Attributes:
      name: of its folder.
    """

    name: str
    choice: Choice
    losses: Losses

    @property
    def largest_loss(self) -> float:
        """Of any language."""
        return max(self.losses.values())


def rounding_losses(measured: Measured) -> Losses:
    """The loss by rounding to `LEAST_BITS` that a measurement implies, by language."""
    vocabulary, size = measured.choice.vocabulary, measured.choice.size
    factor = 4 ** (vocabulary.bits(size) - LEAST_BITS)
    return {
        code: max(0.0, loss - vocabulary.losses[code]) * factor
        for code, loss in measured.losses.items()
    }


def predicted_loss(vocabulary: Vocabulary, rounding: Losses, bits: float) -> float:
    """The largest loss of any language with kernels of these mean bits.

    Args:
      rounding: loss by rounding to `LEAST_BITS`, by language.
    """
    share = 4 ** (LEAST_BITS - bits)
    return max(loss + rounding[code] * share for code, loss in vocabulary.losses.items())


def within_size(vocabularies: Iterable[Vocabulary], rounding: Losses, size: int) -> Choice | None:
    """The choice of the least predicted loss in a file of this size; None if no file is so small."""
    fitting = [vocabulary for vocabulary in vocabularies if vocabulary.smallest <= size]
    if not fitting:
        return None
    best = min(fitting, key=lambda v: predicted_loss(v, rounding, v.bits(size)))
    return Choice(best, min(size, best.size(MOST_BITS)))


def within_loss(vocabularies: Iterable[Vocabulary], rounding: Losses, loss: float) -> Choice | None:
    """The smallest choice whose predicted loss is at most this; None if all lose more."""
    choices = [
        Choice(vocabulary, vocabulary.size(bits))
        for vocabulary in vocabularies
        for bits in np.linspace(LEAST_BITS, MOST_BITS, 129)
        if predicted_loss(vocabulary, rounding, bits) <= loss
    ]
    return min(choices, key=lambda choice: choice.size, default=None)


def best_measured(measured: Sequence[Measured], loss: float | None) -> Measured:
    """The smallest file within a limit of loss; without a limit, or if none is within it, the one of least loss."""
    within = [choice for choice in measured if loss is not None and choice.largest_loss <= loss]
    if within:
        return min(within, key=lambda measured: measured.choice.size)
    return min(measured, key=lambda measured: measured.largest_loss)
