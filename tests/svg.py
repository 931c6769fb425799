"""What a drawn chart shows, read from its SVG: marks with their places, axes, texts."""

import re
import xml.etree.ElementTree as ET

import pytest

_MOVE = re.compile(r"translate\(([-\d.]+),([-\d.]+)\)")


def parsed(svg):
    return ET.fromstring(svg)


def _placed(element, x=0.0, y=0.0, layer=""):
    """(element, x, y, class of the group around it) of all that is drawn, in pixels of the chart."""
    move = _MOVE.match(element.get("transform") or "")
    if move:
        x, y = x + float(move[1]), y + float(move[2])
    yield element, x, y, layer
    for word in (element.get("class") or "").split():
        if word.endswith("_marks") or word.startswith(
            ("role-axis-", "role-legend-", "role-title-")
        ):
            layer = word.removesuffix("_marks")
    for child in element:
        yield from _placed(child, x, y, layer)


def drawn(svg, layer):
    """(element, x, y) of what a layer draws, the x and y being those that it is moved to."""
    root = parsed(svg) if isinstance(svg, str) else svg
    return [
        (element, x, y)
        for element, x, y, name in _placed(root)
        if re.fullmatch(layer, name) and element.tag in ("path", "line", "text")
    ]


def told(svg):
    """What the marks tell on hovering, in order."""
    root = parsed(svg) if isinstance(svg, str) else svg
    return [title.text for title in root.iter("title")][1:]


def box(path):
    """(left, top, width, height) of a rectangle's path."""
    x, y, width, height, _ = map(float, re.findall(r"-?[\d.]+", path.get("d")))
    return x, y, width, height


def axis(svg, sideways=True):
    """Value → pixel of the ticks of the numbered axis across or upright."""
    found = {}
    for text, x, y in drawn(svg, "role-axis-label"):
        digits = (text.text or "").replace("−", "-").replace(",", "")
        is_number = re.fullmatch(r"-?[\d.]+(e-?\d+)?", digits)
        if is_number and (text.get("text-anchor") == "middle") is sideways:
            found[float(digits)] = x if sideways else y - 4
    return found


def check_axis(placed, at):
    """Values and their pixels lie on the line that the ticks are on."""
    (low, x_low), *_, (high, x_high) = sorted(at.items())
    for value, x in [*placed, *at.items()]:
        assert x == pytest.approx(x_low + (value - low) / (high - low) * (x_high - x_low), abs=0.6)


def channels(fill):
    """(r, g, b) of rgb(…) or #rrggbb."""
    if fill.startswith("#"):
        return tuple(int(fill[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(map(int, re.findall(r"\d+", fill)))


def luminance(fill):
    """WCAG 2's relative luminance."""
    shares = [channel / 255 for channel in channels(fill)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2's contrast ratio of two colours."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
