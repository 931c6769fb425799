"""The statistics of docs/study.md: tests over draws and rows, their families, and verdicts by its rules."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt16
from scipy.stats import ttest_1samp

from jaxprune.evaluation.scoring.metrics import RESAMPLES, holm
from jaxprune.evaluation.scoring.mixed_effects import mixed_model

CONFIDENCE = 0.95
_PART = 1000  # resamples that are computed at a time
SUPPORTED, REFUTED, OPEN = "supported", "refuted", "open"
AGREES, UNTESTABLE = "not distinguishable from Wanda", "not testable"
Values = np.ndarray  # [draws, groups of rows], or [draws]


class Measure(NamedTuple):
    """A measure: its name, the predicted sign of a change, the smallest change that matters, factor and unit shown."""

    name: str
    sign: int
    least: float
    shown: float = 1
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Test:
    """A comparison of the protocol.

    Attributes:
      hypothesis: its family.
      name: what is compared.
      measure: of which the change is tested.
      values: of each draw and group of rows, or of each draw.
      bootstrap: 95%, of a bootstrap of draws and texts, for values that are no means over groups.
      is_at_floor: nothing is left of what the measure measures, so that no change can be seen.
    """

    hypothesis: str
    name: str
    measure: Measure
    values: Values
    bootstrap: tuple[float, float] | None = None
    is_at_floor: bool = False

    @property
    def mean(self) -> float:
        """Over draws and rows."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Result:
    """A test with its statistics; `corrected` has the confidence 1 - 0.05/n of a family of n tests."""

    test: Test
    interval: tuple[float, float]
    corrected: tuple[float, float]
    p: float
    holm: float

    @property
    def verdict(self) -> str:
        """By the rules of the protocol, but for a measure at its floor."""
        if self.test.is_at_floor:
            return UNTESTABLE
        measure = self.test.measure
        if self.test.mean * measure.sign > 0 and self.holm < 1 - CONFIDENCE:
            return SUPPORTED
        most = max(bound * measure.sign for bound in self.corrected)
        return REFUTED if most < measure.least else OPEN


@dataclass(frozen=True, eq=False)
class Repeated:
    """A test of H7: a change of H2a by another method, and Wanda's mean."""

    test: Test
    wanda: float

    @property
    def interval(self) -> tuple[float, float]:
        """95%, of the mixed model."""
        return interval_of(self.test.values, CONFIDENCE)[0]

    @property
    def student(self) -> tuple[float, float]:
        """95%, of Student's t over the means of the draws."""
        return interval_of(self.test.values.mean(axis=1), CONFIDENCE)[0]

    @property
    def verdict(self) -> str:
        """By the rule of H7, which is never refuted."""
        low, high = self.interval
        return AGREES if low <= self.wanda <= high else OPEN


Tested = Result | Repeated


def results(tests: Sequence[Test]) -> list[Result]:
    """The results in the order of the tests, which are sorted by family."""
    found = []
    for _, family in itertools.groupby(tests, key=lambda test: test.hypothesis):
        family = list(family)
        level = 1 - (1 - CONFIDENCE) / len(family)
        plain, corrected = (
            [interval_of(test.values, c) for test in family] for c in (CONFIDENCE, level)
        )
        by_test = zip(family, plain, corrected, holm([p for _, p in plain]), strict=True)
        found += [
            Result(test, interval, wide, p, adjusted)
            for test, (interval, p), (wide, _), adjusted in by_test
        ]
    return found


def interval_of(values: Values, confidence: float) -> tuple[tuple[float, float], float]:
    """The interval of the mean and p that it is 0: of the mixed model, or Student's if a draw has one value."""
    if values.ndim == 2:
        found = mixed_model(values, confidence)
        assert found is not None, "one draw"
        return found
    test = ttest_1samp(values, 0)
    bounds = test.confidence_interval(confidence)
    return (float(bounds.low), float(bounds.high)), float(test.pvalue)


def verdicts(found: Sequence[Tested]) -> dict[str, str]:
    """By hypothesis: that of its tests if all have the same, otherwise refuted if one is, and open if none is."""
    made = {}
    for name, family in itertools.groupby(found, key=lambda one: one.test.hypothesis):
        each = {one.verdict for one in family}
        made[name] = each.pop() if len(each) == 1 else REFUTED if REFUTED in each else OPEN
    return made


def crossed_bootstrap(values: Float[np.ndarray, "D G"], *, seed: int = 0) -> tuple[float, float]:
    """Percentiles of the mean over draws and groups that are resampled independently (Owen 2007, pigeonhole bootstrap).

    A resample of the groups is the same in all draws, since an effect of a group is common to them.
    """
    of_draws, of_groups = _resamples(*values.shape, seed)
    means = [
        (of_groups[i : i + _PART] @ values.T * of_draws[i : i + _PART]).sum(axis=1) / values.size
        for i in range(0, RESAMPLES, _PART)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@functools.lru_cache(2)  # the measures of a task have the same groups
def _resamples(
    draws: int, groups: int, seed: int
) -> tuple[UInt16[np.ndarray, "R D"], UInt16[np.ndarray, "R G"]]:
    """How often each draw and each group is in each resample; one resample at a time, as G may be large."""
    rng = np.random.default_rng(seed)
    of_draws, of_groups = (
        np.stack([rng.multinomial(n, shares).astype(np.uint16) for _ in range(RESAMPLES)])
        for n, shares in ((draws, np.full(draws, 1 / draws)), (groups, np.full(groups, 1 / groups)))
    )
    return of_draws, of_groups
