"""The tables and pictures of docs/frontier.md, from studies/frontier/<model>.json.

python docs/figures/frontier.py                 writes them
python docs/figures/frontier.py MODEL SPEEDS DENSE NAME=RUN=FILES[,FILES] ...
    first collects rows of a model: an evaluated workdir, and the model's folder or .gguf files in SPEEDS, the file that
    benchmarks/smaller.py --json writes, with the dense model's first; the first file of a row has its size. DENSE is
    the dense model's workdir
"""

import json
import sys
from pathlib import Path

from cells import read, with_table, write

from jaxprune.charts import Chart, write_png
from jaxprune.evaluation import open_evaluation
from jaxprune.evaluation.changes import MEAN, mean_changes
from jaxprune.evaluation.shared_rows import shared_rows
from jaxprune.tables import pipes

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "frontier.md"
CELLS = FIGURES.parents[1] / "studies" / "frontier"
MODELS = {"gemma3-270m": "Gemma 3 270M", "qwen2.5-coder-0.5b": "Qwen2.5-Coder 0.5B"}
PROGRAMS = ("transformers", "llama.cpp")
# The models of the summary at the top of the README.
SHORT = {
    "dense, F16": "dense, 16 bits",
    "dense, Q8_0": "8 bits",
    "dense, Q4_0": "4 bits",
    "words, Q8_0": "fewer tokens, 8 bits",
    "words, 16 layers, recovered, Q8_0": "fewer tokens and layers, 8 bits",
}
TICKS = [0, 1, 2, 5, 10, 20, 50, 100]
RATES = ("generate, tokens/s", "score, tokens/s")


def cell(run: Path, files: list[str], speeds: dict, dense: Path) -> dict:
    """A row: gigabytes of its files, bits per byte by language, and by program its rates over those of the first model
    of the program. If XNLI was evaluated, also its discrimination, mean of the languages, and how much this differs
    from the dense model's, with the interval over premises.
    """
    texts = open_evaluation(run).perplexities
    first = {program_of(file): found for file, found in reversed(speeds.items())}
    rates = {
        program_of(file): {
            name: speeds[file][name] / first[program_of(file)][name] for name in RATES
        }
        for file in files
    }
    return {
        "gigabytes": speeds[files[0]]["files, GB"],
        "bits": {code: text.bits_per_byte for code, text in texts.items()},
        "rates": rates,
        "discrimination": discrimination(run, dense) if (run / "xnli").is_dir() else None,
    }


def discrimination(run: Path, dense: Path) -> list[float | None]:
    """On XNLI, mean of the languages: the run's, its difference from the dense model's, and the interval of that."""
    a, b = (open_evaluation(folder).scored("xnli") for folder in (dense, run))
    pairs = {}
    for code in a:
        base, other = shared_rows(f"xnli/{code}", {"dense": a[code], "run": b[code]}).values()
        pairs[code] = base, other
    changes = mean_changes(("run", "dense", "xnli"), MEAN, pairs, seed=0)
    change = next(change for change in changes if change.measure == "discrimination")
    return [change.value, change.difference, change.low, change.high]


def program_of(file: str) -> str:
    """The program that runs a file or folder."""
    return PROGRAMS[file.endswith(".gguf")]


def rises(one: dict, dense: dict) -> dict[str, float]:
    """By language, the share by which bits per byte are above the dense model's."""
    return {code: one["bits"][code] / bits - 1 for code, bits in dense["bits"].items()}


def mean_rise(one: dict, dense: dict) -> float:
    """Mean over the languages."""
    found = rises(one, dense)
    return sum(found.values()) / len(found)


def rate(one: dict, program: str, name: str) -> float | None:
    """A rate over the dense model's in the same program; None if it was not measured."""
    return one["rates"].get(program, {}).get(name)


def change_of(one: dict, dense: dict) -> str:
    """The change in discrimination in points with its interval; of the dense model, discrimination itself."""
    if not one["discrimination"]:
        return ""
    share, *change = (100 * value for value in one["discrimination"])
    if one is dense:
        return f"{share:.1f}%"
    difference, low, high = (f"{value:+.1f}" for value in change)
    return f"{difference} [{low}, {high}]"


def table(cells: dict) -> str:
    """A row for each cell, in Markdown, the largest files first."""
    dense = cells["dense"]
    codes = [*dense["bits"]]
    heading = ["model", "GB", *(f"bits {code}" for code in codes), "mean", "XNLI"]
    heading += [f"{program}: {name.split(',')[0]}" for program in PROGRAMS for name in RATES]
    shown = []
    for name, one in sorted(cells.items(), key=lambda row: -row[1]["gigabytes"]):
        rates = (rate(one, program, of) for program in PROGRAMS for of in RATES)
        above = [*rises(one, dense).values(), mean_rise(one, dense)]
        shown.append(
            [
                name,
                f"{one['gigabytes']:.2f}",
                *(f"{100 * value:+.1f}".replace("-0.0", "+0.0") for value in above),
                change_of(one, dense),
                *("" if value is None else f"{value:.2f}" for value in rates),
            ]
        )
    return "\n".join(pipes(heading, shown)) + "\n"


def picture(model: str, cells: dict) -> Chart:
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
    view = {"data": {"values": values}, "width": 640, "height": 460, "layer": [point, label]}
    return Chart(f"{MODELS[model]} for en fr ru zh sw: lower left is better", view)


def summary(cells: dict) -> Chart:
    """Three panels with a row for each of a few models: size, speed in llama.cpp, and loss by language."""
    dense, names = cells["dense"], {key: name for key, name in SHORT.items() if key in cells}
    y = {"field": "name", "type": "nominal", "sort": [*names.values()]}
    named = y | {"axis": {"title": None, "labelLimit": 300, "ticks": False, "domain": False}}
    bare, height = y | {"axis": None}, {"step": 30}

    def bars(values: list[float], title: str, digits: str, place: dict) -> dict:
        rows = [{"name": n, "value": v} for n, v in zip(names.values(), values, strict=True)]
        x = {"field": "value", "type": "quantitative", "title": title, "axis": {"grid": False}}
        text = {"field": "value", "type": "quantitative", "format": digits}
        label = {"type": "text", "align": "left", "dx": 4}
        layer = [
            {"mark": {"type": "bar", "height": 16}, "encoding": {"x": x, "y": place}},
            {"mark": label, "encoding": {"x": x, "y": place, "text": text}},
        ]
        return {"data": {"values": rows}, "width": 170, "height": height, "layer": layer}

    losses = [
        {"name": name, "language": code, "loss": 100 * rise, "text": f"{100 * max(rise, 0):.1f}%"}
        for key, name in names.items()
        for code, rise in rises(cells[key], dense).items()
    ]
    scale = {"type": "linear", "domain": [0, 20], "range": ["#ffffff", "#f28e8c"], "clamp": True}
    colour = {"field": "loss", "type": "quantitative", "scale": scale, "legend": None}
    axis = {"title": "more bits per byte of text", "labelAngle": 0, "ticks": False, "domain": False}
    x = {"field": "language", "type": "nominal", "sort": [*dense["bits"]], "axis": axis}
    layer = [
        {"mark": "rect", "encoding": {"x": x, "y": bare, "color": colour}},
        {"mark": "text", "encoding": {"x": x, "y": bare, "text": {"field": "text"}}},
    ]
    heat = {"data": {"values": losses}, "width": {"step": 52}, "height": height, "layer": layer}
    speeds = [rate(cells[key], "llama.cpp", RATES[0]) or 0.0 for key in names]
    panels = [
        bars([cells[key]["gigabytes"] for key in names], "size, GB", ".2f", named),
        bars(speeds, "tokens/s in llama.cpp, dense = 1", ".1f", bare),
        heat,
    ]
    title = "Gemma 3 270M for English, French, Russian, Chinese and Swahili"
    return Chart(title, {"hconcat": panels})


def read_all() -> dict[str, dict]:
    """The cells of each model that has some."""
    found = {model: read(CELLS / f"{model}.json") for model in MODELS}
    return {model: cells for model, cells in found.items() if cells}


def written(page: str, by_model: dict[str, dict]) -> str:
    """The page with the tables of these cells."""
    for model, cells in by_model.items():
        page = with_table(page, f"<!-- studies/frontier/{model}.json -->\n\n", table(cells))
    return page


def main(arguments: list[str]) -> None:
    """Collects rows, if any, and writes the page's tables and the pictures."""
    if arguments:
        model, speeds, dense, *rows = arguments
        cells = read(CELLS / f"{model}.json")
        found = json.loads(Path(speeds).read_text(encoding="utf-8"))
        for row in rows:
            name, run, files = row.split("=")
            cells[name] = cell(Path(run), files.split(","), found, Path(dense))
        write(CELLS / f"{model}.json", cells)
    by_model = read_all()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), by_model), encoding="utf-8")
    for model, cells in by_model.items():
        write_png(picture(model, cells), FIGURES / f"frontier-{model}.png")
    write_png(summary(by_model["gemma3-270m"]), FIGURES / "smaller.png")


if __name__ == "__main__":
    main(sys.argv[1:])
