"""How to prune: one frozen record, checked when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from jaxprune import masks as mask_algebra
from jaxprune import scores
from jaxprune.errors import InputError
from jaxprune.patterns import DEFAULT_SPARSITY, keep_of

ALLOWED = {
    "criterion": scores.CRITERIA,
    "propagate": ("block", "dense", "site"),
    "compat": scores.COMPATS,
    "dtype": ("float32", "bfloat16"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to prune; the fields of `config.pruning` with `compat`, `seed` and `dtype`.

    Without `sparsity`, an N:M pattern has its own and everything else the paper's 0.3.
    """

    criterion: str = "wanda"
    sparsity: float | None = None
    pattern: str = "unstructured"
    threshold: str = "row"
    drop: str = "lowest"
    propagate: str = "block"
    compat: str = "corrected"
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.sparsity is None and keep_of(self.pattern) is None:
            object.__setattr__(self, "sparsity", DEFAULT_SPARSITY)  # the record is frozen
        mask_algebra.check_selection(self.sparsity, self.pattern, self.threshold, self.drop)
        for name, allowed in ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name}: got {getattr(self, name)!r}; allowed: {', '.join(allowed)}"
                )

    def check_roles(self, roles: Collection[str]) -> None:
        """InputError where the calibration set lacks what the criterion compares, or is ambiguous."""
        base = sorted(set(roles) - {"code"})
        if len(base) != 1:
            got = ", ".join(base) or "none"
            raise InputError(f"batches: criterion {self.criterion} needs one set, got {got}")
        if self.criterion == "refined" and "code" not in roles:
            raise InputError("batches: criterion refined needs a set with role 'code' as well")

    @property
    def needs_statistics(self) -> bool:
        """Whether the scores depend on a calibration set."""
        return self.criterion in ("wanda", "refined")
