"""Selection of the scores of a column to keep: number, pattern and threshold."""

import dataclasses
import re

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxprune.base.errors import InputError, shown
from jaxprune.base.schema import check, choice, config_record, fields_of, is_number, rule
from jaxprune.pruning import selection
from jaxprune.stats.inverse_factor import BLOCK

UNSTRUCTURED = "unstructured"
ROW, VARIANT, KERNEL = "row", "variant", "kernel"
LOWEST, HIGHEST = "lowest", "highest"


def group_sizes(pattern: str) -> tuple[int, int] | None:
    """(N, M) of a pattern `N:M` that keeps N of every M weights; None for any other string."""
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", pattern)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])


def check_pattern(pattern: str, name: str, shape: tuple[int, ...]) -> None:
    """InputError if the M of a pattern N:M does not divide the inputs of a kernel [in, out]; names the kernel."""
    if (groups := group_sizes(pattern)) and shape[0] % groups[1]:
        raise InputError(
            f"pattern: {name} has {shape[0]} inputs; expected a multiple of {groups[1]}, as the pattern is {pattern}"
        )


# The sparsity of the authors' example scripts.
DEFAULT_SPARSITY = 0.3


@config_record
class SelectionFields:
    """The fields `pruning.*` that select the scores of a column to keep."""

    sparsity: float | None = rule(
        "a number s with 0 <= s < 1",
        lambda value: is_number(value) and 0 <= value < 1,
        kind=float,
        meaning="share of each output column to drop, 0 ≤ s < 1: exactly `int(inputs · s)` weights; not set: "
        f"{DEFAULT_SPARSITY}, or the sparsity of an N:M pattern",
    )
    pattern: str = rule(
        "unstructured, or N:M such as 2:4 or 4:8 (keep N of every M)",
        lambda value: (
            isinstance(value, str) and (value == UNSTRUCTURED or group_sizes(value) is not None)
        ),
        UNSTRUCTURED,
        meaning="or N:M such as `2:4`, `4:8`: keep N of every M",
    )
    threshold: str = choice(
        (ROW, VARIANT), ROW, "`row`, or `variant` for Wanda's cumulative threshold"
    )
    drop: str = choice((LOWEST, HIGHEST), LOWEST, "`lowest`, or `highest` for the ablation")
    group: str = choice(
        (ROW, KERNEL),
        ROW,
        "scores are compared within a `row` of the paper, an output column of a kernel, or within a `kernel`",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection(SelectionFields):
    """The rule that selects the scores of a column to keep: `SelectionFields`, checked.

    `sparsity` is None only with an N:M pattern, which implies it.

    Raises:
      InputError: an invalid value, or values that contradict each other.
    """

    def __post_init__(self) -> None:
        rules = fields_of(SelectionFields)
        for name in ("pattern", "threshold", "drop", "group"):
            check(name, getattr(self, name), rules[name])
        groups = group_sizes(self.pattern)
        if groups and self.threshold == VARIANT:
            raise InputError(f"threshold: got 'variant'; expected row, with pattern {self.pattern}")
        if self.group == KERNEL and (groups or self.threshold == VARIANT):
            raise InputError(
                f"group: got 'kernel'; expected row, with pattern {self.pattern} and threshold {self.threshold}"
            )
        if groups:
            implied = 1 - groups[0] / groups[1]
            fits = is_number(self.sparsity) and abs(self.sparsity - implied) < 1e-6
            if self.sparsity is not None and not fits:
                raise InputError(
                    f"sparsity: got {shown(self.sparsity)}; expected {implied:g} or none, with pattern "
                    f"{self.pattern}"
                )
        elif not (is_number(self.sparsity) and 0 <= self.sparsity < 1):
            raise InputError(f"sparsity: got {shown(self.sparsity)}; expected 0 <= sparsity < 1")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Budget:
    """The number of weights of a kernel to drop, as arrays, so one program serves every sparsity.

    Attributes:
      count: int32 [], weights of each output column, or of the kernel with scope "kernel"; not used by an N:M pattern.
      blocks: int32 [ceil(in / 128)], weights of each block of 128 inputs, over all outputs; see `Method.selects`.
      share: float32 [], of all weights; the target of the threshold "variant".
      pattern, threshold, drop: see `Selection`; static.
      scope: `Selection.group`, "row" or "kernel"; static. A group is here one of an N:M pattern.
    """

    count: Int[Array, ""] | np.integer
    blocks: Int[Array | np.ndarray, " blocks"]
    share: Float[Array, ""] | np.floating
    pattern: str = dataclasses.field(metadata={"static": True})
    threshold: str = dataclasses.field(metadata={"static": True})
    drop: str = dataclasses.field(metadata={"static": True})
    scope: str = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(
        cls, selected: Selection, name: str, shape: tuple[int, int], share: float | None = None
    ) -> "Budget":
        """The number of weights of a kernel [in, out] to drop: a share, by default the sparsity of the selection.

        Raises:
          InputError: the M of a pattern N:M does not divide the inputs; names the kernel.
        """
        inputs, outputs = shape
        check_pattern(selected.pattern, name, shape)
        share = (selected.sparsity or 0.0) if share is None else share
        count = int(inputs * (outputs if selected.group == KERNEL else 1) * share)
        sizes = (min(BLOCK, inputs - start) * outputs for start in range(0, inputs, BLOCK))
        blocks = np.array([int(size * share) for size in sizes], np.int32)
        return cls(
            np.int32(count), blocks, np.float32(share),
            selected.pattern, selected.threshold, selected.drop, selected.group,
        )  # fmt: skip

    @property
    def by_row(self) -> bool:
        """Whether the selection in an output column is independent of other columns."""
        return self.threshold == ROW and self.scope == ROW

    def keep(self, scores: Float[Array, "*layers in out"]) -> Bool[Array, "*layers in out"]:
        """The mask of the kept weights, see `masks.keep`; the M of a pattern divides the inputs."""
        if groups := group_sizes(self.pattern):
            return selection.keep_groups(scores, *groups, self.drop)
        if self.threshold == VARIANT:
            kept = selection.keep_variant(scores, self.share, self.drop)
            return kept | (self.share == 0)
        if self.scope == KERNEL:
            *layers, rows, columns = scores.shape
            kept = selection.keep_rows(
                scores.reshape(*layers, rows * columns, 1), self.count, self.drop
            )
            return kept.reshape(scores.shape)
        return selection.keep_rows(scores, self.count, self.drop)
