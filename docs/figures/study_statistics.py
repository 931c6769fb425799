"""The statistics of docs/study.md: tests over draws and rows, their families, and verdicts by its rules."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_1samp
from study_crossed import mixed_model

from jaxprune.evaluation.scoring.metrics import holm

CONFIDENCE = 0.95
SUPPORTED, REFUTED, OPEN = "supported", "refuted", "open"
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
    """

    hypothesis: str
    name: str
    measure: Measure
    values: Values

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
        """By the rules of the protocol."""
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
    def verdict(self) -> str:
        """By the rule of H7, which is never refuted."""
        low, high = self.interval
        return SUPPORTED if low <= self.wanda <= high else OPEN


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
    """By hypothesis: supported if all tests are, refuted if one is."""
    made = {}
    for name, family in itertools.groupby(found, key=lambda one: one.test.hypothesis):
        each = {one.verdict for one in family}
        made[name] = SUPPORTED if each == {SUPPORTED} else REFUTED if REFUTED in each else OPEN
    return made
