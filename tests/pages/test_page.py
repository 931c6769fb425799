"""Colours of the page, tables and markup keep what they promise."""

import re
import xml.etree.ElementTree as ET

import pytest
from svg import contrast

from jaxprune.base.templates import legal_text
from jaxprune.base.text import Cell, NotebookTable, Table
from jaxprune.report.charts.theme import CSS
from jaxprune.report.document import Command, Facts, Folded, Note, Section, page


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


def test_a_table_has_its_verdicts_and_note():
    rows = [["fr", "1.5", Cell("+0.5", "better")], ["<sw>", " 2", "–"]]
    text = page("t", [], [Section("s", "S", [Table("c & d", ["lang", "x", "a & b"], rows, "n")])])
    root = ET.fromstring(text)
    found = root.find(".//table")
    assert found.find("caption").text == "c & d"
    [titles] = found.find("thead")
    assert [cell.text for cell in titles] == ["lang", "x", "a & b"]
    cells = [[(cell.text, cell.get("class")) for cell in row] for row in found.find("tbody")]
    assert cells == [
        [("fr", None), ("1.5", None), ("+0.5", "better")],
        [("<sw>", None), ("2", None), ("–", None)],
    ]
    assert root.find(".//section//p").text == "n"


def test_a_notebook_shows_the_same_table():
    class Shown(NotebookTable):
        def _shown(self):
            return "caption <1>", [Table("t", ["", "x"], [["<fr>", Cell("1", "worse")]])]

    html = Shown()._repr_html_()
    assert "<p>caption &lt;1&gt;</p>" in html
    assert '<th scope="row">&lt;fr&gt;</th>' in html
    assert '<td class="worse">1</td>' in html
    assert repr(Shown()) == "<Shown: caption <1>>"


def test_all_kinds_of_parts_are_drawn_and_escaped():
    parts = [
        "a < b", Note("<note>"), Command("Made by", "jaxprune x '<y>'"),
        Facts({"<name>": "v & w"}), Folded("more", ["inside", Folded("deep", ["deeper"])]),
    ]  # fmt: skip
    section = ET.fromstring(page("\x00", parts, [None])).find("body/header")
    assert section.find("h1").text == "\ufffd"
    said = ["".join(part.itertext()) for part in section.findall("p")]
    assert said == ["a < b", "<note>", "Made by: jaxprune x '<y>' "]
    assert section.find("dl/div/dt").text == "<name>"
    assert [one.text for one in section.iter("summary")] == ["more", "deep"]
    assert "deeper" in "".join(section.find("details/details").itertext())


def test_characters_that_html_does_not_allow_are_replaced():
    assert legal_text("\x00\x1f\x85\ud800é\n") == "\ufffd\ufffd\ufffd\ufffdé\n"
