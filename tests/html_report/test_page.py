"""Colours of the page, tables and markup keep what they promise."""

import re
import xml.etree.ElementTree as ET

import pytest

from jaxprune.charts import CSS
from jaxprune.html_report.markup import escape, tag
from jaxprune.html_report.tables import table


def luminance(code):
    """WCAG 2's relative luminance of #rrggbb."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_the_paper(scheme):
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
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
    assert rows == [["fr", "1,234", "0.5", "x"], ["<sw>", "−2", "–", "y"]]
    classes = [cell.get("class") for cell in titles]
    assert classes == [None, "number", "number", None]


def test_markup_escapes_all_that_is_not_markup():
    assert tag("td", "a < b", tag("b", "&"), class_='"x"', data_y=15, hidden=None) == (
        '<td class="&quot;x&quot;" data-y="15">a &lt; b<b>&amp;</b></td>'
    )
    assert escape("\x00\x1f\x85\ud800é\n") == "\ufffd\ufffd\ufffd\ufffdé\n"
    assert escape(escape("<")) == "&lt;"
    assert tag("br") == "<br />"
