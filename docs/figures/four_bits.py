"""The tables, numbers and pictures of docs/four_bits.md, the guides to four bits and studies/paper.md, and cells.csv.

All of them are made of the scores alone:

python docs/figures/four_bits.py
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from cells import with_numbers, with_table
from four_bits_cells import (
    ENGLISH,
    FOUR,
    GEMMA,
    LANGUAGES,
    MIXTURE,
    ONES,
    SCORES,
    STUDY,
    WRITTEN,
)
from four_bits_claims import (
    OWN,
    Result,
    Scores,
    all_claims,
    bits_per_byte,
    mean_and_interval,
    results,
    rise,
)
from four_bits_numbers import coverage_table, decimal, floor_table, numbers, with_interval
from study_scores import read_arrays

from jaxprune.base.text import csv_text, p_value, pipes
from jaxprune.data.languages import language
from jaxprune.report.charts.chart import Chart, write_png
from jaxprune.report.charts.heatmap import heatmap

FIGURES = Path(__file__).parent
PAGES = (
    FIGURES.parent / "four_bits.md",
    FIGURES.parent / "guide" / "quantize.md",
    STUDY.parent / "paper.md",
)
CELLS = STUDY / "cells.csv"

# The rows of the table of rises: name, way, texts.
WAYS = {
    "nearest_q4_0": ("Q4_0, `nearest`", ("",)),
    "search_q4_0": ("Q4_0, `search`", (ONES,)),
    "importance_q4_0": ("Q4_0, `importance`", (ENGLISH, OWN)),
    "gptq_q4_0": ("Q4_0, `gptq`", (ENGLISH, OWN, MIXTURE, WRITTEN)),
    "gptq_iq4_nl": ("IQ4_NL, `gptq`", (ENGLISH, OWN)),
    "gptq_q5_0": ("Q5_0, `gptq`", (ENGLISH, OWN)),
    "gptq_q8_0": ("Q8_0, `gptq`", (ENGLISH, OWN)),
}
TEXTS = {
    "": "",
    ONES: "nothing",
    ENGLISH: "English",
    OWN: "the language itself",
    MIXTURE: "all twelve",
    WRITTEN: "text that the model writes in it",
}
# Bits of a weight in the linear layers, by grid.
BITS = {"q4_0": 4.5, "iq4_nl": 4.5, "q5_0": 5.5, "q8_0": 8.5}


def values_of(scores: Scores, way: str, text: str, code: str) -> np.ndarray | None:
    """The rises of a row in a language; None if it was not measured there."""
    name = f"{WRITTEN}_{code}" if text == WRITTEN else text
    if text == ONES:
        way, name = f"search_q4_0-{ONES}-0", ""
    try:
        return rise(scores, GEMMA, way, name, code)
    except KeyError:
        return None


def rise_table(scores: Scores) -> str:
    """A row for each way and text, in Markdown."""
    rows = []
    for way, (name, texts) in WAYS.items():
        for text in texts:
            by_language = (values_of(scores, way, text, code) for code in LANGUAGES)
            cells = (
                ""
                if values is None
                else "{} [{}, {}]".format(*map(decimal, mean_and_interval(values)))
                for values in by_language
            )
            rows.append([name, TEXTS[text], *cells])
    return "\n".join(pipes(["way", "calibrated on", *LANGUAGES], rows)) + "\n"


def claim_table(claims: list[Result]) -> str:
    """A row for each claim of the protocol."""
    rows = []
    for result in claims:
        claim = result.claim
        digits = 3 if claim.question == "Q5b" else 2
        rows.append(
            [
                f"{claim.question}: {claim.name}",
                f"{claim.relation}, {claim.margin:g}",
                with_interval((claim.mean, *result.interval), digits),
                p_value(result.p),
                result.verdict,
            ]
        )
    heading = ["comparison", "predicted, margin", "change [95%]", "p, Holm", "verdict"]
    return "\n".join(pipes(heading, rows)) + "\n"


def csv(scores: Scores) -> str:
    """The text of cells.csv: bits per byte of each cell in each language."""
    rows = []
    for name, sums in scores.items():
        if name.count("/") != 2 or name.startswith("bytes/"):
            continue
        model, cell, code = name.split("/")
        way, text, draw = (*cell.rsplit("-", 2), "", "")[:3] if "-" in cell else (cell, "", "")
        rows.append(
            (
                model,
                way,
                text,
                draw,
                code,
                f"{bits_per_byte(scores, model, cell, code):.6g}",
                f"{-sums[:, 0].sum() / sums[:, 1].sum():.6g}",
            )
        )
    header = ("model", "way", "text", "draw", "language", "bits_per_byte", "log_perplexity")
    return csv_text(header, rows)


def by_language(scores: Scores) -> Chart:
    """Rises by language and calibration."""
    rows = {
        ("nearest_q4_0", ""): "nearest, no text",
        ("importance_q4_0", ENGLISH): "importance, English",
        ("importance_q4_0", OWN): "importance, own text",
        ("gptq_q4_0", ENGLISH): "GPTQ, English",
        ("gptq_q4_0", OWN): "GPTQ, own text",
        ("gptq_q4_0", MIXTURE): "GPTQ, all twelve",
    }
    values = [[rise(scores, GEMMA, *row, code).mean() for code in LANGUAGES] for row in rows]
    return heatmap(
        np.array(values), [*rows.values()], [language(code).name for code in LANGUAGES],
        title="Gemma 3 270M in Q4_0: bits per byte above the dense model's, %",
        x_title="measured in", y_title="rounded by, calibrated on", unit="%",
        limits=(0, 24), show=lambda value: f"{value:.1f}",
    )  # fmt: skip


def by_bits(scores: Scores) -> Chart:
    """The mean rise of four languages by grid, the smallest first, and by calibration."""
    ways = {
        ("nearest", ""): "rounded to nearest",
        ("gptq", ENGLISH): "GPTQ on English",
        ("gptq", OWN): "GPTQ on the language itself",
    }
    points = []
    for (grid, bits), ((how, text), name) in itertools.product(BITS.items(), ways.items()):
        mean = np.mean([rise(scores, GEMMA, f"{how}_{grid}", text, code).mean() for code in FOUR])
        label = f"{mean:.1f}" if mean >= 0.1 else f"{mean:.2f}"
        grid_name = f"{grid.upper()}, {bits} bits"
        points.append({"grid": grid_name, "rise": float(mean), "way": name, "label": label})
    order = [*ways.values()]
    x = {"field": "grid", "type": "nominal", "sort": None, "axis": {"title": None, "labelAngle": 0}}
    axis = {"title": "bits per byte above the dense model's, %", "values": [0.01, 0.1, 1, 10]}
    y = {"field": "rise", "type": "quantitative", "scale": {"type": "log"}, "axis": axis}
    encoding = {
        "x": x, "y": y, "xOffset": {"field": "way", "sort": order},
        "color": {"field": "way", "type": "nominal", "sort": order, "legend": {"title": None, "labelLimit": 300}},
    }  # fmt: skip
    layer = [
        {"mark": {"type": "point", "filled": True, "size": 70, "opacity": 1}, "encoding": encoding},
        {
            "mark": {"type": "text", "dy": -10},
            "encoding": encoding | {"text": {"field": "label"}},
        },
    ]
    view = {"data": {"values": points}, "width": 560, "height": 300, "layer": layer}
    return Chart("Gemma 3 270M by grid, mean of French, Russian, Chinese and Swahili", view)


def numbers_of_prose() -> dict[str, str]:
    """The numbers of the prose, of the committed scores."""
    scores = read_arrays(SCORES)
    return numbers(scores, results(all_claims(scores)))


def prose_and_tables(scores: Scores) -> tuple[dict[str, str], dict[str, str]]:
    """The numbers of the prose, and the tables, by their names on the pages."""
    claims = all_claims(scores)
    judged = results(claims)
    tables = {
        "claims": claim_table(judged),
        "rises": rise_table(scores),
        "floors": floor_table(scores),
        "coverage": coverage_table(claims),
    }
    return numbers(scores, judged), tables


def written(page: str, prose: Mapping[str, str], tables: Mapping[str, str]) -> str:
    """The page with these numbers, and with those of the tables that it has."""
    for name, table in tables.items():
        if (begin := f"<!-- {name} -->\n\n") in page:
            page = with_table(page, begin, table)
    return with_numbers(page, prose)


def main() -> None:
    """Writes all of it."""
    scores = read_arrays(SCORES)
    CELLS.write_text(csv(scores), "utf-8")
    prose, tables = prose_and_tables(scores)
    for page in PAGES:
        page.write_text(written(page.read_text("utf-8"), prose, tables), "utf-8")
    for name, chart in {"languages": by_language(scores), "bits": by_bits(scores)}.items():
        write_png(chart, FIGURES / f"four-bits-{name}.png")


if __name__ == "__main__":
    main()
