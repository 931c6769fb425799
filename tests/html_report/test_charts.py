"""Charts are where their numbers are; tables, colours and markup keep what they promise."""

import importlib.resources
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from jaxprune.html_report.charts import (
    Change,
    Estimate,
    Line,
    Series,
    bar_chart,
    change_chart,
    interval_chart,
    line_chart,
)
from jaxprune.html_report.heatmap import colour, heatmap
from jaxprune.html_report.markup import escape, tag
from jaxprune.html_report.plot import Scale
from jaxprune.html_report.tables import table

STYLE = importlib.resources.files("jaxprune.html_report").joinpath("style.css").read_text()
NAN = float("nan")


def marks(figure):
    """(what it tells, x, y, class) of every mark."""
    found = []
    for group in ET.fromstring(figure).iter("g"):
        for mark in group:
            if "mark" in (mark.get("class") or ""):
                move = mark.get("transform")
                at = move[10:-1].split() if move else (mark.get("cx"), mark.get("cy"))
                found.append((group[0].text, *map(float, at), mark.get("class")))
    return found


def ticks(figure):
    """Value → x of the labels below a horizontal axis."""
    texts = [t for t in ET.fromstring(figure).iter("text") if t.get("class") == "faint"]
    return {float(t.text.replace("−", "-")): float(t.get("x")) for t in texts[:-1]}


def check_axis(placed, at):
    """Values and their pixels lie on the line that the ticks are on."""
    (low, x_low), *_, (high, x_high) = sorted(at.items())
    for value, x in [*placed, *at.items()]:
        assert x == pytest.approx(x_low + (value - low) / (high - low) * (x_high - x_low), abs=0.05)


def test_dots_and_whiskers_are_where_their_values_are():
    values = {"fr": Estimate(61.5, 58.2, 64.1), "sw": Estimate(40.0), "de": Estimate(NAN, NAN, NAN)}
    figure = interval_chart(
        [Series("dense", values), Series("pruned", {"fr": Estimate(70.25, 67, 73)})],
        title="Accuracy", unit="%",
    )  # fmt: skip
    found = marks(figure)
    assert [said for said, *_ in found] == [
        "fr, dense: 61.5 [58.2, 64.1]", "sw, dense: 40", "fr, pruned: 70.25 [67, 73]",
    ]  # fmt: skip
    at = ticks(figure)
    placed = zip((61.5, 40.0, 70.25), (x for _, x, *_ in found), strict=True)
    check_axis(placed, at)
    whiskers = [
        line for line in ET.fromstring(figure).iter("line") if "whisker" in line.get("class")
    ]
    ends = [float(line.get(end)) for line in whiskers for end in ("x1", "x2")]
    check_axis(zip((58.2, 64.1, 67, 73), ends, strict=True), at)
    assert len({class_ for *_, class_ in found}) == 2
    assert len({y for _, _, y, _ in found}) == 3  # the two of fr lie apart


def test_changes_are_coloured_by_what_they_mean():
    changes = [
        Change("fr", 3.0, 1.0, 5.0, True), Change("sw", -4.0, -6.0, -2.0, True),
        Change("de", 0.5, -1.0, 2.0, False), Change("mean", -0.2, -1.0, 0.6, None),
        Change("xx", NAN, 0.0, 1.0, False),
    ]  # fmt: skip
    figure = change_chart(changes, title="Change", unit="points")
    found = marks(figure)
    assert [class_ for *_, class_ in found] == [
        "mark better", "mark worse", "mark unclear", "mark untested",
    ]  # fmt: skip
    at = ticks(figure)
    assert min(at) < 0 < max(at)
    check_axis(zip((3.0, -4.0, 0.5, -0.2), (x for _, x, *_ in found), strict=True), at)
    root = ET.fromstring(figure)
    [zero] = [float(e.get("x1")) for e in root.iter("line") if e.get("class") == "zero"]
    assert zero == pytest.approx(at[0.0])
    shown = [t.text for t in root.iter("text") if "value" in (t.get("class") or "")]
    assert shown == ["+3.0", "−4.0", "+0.5", "−0.2"]
    legend = root.find("figcaption/span")
    assert [span.find("svg").tail for span in legend] == [
        "better", "worse", "not significant", "mean",
    ]  # fmt: skip


def test_lines_leave_out_what_a_log_axis_has_not():
    lines = [Line("a", [1.0, 10.0, 100.0]), Line("b", [0.0, 5.0, NAN, 50.0], colour=1)]
    root = ET.fromstring(line_chart(lines, title="RMS", x_title="layer", log=True))
    dots = {c.find("title").text: float(c.get("cy")) for c in root.iter("circle")}
    assert list(dots) == ["a, 0: 1", "a, 1: 10", "a, 2: 100", "b, 1: 5", "b, 3: 50"]
    assert dots["a, 0: 1"] - dots["a, 1: 10"] == pytest.approx(
        dots["a, 1: 10"] - dots["a, 2: 100"], abs=0.05
    )
    path = next(e for e in root.iter("path") if "s1" in e.get("class"))
    assert re.sub(r"[\d. ]", "", path.get("d")) == "MM"  # 5 and 50 are no neighbours


@pytest.mark.parametrize("values", [[], [NAN], [3.0], [0.0, 0.0]])
def test_little_data_gives_a_chart_all_the_same(values):
    for log in (False, True):
        ET.fromstring(line_chart([Line("a", values)], title="t", x_title="x", log=log))
        wide = np.array([values]).reshape(1, -1)
        names = [str(i) for i in range(wide.shape[1])]
        ET.fromstring(heatmap(wide, ["r"], names, title="t", log=log))
    one = {str(i): Estimate(value) for i, value in enumerate(values)}
    ET.fromstring(interval_chart([Series("a", one)], title="t", unit="u"))
    ET.fromstring(change_chart([Change("a", v, v, v, None) for v in values], title="t", unit="u"))
    ET.fromstring(bar_chart([("a", value) for value in values], title="t", most=1))


def test_bars_are_as_long_as_their_values():
    figure = bar_chart([("a", 25.0), ("b", 50.0), ("c", 100.0)], title="t", most=100)
    rects = list(ET.fromstring(figure).iter("rect"))
    whole, parts = float(rects[0].get("width")), [float(r.get("width")) for r in rects[1::2]]
    assert parts == pytest.approx([whole / 4, whole / 2, whole], abs=0.02)


def test_ticks_are_round_few_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(500):
        low = rng.normal() * 10.0 ** rng.integers(-3, 5)
        high = low + 10.0 ** rng.uniform(-2, 4)
        found = Scale(low, high, 0, 1).ticks()
        steps = np.diff(found)
        assert 2 <= len(found) <= 6
        assert low - 1e-6 <= found[0] <= found[-1] <= high + 1e-6
        assert np.allclose(steps, steps[0])
        assert f"{steps[0]:.3e}"[:5] in {"1.000", "2.000", "2.500", "5.000"}
        low = 10.0 ** rng.uniform(-4, 2)
        high = low * 10.0 ** rng.uniform(0.02, 6)
        found = Scale(low, high, 0, 1, log=True).ticks()
        assert 2 <= len(found) <= 9
        assert all(low * 0.999 <= tick <= high * 1.001 for tick in found)


def luminance(code):
    """WCAG 2's relative luminance of #rrggbb."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_colours_grow_evenly_lighter():
    lightness = [luminance(colour(i / 100)) ** (1 / 3) for i in range(101)]
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert lightness[-1] - lightness[0] > 0.5


def test_cells_hold_their_values_in_ink_that_can_be_read():
    values = np.array([[0.0, 50.0, NAN], [100.0, 25.0, 75.0]])
    figure = heatmap(values, ["a", "b"], ["x", "y", "z"], title="t", limits=(0, 100))
    groups = list(ET.fromstring(figure).iter("g"))
    assert [group[0].text for group in groups] == [
        "a, x: 0", "a, y: 50", "b, x: 100", "b, y: 25", "b, z: 75",
    ]  # fmt: skip
    for group, value in zip(groups, (0, 50, 100, 25, 75), strict=True):
        _, rect, text = group
        assert rect.get("fill") == colour(value / 100)
        assert text.text == str(value)
        ink = {"#000": "#000000", "#fff": "#ffffff"}[text.get("fill")]
        assert contrast(ink, rect.get("fill")) >= 4.5
    wide = heatmap(np.ones((2, 80)), ["a", "b"], [str(i) for i in range(80)], title="t")
    assert all(len(group) == 2 for group in ET.fromstring(wide).iter("g"))  # no text in them


def test_a_log_map_spaces_colours_by_quotients():
    figure = heatmap(np.array([[1.0, 10.0, 100.0]]), ["a"], list("xyz"), title="t", log=True)
    fills = [group[1].get("fill") for group in ET.fromstring(figure).iter("g")]
    assert fills == [colour(0), colour(0.5), colour(1)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_the_paper(scheme):
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = dict(re.findall(r"--(\w+): (#\w+)", blocks[scheme == "dark"]))
    assert len(found) == 14
    for name in ("ink", "faint", "link", "better", "worse"):
        for paper in ("paper", "wash"):
            assert contrast(found[name], found[paper]) >= 4.5, name
    for place in range(6):
        assert contrast(found[f"s{place}"], found["wash"]) >= 3


def test_tables_drop_empty_columns_and_align_numbers():
    markup = table(
        ["lang", "a", "b", "c", "word"],
        [["fr", 1234, None, 0.5, "x"], ["<sw>", -2, None, None, tag("b", "y")]],
        caption="c & d", groups=[("", 1), ("one", 2), ("two", 1), ("", 1)],
    )  # fmt: skip
    found = ET.fromstring(markup).find("table")
    assert found.find("caption").text == "c & d"
    above, titles = found.find("thead")
    assert [(cell.text, cell.get("colspan")) for cell in above] == [
        (None, "1"), ("one", "1"), ("two", "1"), (None, "1"),
    ]  # fmt: skip
    assert [cell.text for cell in titles] == ["lang", "a", "c", "word"]
    rows = [["".join(cell.itertext()) for cell in row] for row in found.find("tbody")]
    assert rows == [["fr", "1,234", "0.5", "x"], ["<sw>", "-2", "–", "y"]]
    classes = [cell.get("class") for cell in titles]
    assert classes == [None, "number", "number", None]


def test_markup_escapes_all_that_is_not_markup():
    assert tag("td", "a < b", tag("b", "&"), class_='"x"', data_y=1.5, hidden=None) == (
        '<td class="&quot;x&quot;" data-y="1.5">a &lt; b<b>&amp;</b></td>'
    )
    assert escape("\x00\x1f\x85\ud800é\n") == "\ufffd\ufffd\ufffd\ufffdé\n"
    assert escape(escape("<")) == "&lt;"
    assert tag("br") == "<br />"
    assert math.isclose(float(tag("rect", x=1 / 3).split('"')[1]), 0.33)
