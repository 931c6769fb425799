"""The statistics of docs/study.md: tests over draws and rows, their families, and verdicts by its rules."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_1samp

from jaxprune.evaluation.scoring.crossed import mixed_model
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
      values: of each draw and group of rows, or of each draw; None if they are not measured yet.
    """

    hypothesis: str
    name: str
    measure: Measure
    values: Values | None


@dataclass(frozen=True)
class Result:
    """A test with its statistics; `corrected` has the confidence 1 - 0.05/n of a family of n tests."""

    test: Test
    mean: float
    interval: tuple[float, float]
    corrected: tuple[float, float]
    p: float
    holm: float

    @property
    def verdict(self) -> str:
        """By the rules of the protocol."""
        measure = self.test.measure
        if self.mean * measure.sign > 0 and self.holm < 1 - CONFIDENCE:
            return SUPPORTED
        most = max(bound * measure.sign for bound in self.corrected)
        return REFUTED if most < measure.least else OPEN


def results(tests: Sequence[Test]) -> list[Result]:
    """The results of the families that are measured; Holm's correction needs all tests of a family."""
    found = []
    for _, family in itertools.groupby(tests, key=lambda test: test.hypothesis):
        family = list(family)
        values = [test.values for test in family]
        known = [one for one in values if one is not None]
        if len(known) < len(family):
            continue
        level = 1 - (1 - CONFIDENCE) / len(family)
        plain, corrected = ([interval_of(one, c) for one in known] for c in (CONFIDENCE, level))
        by_test = zip(family, known, plain, corrected, holm([p for _, p in plain]), strict=True)
        found += [
            Result(test, float(one.mean()), interval, wide, p, adjusted)
            for test, one, (interval, p), (wide, _), adjusted in by_test
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


def verdicts(found: Sequence[Result]) -> dict[str, str]:
    """By hypothesis: supported if all tests are, refuted if one is."""
    made = {}
    for name, family in itertools.groupby(found, key=lambda one: one.test.hypothesis):
        each = {one.verdict for one in family}
        made[name] = SUPPORTED if each == {SUPPORTED} else REFUTED if REFUTED in each else OPEN
    return made
