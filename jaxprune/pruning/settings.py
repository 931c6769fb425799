"""How to prune: frozen records, checked when they are made, and the fields `pruning.*` that they come from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

from jaxprune.calibration import COMPAT, SEED
from jaxprune.errors import InputError, shown
from jaxprune.passes import DTYPE
from jaxprune.pruning.criteria import CRITERIA, criterion_of
from jaxprune.pruning.criterion import CODE, DEMONSTRATIONS, Criterion, Function
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.schema import check, choice, config_record, fields_of, is_number, rule

# The sparsity of the authors' example scripts.
DEFAULT_SPARSITY = 0.3
UNSTRUCTURED = "unstructured"
ROW, VARIANT = "row", "variant"
LOWEST, HIGHEST = "lowest", "highest"


def group_sizes(pattern: str) -> tuple[int, int] | None:
    """(N, M) of a pattern `N:M` that keeps N of every M weights; None for any other text."""
    match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", pattern)
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1]), int(match[2])


@config_record
class PruningFields:
    """The fields `pruning.*`."""

    criterion: str = choice(
        CRITERIA, "wanda", "; ".join(f"`{c.name}`, {c.meaning}" for c in CRITERIA.values())
    )
    sparsity: float | None = rule(
        "a number s with 0 <= s < 1",
        lambda value: is_number(value) and 0 <= value < 1,
        kind=float,
        meaning="share of each output column to drop, 0 ≤ s < 1: exactly `int(inputs · s)` weights; not set: "
        f"{DEFAULT_SPARSITY}, or what an N:M pattern makes it",
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
    propagate: str = choice(
        PROPAGATIONS,
        "block",
        "what feeds the next statistics. "
        + ", ".join(f"`{p.name}`: {p.meaning}" for p in PROPAGATIONS.values()),
    )


FIELDS = fields_of(PruningFields)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which scores of a column stay.

    Attributes:
      sparsity: share to drop; None with an N:M pattern, which has its own.
      pattern: "unstructured", or "N:M" such as "2:4": keep N of every M.
      threshold: "row", or "variant" for Wanda's cumulative threshold.
      drop: "lowest", or "highest" for the ablation.

    Raises:
      InputError: a value that is not allowed, or values that contradict each other.
    """

    sparsity: float | None = None
    pattern: str = UNSTRUCTURED
    threshold: str = ROW
    drop: str = LOWEST

    def __post_init__(self) -> None:
        for name in ("pattern", "threshold", "drop"):
            check(name, getattr(self, name), FIELDS[name])
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Selection):
    """How to prune: the fields of `config.pruning` with `compat`, `seed` and `dtype`; see `--help` for what they do.

    Without `sparsity`, an N:M pattern has its own and everything else the paper's 0.3. `criterion` may be a `Criterion`
    too, or a function of (kernel, norm). Settings are equal where they prune alike; those with a criterion of the
    user's own are equal to themselves alone.

    Attributes:
      scores_by: the record of the criterion.

    Raises:
      InputError: as `Selection`; an unknown criterion, propagation, compat or dtype.

    Example:
      >>> import jaxprune as jp
      >>> jp.Settings().sparsity, jp.Settings(pattern="2:4").implied_sparsity
      (0.3, 0.5)
      >>> jp.Settings(criterion="refined").scores_by.measures
      ('demonstrations', 'code')
    """

    # Compared and hashed by its record: what is compiled with these settings belongs to that, not to a name.
    criterion: str | Criterion | Function = dataclasses.field(default="wanda", compare=False)
    propagate: str = "block"
    compat: str = "corrected"
    seed: int = 0
    dtype: str = "float32"
    scores_by: Criterion = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check("pattern", self.pattern, FIELDS["pattern"])
        if self.sparsity is None and group_sizes(self.pattern) is None:
            object.__setattr__(self, "sparsity", DEFAULT_SPARSITY)  # the record is frozen
        super().__post_init__()
        object.__setattr__(self, "scores_by", criterion_of(self.criterion))
        others = {"compat": COMPAT, "seed": SEED, "dtype": DTYPE}
        for name in ("propagate", *others):
            check(name, getattr(self, name), {**FIELDS, **others}[name])

    @property
    def selection(self) -> Selection:
        """These four alone: settings that select alike share what is compiled for it."""
        return Selection(self.sparsity, self.pattern, self.threshold, self.drop)

    @property
    def implied_sparsity(self) -> float:
        """The share to drop, also where the pattern implies it."""
        groups = group_sizes(self.pattern)
        return 1 - groups[0] / groups[1] if groups else float(self.sparsity or 0.0)

    @property
    def needs_statistics(self) -> bool:
        """Whether the scores depend on a calibration set."""
        return bool(self.scores_by.measures)

    def check_roles(self, roles: Collection[str]) -> None:
        """InputError where the calibration set lacks what the criterion compares, or is ambiguous."""
        name, measures = self.scores_by.name, self.scores_by.measures
        others = sorted(set(roles) - {CODE})
        if DEMONSTRATIONS in measures and len(others) != 1:
            got = ", ".join(others) or "none"
            raise InputError(f"batches: criterion {name} needs one set, got {got}")
        if CODE in measures and CODE not in roles:
            raise InputError(f"batches: criterion {name} needs a set with role 'code' as well")
