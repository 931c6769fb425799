"""Ticks are round, few and on the axis."""

import numpy as np
import pytest

from jaxprune.report.charts.scales import even_steps, limits, ticks


def test_ticks_are_round_few_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(500):
        low = rng.normal() * 10.0 ** rng.integers(-3, 5)
        high = low + 10.0 ** rng.uniform(-2, 4)
        found = ticks(low, high)
        steps = np.diff(found)
        assert 2 <= len(found) <= 6
        assert low - 1e-6 <= found[0] <= found[-1] <= high + 1e-6
        assert np.allclose(steps, steps[0])
        assert f"{steps[0]:.3e}"[:5] in {"1.000", "2.000", "2.500", "5.000"}
        low = 10.0 ** rng.uniform(-4, 2)
        high = low * 10.0 ** rng.uniform(0.02, 6)
        found = ticks(low, high, log=True)
        assert 2 <= len(found) <= 9
        assert all(low * 0.999 <= tick <= high * 1.001 for tick in found)


def test_ticks_of_a_log_axis_reach_over_all_of_it():
    """No stretch at an end is longer than a third of the axis without a tick."""
    rng = np.random.default_rng(1)
    for _ in range(500):
        low = 10.0 ** rng.uniform(-4, 2)
        high = low * 10.0 ** rng.uniform(1.2, 12)
        found = np.log(ticks(low, high, log=True))
        length = np.log(high / low)
        assert found[0] - np.log(low) < length / 3
        assert np.log(high) - found[-1] < length / 3
    assert ticks(0.9, 110, log=True) == [1, 2, 5, 10, 20, 50, 100]
    assert ticks(1e-3, 1e3, log=True) == [10.0**n for n in range(-3, 4)]


def test_limits_leave_air_around_what_can_be_drawn():
    low, high = limits([1.0, float("nan"), 3.0])
    assert low < 1 < 3 < high < 3.5
    low, high = limits([0.0, 1.0, 100.0], log=True)
    assert 0.5 < low < 1 < 100 < high < 200
    assert limits([])[0] < limits([])[1]


@pytest.mark.parametrize("log", [False, True])
def test_even_steps_have_the_ends(log):
    found = even_steps(1.0, 16.0, 5, log=log)
    assert (found[0], found[-1]) == (1.0, 16.0)
    steps = np.diff(np.log(found) if log else found)
    assert np.allclose(steps, steps[0])
    assert even_steps(2.0, 2.0, 5, log=log) == [2.0]
