"""Tables of text: alignment on a terminal, Markdown as a parser reads it, CSV as the module reads it."""

import csv

from jaxprune.base.text import (
    WIDTH,
    Cell,
    Table,
    columns,
    csv_text,
    named_values,
    pipes,
    table_lines,
    wrapped,
)

ROWS = [["en", "1,000", "−2.5"], ["zho_Hans", "40", "–"]]


def test_columns_are_as_wide_as_their_widest_cell():
    assert columns(["", "rows", "points"], ROWS) == [
        "           rows  points",
        "en        1,000    −2.5",
        "zho_Hans     40       –",
    ]
    assert columns(["name", "p"], []) == ["name  p"]


def test_a_table_that_is_wider_than_the_terminal_continues_below():
    cells = [f"{place}{'x' * 20}" for place in range(8)]
    lines = table_lines(Table("", ["name", *cells], [["en", *cells]]))
    assert max(map(len, lines)) <= WIDTH
    second = lines[lines.index("") + 1 :]
    assert second[0].startswith("name")
    assert second[1].startswith("en")
    shown = [word for line in lines for word in line.split() if "x" in word]
    assert sorted(shown) == sorted(cells * 2)
    labelled = Table("", ["criterion", "source", *cells], [["wanda", "sw", *cells]], labels=2)
    parts = "\n".join(table_lines(labelled)).split("\n\n")
    assert len(parts) > 1
    assert all(part.split("\n")[1].split()[:2] == ["wanda", "sw"] for part in parts)


def test_pipes_are_markdown():
    assert pipes(["", "A | B", "p"], [["en", "1.0 ", "0.039 *"], ["a*b", "–", "–"]]) == [
        r"|  | A \| B | p |",
        "| --- | ---: | ---: |",
        r"| en | 1.0 | 0.039 \* |",
        r"| a\*b | – | – |",
    ]


def test_csv_has_all_digits_and_nothing_for_none():
    text = csv_text(["name", "share", "p"], [["a,b", 1 / 3, None], ["c", True, 2]])
    assert text.count("\n") == 3
    assert list(csv.reader(text.splitlines())) == [
        ["name", "share", "p"],
        ["a,b", repr(1 / 3), ""],
        ["c", "True", "2"],
    ]


def test_named_values_are_aligned():
    assert named_values({"model": "m", "peak memory": "1.00 GB"}) == [
        "  model        m",
        "  peak memory  1.00 GB",
    ]


def test_paragraphs_fit_the_terminal():
    lines = wrapped(", ".join(f"layer-{number}" for number in range(40)), indent="  ")
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("  layer-0, ")
    assert all(line.startswith("    layer-") for line in lines[1:])


def test_a_table_in_latex_has_all_cells_and_no_command_of_its_text():
    table = Table("of a task", ["run", "p_holm"], [["wanda_fr", Cell("58.0 (+1%)*", "better")]])
    lines = table.to_latex().splitlines()
    assert r"run & p\_holm \\" in lines
    assert r"wanda\_fr & 58.0 (+1\%)* \\" in lines


def test_the_caption_of_a_table_in_latex_is_plain_text():
    table = Table("nli, %", ["run", "source", "fr"], [["a", "en", "−1 (×0.5)"]], labels=2)
    latex = table.to_latex("wanda_fr: 50% & #1")
    assert r"\caption{nli, \%. wanda\_fr: 50\% \& \#1}" in latex
    assert r"\begin{tabular}{llr}" in latex
    assert r"$-$1 ($\times$0.5)" in latex
