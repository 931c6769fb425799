"""Values → the limits and the ticks of an axis."""

import math
from collections.abc import Iterable

import numpy as np

_MOST_TICKS = 9
_AIR = 0.06  # of the range, added at both ends


def drawable(value: float, log: bool) -> bool:
    """Whether an axis can show the value."""
    return math.isfinite(value) and (value > 0 or not log)


def limits(values: Iterable[float], *, log: bool = False) -> tuple[float, float]:
    """The limits of an axis: the range of the values that it can show, with a margin at both ends."""
    shown = [value for value in values if drawable(value, log)] or [1.0]
    low, high = min(shown), max(shown)
    if log:
        air = max((high / low) ** _AIR, 1.03)
        return low / air, high * air
    air = (high - low) * _AIR or abs(high) * 0.1 or 1.0
    return low - air, high + air


def ticks(low: float, high: float, *, log: bool = False) -> list[float]:
    """Two to six round values between low and high; on a log axis up to nine, such as 1, 2, 5, 10, …"""
    if log and len(values := _log_ticks(low, high)) >= 3:
        return values
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    count = int((high - first * step) / step + 1e-9) + 1
    return [(first + place) * step for place in range(count)]


def _log_ticks(low: float, high: float) -> list[float]:
    """The finest series of at most _MOST_TICKS values: 1, 2, 5, 10, …; powers of ten; every n-th power of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for step, digits in [(1, (1, 2, 5)), *((step, (1,)) for step in range(1, last - first + 2))]:
        powers = range(first, last + 1, step)
        values = [float(f"{digit}e{power}") for power in powers for digit in digits]
        values = [value for value in values if low <= value <= high]
        if len(values) <= _MOST_TICKS:
            return values
    return []


def _round_step(least: float) -> float:
    unit = 10.0 ** math.floor(math.log10(least))
    return next(unit * digit for digit in (1, 2, 2.5, 5, 10) if unit * digit >= least * (1 - 1e-9))


def even_steps(low: float, high: float, count: int, *, log: bool = False) -> list[float]:
    """`count` values from low to high, evenly spaced; on a log scale by equal ratios. One if low equals high."""
    if high <= low:
        return [low]
    steps: list[float] = (np.geomspace if log else np.linspace)(low, high, count).tolist()
    return steps
