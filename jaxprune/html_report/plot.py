"""What the charts share: scales, ticks, text, the frame of a figure. Units are pixels of the page.

A chart is not scaled to its column, so that its text has the size of the page's on any screen. Colours
come from style.css, which has both schemes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from jaxprune.html_report.markup import Markup, join, tag

WIDTH = 343  # a phone of 375 without the page's margins
CHARACTER = 7.5  # a wide guess of a character of 12 px, as DejaVu Sans has it
SHAPES = ("circle", "square", "diamond", "triangle", "cross", "down")


@dataclasses.dataclass(frozen=True)
class Scale:
    """Values between low and high → pixels between start and end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Two to six round values between low and high; on a log axis up to nine."""
        if self.log and len(decades := self._decades()) >= 3:
            return decades
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        count = int((self.high - first * step) / step + 1e-9) + 1
        return [(first + place) * step for place in range(count)]

    def _decades(self) -> list[float]:
        """1, 2, 5, 10, 20, …, or only powers of ten where these would be too many."""
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        step = max(1, round((high - low) / 5))
        exponents = range(low, high + 1, step)
        digits = (1, 2, 5) if high - low <= 2 else (1,)
        values = [digit * 10.0**exponent for exponent in exponents for digit in digits]
        return [value for value in values if self.low <= value <= self.high]


def _round_step(least: float) -> float:
    unit = 10.0 ** math.floor(math.log10(least))
    return next(unit * digit for digit in (1, 2, 2.5, 5, 10) if unit * digit >= least * (1 - 1e-9))


def around(values: Iterable[float], start: float, end: float, *, log: bool = False) -> Scale:
    """A scale over all finite values (on a log axis the positive ones) with some air on both sides."""
    shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
    low, high = min(shown), max(shown)
    if log:
        air = max((high / low) ** 0.06, 1.03)
        return Scale(low / air, high * air, start, end, log=True)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return Scale(low - air, high + air, start, end)


def number(value: float) -> str:
    """Short, with a true minus: 1,250, 0.31, −2.5, 1e-05."""
    digits = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
    return digits.replace("-", "\N{MINUS SIGN}") if digits[:1] == "-" else digits


def label(
    x: float, y: float, content: str, anchor: str = "start", class_: str | None = None
) -> Markup:
    """Text whose middle line is at y."""
    return tag("text", content, x=x, y=y, dy="0.35em", text_anchor=anchor, class_=class_)


def label_width(names: Iterable[str]) -> float:
    """Room for the longest of the names, as `shorten` leaves them."""
    return CHARACTER * max((len(shorten(name)) for name in names), default=0) + 8


def shorten(name: str, most: int = 26) -> str:
    """The name, its middle left out where it is long."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A line of a class of style.css."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def marker(shape: str, x: float, y: float, class_: str) -> Markup:
    """A mark of one of SHAPES, 9 to 10 pixels wide."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=4.5, class_=class_)
    outlines = {
        "square": "M-4-4h8v8h-8z",
        "diamond": "M0-5.5L5.5 0L0 5.5L-5.5 0z",
        "triangle": "M0-5.5L5.5 4.5H-5.5z",
        "down": "M0 5.5L5.5-4.5H-5.5z",
        "cross": "M-1.5-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    }
    move = f"translate({x:.2f} {y:.2f})"
    return tag("path", d=outlines[shape], transform=move, class_=class_)


def vertical_grid(scale: Scale, top: float, bottom: float, title: str) -> Markup:
    """Grid lines at the ticks of a horizontal axis, their values below, and what they are."""
    parts = [
        part
        for tick in scale.ticks()
        for part in (
            line(scale(tick), top, scale(tick), bottom, "grid"),
            label(scale(tick), bottom + 12, number(tick), "middle", "faint"),
        )
    ]
    middle = (scale.start + scale.end) / 2
    return join(*parts, label(middle, bottom + 29, title, "middle", "faint"))


def figure(
    title: str, width: float, height: float, *drawn: Markup, legend: Markup | None = None
) -> Markup:
    """A chart with its title and legend, in a box of its own that scrolls where it is too wide."""
    svg = tag(
        "svg", tag("title", title), *drawn,
        role="img", width=round(width), height=round(height),
        viewBox=f"0 0 {round(width)} {round(height)}",
    )  # fmt: skip
    box = tag("div", svg, class_="scroll", tabindex=0, role="group", aria_label=title)
    return tag("figure", tag("figcaption", tag("b", title), legend), box, class_="chart")


def legend(entries: Sequence[tuple[Markup, str]]) -> Markup:
    """Marks, drawn around (10, 8), and what they stand for."""
    swatches = [
        tag("span", tag("svg", mark, width=20, height=16, aria_hidden="true"), name)
        for mark, name in entries
    ]
    return tag("span", *swatches, class_="legend")


def charts_row(*charts: Markup) -> Markup:
    """Charts side by side, as far as the window has room."""
    return tag("div", *charts, class_="charts")
