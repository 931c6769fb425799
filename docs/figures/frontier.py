"""The table and the picture of docs/frontier.md, from studies/frontier/cells.json.

python docs/figures/frontier.py                 writes both
python docs/figures/frontier.py SPEEDS NAME=RUN=FILES[,FILES] ...
    first collects rows: an evaluated workdir, and the model's folder or .gguf files in SPEEDS, the file that
    benchmarks/smaller.py --json writes; the first of them has the row's size
"""

import json
import sys
from pathlib import Path

from cells import read, with_table, write

from jaxprune.charts import Chart, write_png

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "frontier.md"
CELLS = FIGURES.parents[1] / "studies" / "frontier" / "cells.json"
BEGIN = "<!-- studies/frontier/cells.json -->\n\n"
PROGRAMS = ("transformers", "llama.cpp")
TICKS = [0, 1, 2, 5, 10, 20, 50, 100]
RATES = ("generate, tokens/s", "score, tokens/s")


def cell(run: Path, files: list[str], speeds: dict) -> dict:
    """A row: gigabytes of its files, bits per byte by language, and rates by program."""
    text = json.loads((run / "perplexity" / "metrics.json").read_text(encoding="utf-8"))
    rates = {
        PROGRAMS[file.endswith(".gguf")]: {name: speeds[file][name] for name in RATES}
        for file in files
        if RATES[0] in speeds[file]
    }
    return {
        "gigabytes": speeds[files[0]]["files, GB"],
        "bits": {code: found["bits_per_byte"] for code, found in text["languages"].items()},
        "rates": rates,
    }


def rises(one: dict, dense: dict) -> dict[str, float]:
    """By language, the share by which bits per byte are above the dense model's."""
    return {code: one["bits"][code] / bits - 1 for code, bits in dense["bits"].items()}


def mean_rise(one: dict, dense: dict) -> float:
    """Mean over the languages."""
    found = rises(one, dense)
    return sum(found.values()) / len(found)


def rate(one: dict, program: str, name: str, dense: dict) -> float | None:
    """A rate over the dense model's in the same program; None if it was not measured."""
    if program not in one["rates"]:
        return None
    return one["rates"][program][name] / dense["rates"][program][name]


def table(cells: dict) -> str:
    """A row for each cell, in Markdown, the largest files first."""
    dense = cells["dense"]
    codes = [*dense["bits"]]
    heading = ["model", "GB", *(f"bits {code}" for code in codes), "mean"]
    heading += [f"{program}: {name.split(',')[0]}" for program in PROGRAMS for name in RATES]
    shown = [heading, ["---", *["---:"] * (len(heading) - 1)]]
    for name, one in sorted(cells.items(), key=lambda row: -row[1]["gigabytes"]):
        rates = (rate(one, program, of, dense) for program in PROGRAMS for of in RATES)
        above = [*rises(one, dense).values(), mean_rise(one, dense)]
        shown.append(
            [
                name,
                f"{one['gigabytes']:.2f}",
                *(f"{100 * value:+.1f}".replace("-0.0", "+0.0") for value in above),
                *("" if value is None else f"{value:.2f}" for value in rates),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def picture(cells: dict) -> Chart:
    """A labelled point for each row: size of its files, and rise of bits per byte."""
    dense = cells["dense"]
    values = [
        {"name": name, "size": one["gigabytes"], "rise": 100 * mean_rise(one, dense)}
        for name, one in cells.items()
    ]
    size = {"type": "log", "nice": False, "padding": 30}
    place = {
        "x": {
            "field": "size", "type": "quantitative", "scale": size,
            "axis": {"title": "size of the files, GB (log)"},
        },
        "y": {
            "field": "rise", "type": "quantitative", "scale": {"type": "symlog"},
            "axis": {"title": "rise of bits per byte, %, mean of the languages", "values": TICKS},
        },
    }  # fmt: skip
    point = {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}, "encoding": place}
    label = {
        "mark": {"type": "text", "align": "left", "dx": 7, "dy": -6, "fontSize": 11},
        "encoding": {**place, "text": {"field": "name"}},
    }
    view = {"data": {"values": values}, "width": 640, "height": 380, "layer": [point, label]}
    return Chart("Gemma 3 270M for en fr ru zh sw: lower left is better", view)


def written(page: str, cells: dict) -> str:
    """The page with the table of these cells."""
    return with_table(page, BEGIN, table(cells))


def main(arguments: list[str]) -> None:
    """Collects rows, if any, and writes the page's table and the picture."""
    cells = read(CELLS)
    if arguments:
        speeds = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        for row in arguments[1:]:
            name, run, files = row.split("=")
            cells[name] = cell(Path(run), files.split(","), speeds)
        CELLS.parent.mkdir(exist_ok=True)
        write(CELLS, cells)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), cells), encoding="utf-8")
    write_png(picture(cells), FIGURES / "frontier.png")


if __name__ == "__main__":
    main(sys.argv[1:])
