"""Shares of blocks that depend on one number, chosen so that the overall sparsity is met."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.pruning.allocations.allocation import Blocks

# Half the difference between the largest and the smallest share before clipping: λ of OWL, as in its experiments.
SPREAD = 0.08
# No block loses more, unless all do.
MOST = 0.99
_HALVINGS = 100


def fitted(
    shares_at: Callable[[float, Float[np.ndarray, " L"]], Float[np.ndarray, " L"]], blocks: Blocks
) -> list[float]:
    """The shares `shares_at(number, place)`, clipped to [0, 0.99], with the number that gives the overall sparsity.

    `place` is (D − min D) / (max D − min D) of the measures; if those are all equal, so are the shares.

    Args:
      shares_at: grows with its number; its shares are 0 or less at -2 and 1 or more at 2.
      blocks: blocks of the model; blocks that lose no weights do not count.
    """
    measured = np.asarray(blocks.measured)
    used = measured[np.asarray(blocks.sizes) > 0]
    if used.min() == used.max():
        return [blocks.sparsity] * len(blocks.sizes)
    place = (measured - used.min()) / (used.max() - used.min())
    most = max(MOST, blocks.sparsity)

    def clipped(number: float) -> Float[np.ndarray, " L"]:
        return np.clip(shares_at(number, place), 0, most)

    return solved(clipped, blocks.sizes, blocks.sparsity, (-2.0, 2.0))


def solved(
    shares_at: Callable[[float], Float[np.ndarray, " n"]],
    sizes: Sequence[float] | Float[np.ndarray, " n"],
    sparsity: float,
    between: tuple[float, float],
) -> list[float]:
    """The shares at the number where their mean is the sparsity.

    Args:
      shares_at: grows with its number.
      sizes: weights of the mean.
      between: numbers whose shares are too small and too large.
    """
    low, high = between
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shares = shares_at(middle)
        too_low = np.average(shares, weights=sizes) < sparsity
        low, high = (middle, high) if too_low else (low, middle)
    return [float(share) for share in shares]


def kept_by_measure(blocks: Blocks) -> list[float]:
    """Shares of OWL (eq. 3): blocks with a larger measure keep more, in a range of 2 λ.

    1 − share is 2 λ (D − min D) / (max D − min D) plus the constant that gives the overall sparsity; the same share
    everywhere if all D are equal, where the official code divides by 0.
    """
    return fitted(lambda constant, place: constant - 2 * SPREAD * place, blocks)
