"""The SVG of a page stands alone and follows its scheme; a PNG file is the same chart, larger."""

import re
import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from svg import parsed

from jaxprune.report.charts.chart import write_png
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.page_svg import page_svg
from jaxprune.report.charts.rows import Estimate, bar_chart, interval_chart
from jaxprune.report.charts.theme import COLOURS, CSS

HOSTILE = "<script>alert('x')</script>\"&\x00\ud800</style><!--${datum}"


def charts():
    one = {HOSTILE: Estimate(1.0, 0.0, 2.0), "sw": Estimate(2.0)}
    return [
        interval_chart({HOSTILE: one, "b": one}, title=HOSTILE, unit=HOSTILE),
        line_chart([Line(HOSTILE, [1, 2])], title=HOSTILE, y_title=HOSTILE),
        bar_chart([(HOSTILE, 1.0)], title=HOSTILE, most=2),
        heatmap(np.eye(2), [HOSTILE, "b"], [HOSTILE, "b"], title=HOSTILE, x_title=HOSTILE),
    ]


@pytest.mark.parametrize("place", range(4))
def test_names_stay_text(place):
    svg = page_svg(charts()[place])
    root = parsed(svg)
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert root.find("title").text == shown
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "line", "text", "title"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not names & {"id", "href", "style", "aria-label", "font-family"}
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in svg


def test_a_page_has_the_colours_of_its_scheme():
    """Every colour that is no cell's is a variable, which colours.css gives for both schemes."""
    for chart in charts()[:3]:
        for element in parsed(page_svg(chart)).iter():
            for name in ("fill", "stroke"):
                assert re.fullmatch(r"none|transparent|var\(--\w+\)", element.get(name) or "none")
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w+)", block))
        for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    )
    assert light == COLOURS
    assert dark.keys() == COLOURS.keys()


def test_the_same_chart_gives_the_same_bytes(tmp_path):
    one, two = charts()[0], charts()[0]
    assert page_svg(one) == page_svg(two)
    for name, chart in (("a", one), ("b", two)):
        write_png(chart, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_png_has_twice_the_pixels_and_room_for_its_title(tmp_path):
    chart = bar_chart([("a", 1.0)], title="one\ntwo", most=2)
    root = ET.fromstring(page_svg(chart))
    write_png(chart, tmp_path / "chart.png")
    header = (tmp_path / "chart.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:])
    assert width >= 2 * int(root.get("width"))
    assert height >= 2 * (int(root.get("height")) + 24)
