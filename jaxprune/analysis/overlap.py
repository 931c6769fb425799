"""Overlap of the largest features of one set with the largest and the smallest of another (figures 1 and 3).

Pure numpy, independent of the model. Sets S, layers L, features D.

    magnitudes   9 1 7 2 | 1 8 7 3      share 0.5 → 2 features
    largest of a 0   2   | of b   1 2      top:    {0, 2} ∩ {1, 2} = {2}, 1 of 2
    smallest of b 0    3 |                 bottom: {0, 2} ∩ {0, 3} = {0}, 1 of 2
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxprune.base.schema import is_number, rule

TOP = rule(
    "a share s with 0 < s <= 1",
    lambda value: is_number(value) and 0 < value <= 1,
    0.3,
    meaning="share of features that count as largest and as smallest; `compat=official` always uses 0.4",
)


@dataclasses.dataclass(frozen=True)
class Overlap:
    """The overlap of every ordered pair of sets (a, b), and of the two halves of each set, by layer.

    Attributes:
      top: [L, S, S] share of the largest features of a that are among the largest of b.
      bottom: [L, S, S] share of the largest features of a that are among the smallest of b.
      features: k, the number of features that count as largest and as smallest.
      chance: the expected value of both for unrelated sets: k / D.
      halves_top, halves_bottom: [L, S] `top` and `bottom` between the two halves of a set, mean of both
        orders; None if sets have no halves.
    """

    top: Float[np.ndarray, "L S S"]
    bottom: Float[np.ndarray, "L S S"]
    features: int
    chance: float
    halves_top: Float[np.ndarray, "L S"] | None = None
    halves_bottom: Float[np.ndarray, "L S"] | None = None


def largest(magnitudes: Shaped[np.ndarray, "*dims D"], count: int) -> Int[np.ndarray, "*dims k"]:
    """Indices of the `count` largest along the last axis, in descending order; ties by lower index."""
    return np.argsort(-magnitudes, axis=-1, kind="stable")[..., :count]


def overlaps(magnitudes: Float[np.ndarray, "S L D"], share: float) -> Overlap:
    """Overlaps of every set with every set.

    Args:
      magnitudes: magnitudes at one site. Only their order within a layer of a set matters, so norms and root
        mean squares give the same result.
      share: share of the D features; k is the nearest integer, at least 1.
    """
    size = magnitudes.shape[-1]
    count = max(1, round(size * share))
    high = _members(largest(magnitudes, count), size)
    low = _members(largest(-magnitudes, count), size)
    return Overlap(_shared(high, high), _shared(high, low), count, count / size)


def with_halves(
    overlap: Overlap, magnitudes: Float[np.ndarray, "S two L D"], share: float
) -> Overlap:
    """The overlap, with the overlap of the two halves of each set.

    Args:
      overlap: the overlap of the sets.
      magnitudes: magnitudes of both halves of each set, at the same site.
      share: as for `overlaps`.
    """
    by_set = [overlaps(halves, share) for halves in magnitudes]
    top, bottom = (
        np.stack([shares[:, [0, 1], [1, 0]].mean(axis=-1) for shares in ends], axis=-1)
        for ends in ([o.top for o in by_set], [o.bottom for o in by_set])
    )
    return dataclasses.replace(overlap, halves_top=top, halves_bottom=bottom)


def _members(indices: Int[np.ndarray, "S L k"], size: int) -> Bool[np.ndarray, "S L D"]:
    members = np.zeros((*indices.shape[:-1], size), dtype=bool)
    np.put_along_axis(members, indices, True, axis=-1)
    return members


def _shared(
    first: Bool[np.ndarray, "S L D"], second: Bool[np.ndarray, "S L D"]
) -> Float[np.ndarray, "L S S"]:
    """|a ∩ b| / |a| for every a of the first and b of the second."""
    # counts below 2**24, so exact in float32, in which numpy multiplies matrices fast
    counts = first.transpose(1, 0, 2).astype(np.float32) @ second.transpose(1, 2, 0)
    return counts / first.sum(axis=-1, dtype=np.float32).T[..., None]


def by_kind(
    shares: Float[np.ndarray, "L S S"], kinds: Sequence[str]
) -> dict[str, Float[np.ndarray, " L"]]:
    """Means over the pairs of sets by pair of kinds and layer.

    Args:
      shares: an attribute of `Overlap`.
      kinds: [S] kind of each set.

    Returns:
      "<kind of a> in <kind of b>" → [L]. A set is not paired with itself; kinds without a pair are omitted.
    """
    other = ~np.eye(len(kinds), dtype=bool)
    kind_of = np.array(kinds)
    means = {}
    for first in dict.fromkeys(kinds):
        for second in dict.fromkeys(kinds):
            pairs = other & (kind_of == first)[:, None] & (kind_of == second)
            if pairs.any():
                means[f"{first} in {second}"] = shares[:, pairs].mean(axis=-1)
    return means


def halves_by_kind(
    shares: Float[np.ndarray, "L S"] | None, kinds: Sequence[str]
) -> dict[str, Float[np.ndarray, " L"]]:
    """Means over the sets by kind and layer.

    Args:
      shares: `Overlap.halves_top` or `halves_bottom`.
      kinds: [S] kind of each set.

    Returns:
      "two halves of <kind>" → [L]; empty if sets have no halves.
    """
    if shares is None:
        return {}
    kind_of = np.array(kinds)
    return {
        f"two halves of {kind}": shares[:, kind_of == kind].mean(axis=-1)
        for kind in dict.fromkeys(kinds)
    }
