"""Marks of every kind of chart are where their values are, and tell them."""

import re

import numpy as np
import pytest
from svg import axis, box, channels, check_axis, contrast, drawn, luminance, parsed, told

from jaxprune.base.text import signed
from jaxprune.report.charts.heatmap import DIVERGING, heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.page_svg import page_svg
from jaxprune.report.charts.panels import grid
from jaxprune.report.charts.rows import Estimate, bar_chart, interval_chart

NAN = float("nan")


def cells(svg):
    """What it tells → (left, top, fill) of every cell."""
    return {
        path.find("title").text: (*box(path)[:2], path.get("fill"))
        for path, _, _ in drawn(svg, "cells")
    }


def test_dots_and_whiskers_are_where_their_values_are():
    values = {"fr": Estimate(61.5, 58.2, 64.1), "sw": Estimate(40.0), "de": Estimate(NAN, NAN, NAN)}
    series = {"dense": values, "pruned": {"fr": Estimate(70.25, 67, 73)}}
    reference = ("chance", 100 / 3)
    svg = page_svg(interval_chart(series, title="Accuracy", unit="%", reference=reference))
    assert told(svg) == [
        "chance: 33.33", "fr, dense: 61.5 [58.2, 64.1]", "sw, dense: 40", "fr, pruned: 70.25 [67, 73]",
    ]  # fmt: skip
    dots = drawn(svg, r"dots_\d")
    at = axis(svg)
    check_axis(zip((61.5, 40.0, 70.25), (x for _, x, _ in dots), strict=True), at)
    [(_, chance, _)] = drawn(svg, "reference")
    check_axis([(100 / 3, chance)], at)
    whiskers = drawn(svg, r"whiskers_\d")
    ends = [end for line, x, _ in whiskers for end in (x, x + float(line.get("x2")))]
    check_axis(zip((58.2, 64.1, 67, 73), ends, strict=True), at)
    assert len({(dot.get("fill"), dot.get("d")) for dot, _, _ in dots}) == 2
    (_, _, first), (_, _, below), (_, _, beside) = dots
    names = {text.text: y for text, _, y in drawn(svg, "role-axis-label") if text.text.isalpha()}
    assert first < names["fr"] - 3.5 < beside < below  # the two of fr lie around its row's middle
    assert [text.text for text, _, _ in drawn(svg, "role-legend-label")] == ["dense", "pruned"]


def test_changes_are_hollow_by_their_verdicts_with_values_beside_them():
    changes = {
        "fr": Estimate(3.0, 1.0, 5.0, "better"), "sw": Estimate(-4.0, -6.0, -2.0, "worse"),
        "de": Estimate(0.5, -1.0, 2.0, "unclear"), "mean": Estimate(-0.2, -1.0, 0.6, "untested"),
        "xx": Estimate(NAN, 0.0, 1.0, "unclear"),
    }  # fmt: skip
    looks = {"title": "Change", "unit": "points", "reference": ("unchanged", 0.0)}
    svg = page_svg(interval_chart({"": changes}, show=signed, **looks))
    assert told(svg) == [
        "unchanged: 0.0", "fr: +3.0 [+1.0, +5.0], better", "sw: −4.0 [−6.0, −2.0], worse",
        "de: +0.5 [−1.0, +2.0], no significant change", "mean: −0.2 [−1.0, +0.6], not tested",
    ]  # fmt: skip
    marks = drawn(svg, "dots_0")
    assert [(mark.get("fill"), mark.get("stroke")) for mark, _, _ in marks] == [
        *[("var(--s0)",) * 2] * 2, *[("var(--paper)", "var(--s0)")] * 2,
    ]  # fmt: skip
    at = axis(svg)
    assert min(at) < 0 < max(at)
    check_axis(zip((3.0, -4.0, 0.5, -0.2), (x for _, x, _ in marks), strict=True), at)
    [(_, zero, _)] = drawn(svg, "reference")
    check_axis([(0.0, zero)], at)
    whiskers = [(x, x + float(line.get("x2"))) for line, x, _ in drawn(svg, "whiskers_0")]
    check_axis(zip((1.0, -6.0, -1.0, -1.0), (x for x, _ in whiskers), strict=True), at)
    check_axis(zip((5.0, -2.0, 2.0, 0.6), (x for _, x in whiskers), strict=True), at)
    values = drawn(svg, "values")
    assert [text.text for text, _, _ in values] == ["+3.0", "−4.0", "+0.5", "−0.2"]


def test_ratios_are_as_far_from_1_in_either_direction():
    ratios = {"fr": Estimate(4.0, 2.0, 8.0), "sw": Estimate(0.25, 0.125, 0.5), "de": Estimate(0.0)}
    looks = {"title": "t", "unit": "after / before", "reference": ("unchanged", 1.0)}
    svg = page_svg(interval_chart({"": ratios}, log=True, **looks))
    (_, high, _), (_, low, _) = drawn(svg, "dots_0")  # 0 has no place on a log axis
    [(_, one, _)] = drawn(svg, "reference")
    assert high - one == pytest.approx(one - low, abs=0.01)
    at = {np.log(value): x for value, x in axis(svg).items()}
    check_axis([(np.log(4.0), high), (0.0, one)], at)
    assert "after / before (log)" in [text.text for text, _, _ in drawn(svg, "role-axis-title")]


def test_lines_leave_out_what_a_log_axis_has_not():
    lines = [Line("a", [1.0, 10.0, 100.0]), Line("b", [0.0, 5.0, NAN, 50.0], 1, "dashed")]
    svg = page_svg(line_chart(lines, title="t", y_title="RMS", log=True))
    points = {point.find("title").text: (x, y) for point, x, y in drawn(svg, "points")}
    assert list(points) == ["a, 0: 1", "a, 1: 10", "a, 2: 100", "b, 1: 5", "b, 3: 50"]
    values = (1, 10, 100, 5, 50)
    upright = {np.log(value): y for value, y in axis(svg, sideways=False).items()}
    check_axis(zip(np.log(values), (y for _, y in points.values()), strict=True), upright)
    check_axis(zip((0, 1, 2, 1, 3), (x for x, _ in points.values()), strict=True), axis(svg))
    (solid, *_), (dashed, *_) = drawn(svg, "curves")
    assert dashed.get("stroke-dasharray") == "3,7"
    titles = [text.text for text, _, _ in drawn(svg, "role-axis-title")]
    assert sorted(titles) == ["RMS (log)", "layer"]
    assert re.sub(r"[^ML]", "", solid.get("d")) == "MLL"
    assert "L" not in dashed.get("d").replace("l0,0", "")  # 5 and 50 are no neighbours


def test_lines_that_coincide_are_both_seen():
    lines = [Line(name, [1.0, 1.0], colour) for colour, name in enumerate("ab")]
    svg = page_svg(line_chart(lines, title="t", y_title="y"))
    shown = []
    for path, _, _ in drawn(svg, "curves"):
        on, off = map(int, (path.get("stroke-dasharray") or "1,0").split(","))
        shown.append({pixel for pixel in range(80) if pixel % (on + off) < on})
    below, above = shown
    assert len(below - above) >= 20


@pytest.mark.parametrize("values", [[], [NAN], [3.0], [0.0, 0.0]])
def test_little_data_gives_a_chart_all_the_same(values):
    charts = []
    names = [str(i) for i in range(len(values))]
    for log in (False, True):
        charts.append(line_chart([Line("a", values)], title="t", y_title="y", log=log))
        charts.append(heatmap(np.array([values]).reshape(1, -1), ["r"], names, title="t", log=log))
    one = {str(i): Estimate(value) for i, value in enumerate(values)}
    charts += [
        interval_chart({"a": one}, title="t", unit="u"),
        interval_chart({"a": one, "b": one}, title="t", unit="u", log=True),
        bar_chart(zip(names, values, strict=True), title="t", most=1),
    ]
    for chart in charts:
        assert parsed(page_svg(chart)).find("title").text == "t"


def test_bars_are_as_long_as_their_values():
    bars = [("a", 25.0), ("b", 50.0), ("c", 100.0), ("d", NAN)]
    svg = page_svg(bar_chart(bars, title="t", most=100))
    whole = box(drawn(svg, "whole")[0][0])[2]
    lengths = [box(path)[2] for path, _, _ in drawn(svg, "bars")]
    assert lengths == pytest.approx([whole / 4, whole / 2, whole], abs=0.02)
    assert [text.text for text, _, _ in drawn(svg, "values")] == ["25.0", "50.0", "100.0"]


def test_cells_hold_their_values_in_order():
    values = np.array([[0.0, 50.0, NAN], [100.0, 25.0, 75.0]])
    svg = page_svg(heatmap(values, ["a", "b"], ["x", "y", "z"], title="t", limits=(0, 100)))
    found = cells(svg)
    assert list(found) == ["a, x: 0", "a, y: 50", "b, x: 100", "b, y: 25", "b, z: 75"]
    (ax, ay, low), (yx, yy, _), (bx, by, high), *_ = found.values()
    assert (ax, ay) == (bx, yy)
    assert ax < yx
    assert ay < by
    assert luminance(low) < luminance(high)
    assert [text.text for text, _, _ in drawn(svg, "texts")] == ["0", "50", "100", "25", "75"]
    legend = [text.text for text, _, _ in drawn(svg, "role-legend-label")]
    assert legend == ["0", "50", "100"]
    swatches = [path.get("fill") for path, _, _ in drawn(svg, "role-legend-symbol")]
    assert swatches == [found[name][2] for name in ("a, x: 0", "a, y: 50", "b, x: 100")]
    wide = heatmap(np.ones((2, 80)), ["a", "b"], [str(i) for i in range(80)], title="t")
    assert not drawn(page_svg(wide), "texts")  # there is no room for them


@pytest.mark.parametrize("more", [{}, {"scheme": DIVERGING}, {"log": True}])
def test_ink_of_cells_can_be_read(more):
    shares = np.linspace(0.001, 1, 200).reshape(20, 10)
    names = [str(i) for i in range(20)]
    svg = page_svg(heatmap(shares, names, names[:10], title="t", show=lambda v: f"{v:.0f}", **more))
    paths, texts = drawn(svg, "cells"), drawn(svg, "texts")
    for (path, *_), (text, *_) in zip(paths, texts, strict=True):
        ink = {"black": "#000000", "white": "#ffffff"}[text.get("fill")]
        assert contrast(ink, path.get("fill")) >= 4.5


def test_a_log_map_spaces_colours_by_quotients():
    log = heatmap(np.array([[1.0, 10.0, 100.0]]), ["a"], list("xyz"), title="t", log=True)
    even = heatmap(np.array([[0.0, 0.5, 1.0]]), ["a"], list("xyz"), title="t")
    fills = [[fill for _, _, fill in cells(page_svg(chart)).values()] for chart in (log, even)]
    assert fills[0] == fills[1]
    titles = [[t.text for t, _, _ in drawn(page_svg(c), "role-legend-title")] for c in (log, even)]
    assert titles == [["log scale"], []]


def test_signed_changes_are_white_at_zero():
    values = np.array([[-30.0, -20.0, -10.0, 0.0, 10.0]])
    looks = {"limits": (-20, 5), "scheme": DIVERGING, "show": signed}
    svg = page_svg(heatmap(values, ["a"], list("vwxyz"), title="t", **looks))
    beyond, end, mild, zero, better = (channels(fill) for _, _, fill in cells(svg).values())
    assert min(zero) > 235
    assert end[1] < mild[1] < min(zero)  # pink has little green in it, and less the worse
    assert better[1] > better[0]
    assert beyond == end  # beyond the limits colours stay the last one


def test_panels_of_a_grid_have_data_and_legends_of_their_own_or_one():
    maps = [
        heatmap(np.array([[low]]), ["a"], ["x"], title=f"from {low}", limits=(0, 99))
        for low in (1.0, 50.0, 80.0)
    ]
    for one_legend, legends in ((True, 1), (False, 3)):
        root = parsed(page_svg(grid(maps, title="all", columns=2, one_legend=one_legend)))
        assert told(root) == ["a, x: 1", "a, x: 50", "a, x: 80"]
        assert len(drawn(root, "role-legend-label")) == 3 * legends
        titles = [text.text for text, _, _ in drawn(root, "role-title-text")]
        assert titles == ["from 1.0", "from 50.0", "from 80.0"]
