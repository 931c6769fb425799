"""Settings of pruning: a frozen record, checked on creation, and the config fields `pruning.*`."""

import dataclasses
from collections.abc import Collection

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import (
    check,
    choice,
    comma_separated,
    config_record,
    fields_of,
    flag,
    is_number,
    is_text,
    rule,
)
from jaxprune.data.config import COMPAT, SEED
from jaxprune.pruning.allocations import ALLOCATION, UNIFORM, allocation_of
from jaxprune.pruning.allocations.allocation import Allocation, AllocationLike
from jaxprune.pruning.budget import (
    DEFAULT_SPARSITY,
    LOWEST,
    ROW,
    UNSTRUCTURED,
    Selection,
    SelectionFields,
    group_sizes,
)
from jaxprune.pruning.criterion import CODE, DEMONSTRATIONS, Criterion
from jaxprune.pruning.method import Method
from jaxprune.pruning.methods import METHODS, STARTS, MethodLike, method_of
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.refit import with_refit
from jaxprune.stats.blocks import DTYPE
from jaxprune.stats.combinations import SUM
from jaxprune.stats.combine import mixture_of
from jaxprune.stats.mixture import Mixture, Weights
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.statistics.statistic import Statistic


@config_record
class PruningFields(SelectionFields):
    """The fields `pruning.*`. A config gives the criterion and the allocation by name."""

    criterion: MethodLike = choice(
        METHODS, "wanda", "; ".join(f"`{m.name}`, {m.meaning}" for m in METHODS.values())
    )
    start: str | None = choice(
        STARTS, None, "criterion of the mask with which `dsnot` and `swaps` begin; not set: `wanda`"
    )
    refit: bool = flag(
        False,
        "fit the kept weights of each kernel to its outputs by least squares; reads Gram matrices, as `sparsegpt` does",
    )
    propagate: str = choice(
        PROPAGATIONS,
        "block",
        "source of the inputs of the next statistics. "
        + ", ".join(f"`{p.name}`: {p.meaning}" for p in PROPAGATIONS.values()),
    )
    allocation: AllocationLike = ALLOCATION
    slope: float | None = rule(
        "a number between -1 and 1",
        lambda value: is_number(value) and -1 < value < 1,
        kind=float,
        meaning="the sparsity of the last block minus that of the first, for `pruning.allocation=arithmetic`; below 0 "
        "if the first blocks lose most",
    )
    ignore: tuple[str, ...] | str | None = rule(
        "patterns of LAYER/KERNEL, such as 0/*,*/mlp/down",
        is_text,
        parse=comma_separated,
        meaning="kernels to leave as they are: patterns of LAYER/KERNEL, separated by commas, such as `0/*,*/mlp/down`"
        "; `pruning.sparsity` is then that of the others",
    )


_RULES = fields_of(PruningFields)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(PruningFields, Selection):
    """Settings of pruning: the fields of `config.pruning` with `compat`, `seed` and `dtype`; `--help` explains each.

    `sparsity` is 0.3 by default, as in the authors' scripts; an N:M pattern implies it (`implied_sparsity`).
    `criterion` may also be a `Criterion`, a `Method` or a function of (kernel, norm), and `allocation` an `Allocation`,
    a function of `Blocks`, or the content of a file. Settings with a custom criterion are equal only to themselves.

    Attributes:
      combine: combination of the statistics of several languages, a name in `stats.COMBINATIONS`.
      weights: weights of languages, with combine="weights": a mapping, a text such as "fr:2,sw:1", or a .json file.
      method: the record of the criterion.
      mixture: the record of `combine` and `weights`.
      resolved_allocation: the record of `allocation`.

    Raises:
      InputError: as `Selection`; an unknown criterion, propagation, allocation, combination, compat or dtype; an
        allocation for an N:M pattern, which drops the same share of all blocks; a slope for an allocation without
        one, or none for "arithmetic".

    Examples:
      >>> import jaxprune as jp
      >>> jp.Settings().sparsity, jp.Settings(pattern="2:4").implied_sparsity
      (0.3, 0.5)
      >>> jp.Settings(criterion="refined").method.sets
      ('demonstrations', 'code')
    """

    # Compared and hashed by its record, `method`, on which compiled programs depend, not by its name.
    criterion: MethodLike = dataclasses.field(default=_RULES["criterion"].default, compare=False)
    allocation: AllocationLike = dataclasses.field(default=UNIFORM.name, compare=False)
    combine: str = SUM.name
    weights: Weights = dataclasses.field(default=None, compare=False)
    compat: str = "corrected"
    seed: int = 0
    dtype: str = "float32"
    method: Method | Criterion = dataclasses.field(init=False, repr=False)
    mixture: Mixture = dataclasses.field(init=False, repr=False)
    resolved_allocation: Allocation = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.sparsity is None and self.pattern == UNSTRUCTURED:
            object.__setattr__(self, "sparsity", DEFAULT_SPARSITY)  # the record is frozen
        super().__post_init__()
        method = method_of(self.criterion, self.start)
        object.__setattr__(self, "method", with_refit(method) if self.refit else method)
        if self.method.selects:
            for name, only in (("threshold", ROW), ("drop", LOWEST), ("group", ROW)):
                if (got := getattr(self, name)) != only:
                    raise InputError(
                        f"{name}: got {got!r}; expected {only}, with criterion {self.method.name}"
                    )
        self._set_allocation()
        object.__setattr__(self, "ignore", check("ignore", self.ignore, _RULES["ignore"]))
        rules = {"propagate": _RULES["propagate"]}
        rules |= {"compat": COMPAT, "seed": SEED, "dtype": DTYPE}
        for name, field in rules.items():
            check(name, getattr(self, name), field)
        read = {statistic.name for statistic in self.method.statistics}
        mixture = mixture_of(
            self.combine, self.weights, read, f", with criterion {self.method.name}"
        )
        object.__setattr__(self, "mixture", mixture)

    def _set_allocation(self) -> None:
        chosen = allocation_of(self.allocation)
        object.__setattr__(self, "resolved_allocation", chosen)
        if group_sizes(self.pattern) and chosen is not UNIFORM:
            raise InputError(
                f"allocation: got {chosen.name!r}; expected {UNIFORM.name}, with pattern {self.pattern}"
            )
        check("slope", self.slope, _RULES["slope"])
        if (self.slope is not None) != (takes := "slope" in chosen.options):
            allowed = _RULES["slope"].allowed if takes else "none"
            raise invalid_value("slope", self.slope, f"{allowed}, with allocation {chosen.name}")

    @property
    def ignored(self) -> tuple[str, ...]:
        """The patterns of `ignore`."""
        return tuple(self.ignore or ())

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets of samples that the method or the allocation measures."""
        by_allocation = (DEMONSTRATIONS,) if self.resolved_allocation.reads_samples else ()
        return tuple(dict.fromkeys((*self.method.sets, *by_allocation)))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that the method or the allocation reads."""
        by_allocation = (SQUARES,) if self.resolved_allocation.reads_samples else ()
        return tuple(dict.fromkeys((*self.method.statistics, *by_allocation)))

    @property
    def implied_sparsity(self) -> float:
        """The share to drop, also if the pattern implies it."""
        groups = group_sizes(self.pattern)
        return 1 - groups[0] / groups[1] if groups else float(self.sparsity or 0.0)

    @property
    def needs_statistics(self) -> bool:
        """Whether the result depends on a calibration set."""
        return bool(self.sets)

    def check_roles(self, roles: Collection[str]) -> None:
        """InputError if the calibration set lacks a set that the criterion compares, or is ambiguous."""
        name, sets = self.method.name, self.sets
        others = sorted(set(roles) - {CODE})
        if DEMONSTRATIONS in sets and len(others) != 1:
            by_method, got = DEMONSTRATIONS in self.method.sets, ", ".join(others) or "none"
            allocation = self.resolved_allocation.name
            reader = f"criterion {name}" if by_method else f"allocation {allocation}"
            raise InputError(f"batches: {reader} needs one calibration set, got {got}")
        if CODE in sets and CODE not in roles:
            raise InputError(f"batches: criterion {name} needs a set with role 'code' as well")
