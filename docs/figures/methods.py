"""The tables and the picture of docs/guide/methods.md, from studies/methods.

python docs/figures/methods.py                writes them
python docs/figures/methods.py RUN RUN ... --shared RUN ...
    first collects workdirs of evaluated models into cells.json; without seconds of those that shared the machine
python docs/figures/methods.py --whole RUN ...
    first collects evaluations of the same models on all lines into whole.json
"""

import json
import sys
from pathlib import Path

import numpy as np
from cells import read, with_numbers, with_table, write
from sources import with_sources

from jaxprune.base.text import pipes
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.report.charts.chart import Chart, write_png

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "guide" / "methods.md"
CELLS = FIGURES.parents[1] / "studies" / "methods" / "cells.json"
WHOLE = CELLS.parent / "whole.json"
BEGIN = "<!-- studies/methods/cells.json -->\n\n"
BEGIN_WHOLE = "<!-- studies/methods/whole.json -->\n\n"
SETTINGS = ("criterion", "start", "refit", "group", "allocation")
DEFAULTS = {"group": "row", "allocation": "uniform", "combine": "sum", "samples": 100}
DRAWS = 10_000
# Cells of which the page says how much of Wanda's loss they remove.
REMOVED = {"refit": "wanda_refit_499", "distil": "refit_distil2"} | {
    f"window {blocks}": f"refit_window{blocks}" for blocks in (2, 4, 6)
}


def cell(run: Path, *, alone: bool) -> dict:
    """An evaluated run: its pattern ("50%" if unstructured), the settings that are not defaults, seconds if it ran
    alone, peak memory, and by language (log-probability, tokens) of each part.
    """
    parts = {
        code: np.stack([text.part_sums, text.part_tokens], axis=1).tolist()
        for code, text in open_evaluation(run).perplexities.items()
    }
    if not (run / "report.json").is_file():
        return {"parts": parts}
    report, config = (
        json.loads((run / name).read_text(encoding="utf-8"))
        for name in ("report.json", "config.json")
    )
    of_pruning = report.get("pruned", {}).get("config", config)
    settings = {name: of_pruning["pruning"].get(name) for name in SETTINGS}
    settings |= {name: of_pruning["calibration"][name] for name in ("combine", "samples")}
    pattern = of_pruning["pruning"]["pattern"]
    if "pruned" in report:
        recovery = config["recovery"]
        settings |= {"recovery": recovery["how"]}
        settings |= {name: recovery.get(name) for name in ("blocks", "stride")}
    return {
        "pattern": f"{report['sparsity']['overall']:.0%}" if pattern == "unstructured" else pattern,
        "settings": {k: v for k, v in settings.items() if v and v != DEFAULTS.get(k)},
        "seconds": report["seconds"]["total"] if alone else None,
        "memory": report["peak_memory_bytes"]["host"],
        "parts": parts,
    }


def rise(one: dict, other: dict) -> tuple[float, float, float]:
    """The mean over languages of the difference in log-perplexity, and its 95% interval by joint draws of parts."""
    count = max(len(parts) for parts in one["parts"].values())

    def parts_of(cell: dict, code: str) -> np.ndarray:
        """With zeros for last lines that fill no window of tokens, in languages of fewer tokens."""
        parts = np.array(cell["parts"][code])
        return np.pad(parts, ((0, count - len(parts)), (0, 0)))

    arrays = [(parts_of(one, code), parts_of(other, code)) for code in one["parts"]]
    drawn = np.random.default_rng(0).integers(0, count, (DRAWS, count))
    drawn[0] = np.arange(count)

    def loss(parts: np.ndarray) -> np.ndarray:
        return -parts[drawn, 0].sum(axis=1) / parts[drawn, 1].sum(axis=1)

    differences = np.mean([loss(a) - loss(b) for a, b in arrays], axis=0)
    return differences[0], *np.percentile(differences, [2.5, 97.5])


def name_of(settings: dict) -> str:
    """Settings as the page writes them: the criterion, then what differs from the defaults."""
    more = (f"{key}={value}" for key, value in settings.items() if key != "criterion")
    return ", ".join([settings["criterion"], *more])


def rows(cells: dict) -> list[tuple[dict, tuple[float, float, float]]]:
    """(cell, rise over the dense model), the smallest rise of each pattern first."""
    found = [(one, rise(one, cells["dense"])) for key, one in cells.items() if key != "dense"]
    return sorted(found, key=lambda row: (":" in row[0]["pattern"], row[0]["pattern"], row[1][0]))


def perplexity(parts: list) -> float:
    """Of all parts together."""
    sums, tokens = np.sum(parts, axis=0)
    return float(np.exp(-sums / tokens))


def table(cells: dict) -> str:
    """A row for each cell, in Markdown."""
    codes = [*cells["dense"]["parts"]]
    heading = ["pattern", "settings", "seconds", "GB", *codes, "log-perplexity above dense"]
    shown = [heading, ["---", "---", *["---:"] * (len(heading) - 2)]]
    dense = [f"{perplexity(cells['dense']['parts'][code]):.1f}" for code in codes]
    shown.append(["dense", "", "", "", *dense, "0"])
    for one, (middle, low, high) in rows(cells):
        shown.append(
            [
                one["pattern"],
                f"`{name_of(one['settings'])}`",
                "" if one["seconds"] is None else f"{one['seconds']:.0f}",
                f"{one['memory'] / 1e9:.1f}",
                *(f"{perplexity(one['parts'][code]):.1f}" for code in codes),
                f"{middle:.3f} [{low:.3f}, {high:.3f}]",
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def picture(cells: dict) -> Chart:
    """A line for each cell with seconds: its rise in log-perplexity, and beside it its seconds."""
    values = [
        {
            "seconds": one["seconds"], "rise": middle, "low": low, "high": high,
            "name": f"{name_of(one['settings'])} ({one['pattern']})", "pattern": one["pattern"],
        }
        for one, (middle, low, high) in rows(cells)
        if one["seconds"] is not None
    ]  # fmt: skip
    y = {"field": "name", "type": "nominal", "sort": None}
    names = y | {"axis": {"title": None, "labelLimit": 600, "grid": True}}
    colour = {"field": "pattern", "type": "nominal", "legend": None}

    def along(field: str, title: str) -> dict:
        scale = {"type": "log", "nice": False, "padding": 12}
        axis = {"title": title, "labelOverlap": True, "labelSeparation": 6}
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}

    rise_axis = along("rise", "log-perplexity above the dense model")
    interval = {"x": rise_axis | {"field": "low"}, "x2": {"field": "high"}}
    losses = [
        {"mark": "rule", "encoding": {"y": names, "color": colour, **interval}},
        {
            "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
            "encoding": {"y": names, "color": colour, "x": rise_axis},
        },
    ]
    seconds = {
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
        "encoding": {
            "y": y | {"axis": {"title": None, "labels": False, "ticks": False, "grid": True}},
            "color": colour, "x": along("seconds", "seconds on two cores"),
        },
    }  # fmt: skip
    height = {"height": {"step": 20}}
    panels = [{"width": 360, **height, "layer": losses}, {"width": 160, **height, **seconds}]
    view = {"data": {"values": values}, "hconcat": panels}
    return Chart("Gemma 3 270M: loss and cost of methods; bars: 95% over lines", view)


def whole_table(cells: dict, whole: dict) -> str:
    """A row for each model that was evaluated on all lines, with the settings of its cell, in Markdown."""
    codes = [*whole["dense"]["parts"]]
    heading, shown = ["settings", *codes, "log-perplexity above dense"], []
    for name, one in whole.items():
        values = [f"{perplexity(one['parts'][code]):.1f}" for code in codes]
        if name == "dense":
            shown.append([name, *values, "0"])
            continue
        middle, low, high = rise(one, whole["dense"])
        settings = f"`{name_of(cells[name]['settings'])}`"
        shown.append([settings, *values, f"{middle:.3f} [{low:.3f}, {high:.3f}]"])
    return "\n".join(pipes(heading, shown)) + "\n"


def numbers(cells: dict, whole: dict) -> dict[str, str]:
    """Numbers of the page's prose by name: differences of log-perplexity with their intervals, and shares."""
    pairs = {
        "owl − uniform, sum": ("sparsegpt_owl", "sparsegpt"),
        "owl − uniform, mean": ("sparsegpt_owl_mean", "sparsegpt_mean"),
        "swaps − wanda, 2:4": ("swaps_24", "wanda_24"),
        "swaps − sparsegpt, 2:4": ("swaps_sparsegpt_24", "sparsegpt_24"),
        "swaps − wanda, 50%": ("swaps50_wanda", "wanda"),
        "swaps − sparsegpt, 50%": ("swaps50_sparsegpt", "sparsegpt"),
        "swaps after wanda − sparsegpt, 50%": ("swaps50_wanda", "sparsegpt"),
        "wanda with refit − sparsegpt, 2:4": ("wanda_24_refit", "sparsegpt_24"),
        "wanda with refit − sparsegpt, 50%": ("wanda_refit", "sparsegpt"),
    }
    changes = {name: rise(cells[one], cells[other]) for name, (one, other) in pairs.items()}
    distance = rise(cells["sparsegpt_24"], cells["wanda_24"])[0]
    shares = {"swaps of the distance, 2:4": changes["swaps − wanda, 2:4"][0] / distance}
    for name, key in REMOVED.items():
        left = rise(whole[key], whole["dense"])[0] / rise(whole["wanda"], whole["dense"])[0]
        shares[f"{name}, removed on all lines"] = 1 - left
    window, distil = (cells[REMOVED[name]]["memory"] for name in ("window 2", "distil"))
    shares["window 2, memory"] = window / distil
    return {
        name: f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "\N{MINUS SIGN}")
        for name, (mean, low, high) in changes.items()
    } | {name: f"{share:.0%}" for name, share in shares.items()}


def written(page: str, cells: dict, whole: dict) -> str:
    """The page with the tables of these cells."""
    page = with_numbers(with_table(page, BEGIN, table(cells)), numbers(cells, whole))
    return with_sources(with_table(page, BEGIN_WHOLE, whole_table(cells, whole)))


def main(arguments: list[str]) -> None:
    """Collects runs, if any, and writes the page's tables and the picture."""
    cells, whole = read(CELLS), read(WHOLE)
    if arguments[:1] == ["--whole"]:
        whole |= {Path(run).name: cell(Path(run), alone=False) for run in arguments[1:]}
        write(WHOLE, whole)
    elif arguments:
        shared = arguments.index("--shared") if "--shared" in arguments else len(arguments)
        runs = [argument for argument in arguments if argument != "--shared"]
        cells |= {Path(run).name: cell(Path(run), alone=i < shared) for i, run in enumerate(runs)}
        write(CELLS, cells)
    page = written(PAGE.read_text(encoding="utf-8"), cells, whole)
    PAGE.write_text(page, encoding="utf-8")
    write_png(picture(cells), FIGURES / "methods.png")


if __name__ == "__main__":
    main(sys.argv[1:])
