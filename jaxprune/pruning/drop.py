"""Selection of the scores of a column to keep: number, pattern and threshold."""

import dataclasses
import re

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxprune.errors import InputError, shown
from jaxprune.pruning import selection
from jaxprune.schema import check, choice, is_number, rule

UNSTRUCTURED = "unstructured"
ROW, VARIANT = "row", "variant"
LOWEST, HIGHEST = "lowest", "highest"


def group_sizes(pattern: str) -> tuple[int, int] | None:
    """(N, M) of a pattern `N:M` that keeps N of every M weights; None for any other string."""
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", pattern)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])


PATTERN = rule(
    "unstructured, or N:M such as 2:4 or 4:8 (keep N of every M)",
    lambda value: (
        isinstance(value, str) and (value == UNSTRUCTURED or group_sizes(value) is not None)
    ),
    UNSTRUCTURED,
    meaning="or N:M such as `2:4`, `4:8`: keep N of every M",
)
THRESHOLD = choice((ROW, VARIANT), ROW, "`row`, or `variant` for Wanda's cumulative threshold")
DROP = choice((LOWEST, HIGHEST), LOWEST, "`lowest`, or `highest` for the ablation")


@dataclasses.dataclass(frozen=True)
class Selection:
    """The rule that selects the scores of a column to keep.

    Attributes:
      sparsity: share to drop; None with an N:M pattern, which implies it.
      pattern: "unstructured", or "N:M" such as "2:4": keep N of every M.
      threshold: "row", or "variant" for Wanda's cumulative threshold.
      drop: "lowest", or "highest" for the ablation.

    Raises:
      InputError: an invalid value, or values that contradict each other.
    """

    sparsity: float | None = None
    pattern: str = UNSTRUCTURED
    threshold: str = ROW
    drop: str = LOWEST

    def __post_init__(self) -> None:
        for name, field in {"pattern": PATTERN, "threshold": THRESHOLD, "drop": DROP}.items():
            check(name, getattr(self, name), field)
        groups = group_sizes(self.pattern)
        if groups and self.threshold == VARIANT:
            raise InputError(f"threshold: got 'variant'; allowed: row, with pattern {self.pattern}")
        if groups:
            implied = 1 - groups[0] / groups[1]
            fits = is_number(self.sparsity) and abs(self.sparsity - implied) < 1e-6
            if self.sparsity is not None and not fits:
                raise InputError(
                    f"sparsity: got {shown(self.sparsity)}; allowed: {implied:g} or none, with pattern "
                    f"{self.pattern}"
                )
        elif not (is_number(self.sparsity) and 0 <= self.sparsity < 1):
            raise InputError(f"sparsity: got {shown(self.sparsity)}; allowed: 0 <= sparsity < 1")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Drop:
    """The number of weights of a kernel to drop, as arrays, so one program serves every sparsity.

    Attributes:
      count: int32 [], weights of each output column; not used by an N:M pattern.
      share: float32 [], of all weights; the target of the threshold "variant".
      pattern, threshold, drop: see `Selection`; static.
    """

    count: Int[Array, ""] | np.integer
    share: Float[Array, ""] | np.floating
    pattern: str = dataclasses.field(metadata={"static": True})
    threshold: str = dataclasses.field(metadata={"static": True})
    drop: str = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, how: Selection, name: str, inputs: int, share: float | None = None) -> "Drop":
        """The number of weights of a kernel to drop: a share of its inputs, by default the sparsity of the selection.

        Raises:
          InputError: the M of a pattern N:M does not divide the inputs; names the kernel.
        """
        if (groups := group_sizes(how.pattern)) and inputs % groups[1]:
            raise InputError(
                f"pattern: {name} has {inputs} inputs; allowed: a multiple of {groups[1]}, as the pattern is "
                f"{how.pattern}"
            )
        share = (how.sparsity or 0.0) if share is None else share
        count = np.int32(int(inputs * share))
        return cls(count, np.float32(share), how.pattern, how.threshold, how.drop)

    def keep(self, scores: Float[Array, "*layers in out"]) -> Bool[Array, "*layers in out"]:
        """The mask of the kept weights, see `masks.keep`; the M of a pattern divides the inputs."""
        if groups := group_sizes(self.pattern):
            return selection.keep_groups(scores, *groups, self.drop)
        if self.threshold == VARIANT:
            kept = selection.keep_variant(scores, self.share, self.drop)
            return kept | (self.share == 0)
        return selection.keep_rows(scores, self.count, self.drop)
