"""The tables and pictures of docs/frontier.md, from studies/frontier/<model>.json.

python docs/figures/frontier.py                 writes them
python docs/figures/frontier.py MODEL SPEEDS DENSE NAME=RUN=FILES[,FILES] ...
    first collects rows of a model: an evaluated workdir, and the model's folder or .gguf files in SPEEDS, the file that
    benchmarks/smaller.py --json writes, with the dense model's first; the first file of a row has its size. DENSE is
    the dense model's workdir. NAME=RUN is the evaluation of a quantized row on weights off the source file's grid; the
    values that the row had stand beside it. NAME==FILES has new rates of a row, of files with its shapes and types
"""

import json
import sys
from pathlib import Path

import numpy as np
from cells import bits_per_byte, read, with_numbers, with_table, write
from sources import FILE as SOURCES
from sources import with_sources

from jaxprune.base.text import pipes
from jaxprune.evaluation.changes import MEAN
from jaxprune.evaluation.in_memory import compare
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart, write_png

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "frontier.md"
CELLS = FIGURES.parents[1] / "studies" / "frontier"
MODELS = {"gemma3-270m": "Gemma 3 270M", "qwen2.5-coder-0.5b": "Qwen2.5-Coder 0.5B"}
PROGRAMS = ("transformers", "llama.cpp")
SOURCE = "source file"
DETECTED = (1.960 + 0.842) / 1.960  # of half an interval of 95%, with a power of 80%
# The models of the summary at the top of the README.
SHORT = {
    "dense, F16": "dense, 16 bits",
    "dense, Q8_0": "8 bits",
    "dense, Q4_0": "4 bits",
    "words, Q8_0": "fewer tokens, 8 bits",
    "words, 0.15 GB, GPTQ": "fewer tokens, 4 to 8 bits by language",
}
TICKS = [0, 1, 2, 5, 10, 20, 50, 100]
# Of the pictures of single models, in pixels: plot, text, radius of a point.
WIDTH, HEIGHT, LABEL, DOT = 640, 460, 11, 5
PADDING = 8  # of the axis of sizes at both ends, see `theme.number_axis`
SHIFTS = (0, -8, 8, -16, 16, -24, 24)  # of a label up or down
RATES = ("generate, tokens/s", "score, tokens/s")


def cell(run: Path, files: list[str], speeds: dict, dense: Path) -> dict:
    """A row: gigabytes of its files, bits per byte by language, and by program its rates over those of the first model
    of the program. If XNLI was evaluated, also its discrimination, mean of the languages, and how much this differs
    from the dense model's, with the interval over premises.
    """
    return {
        "gigabytes": speeds[files[0]]["files, GB"],
        "bits": bits_per_byte(run),
        "rates": rates_of(files, speeds),
        "discrimination": discrimination(run, dense) if (run / "xnli").is_dir() else None,
    }


def rates_of(files: list[str], speeds: dict) -> dict[str, dict[str, float]]:
    """By program, the rates of a row's files over those of the first model of the program."""
    first = {program_of(file): found for file, found in reversed(speeds.items())}
    return {
        program_of(file): {
            name: speeds[file][name] / first[program_of(file)][name] for name in RATES
        }
        for file in files
    }


def discrimination(run: Path, dense: Path) -> list[float | None]:
    """On XNLI, mean of the languages: the run's, its difference from the dense model's, and the interval of that."""
    [change] = [
        row
        for row in compare(dense, run).changes
        if (row.task, row.measure, row.language) == ("xnli", "discrimination", MEAN)
    ]
    return [change.value, change.difference, change.low, change.high]


def program_of(file: str) -> str:
    """The program that runs a file or folder."""
    return PROGRAMS[file.endswith(".gguf")]


def rises(one: dict, dense: dict, weights: str = "bits") -> dict[str, float]:
    """By language, the share by which bits per byte are above the dense model's.

    Args:
      weights: "on_grid" for those of a quantized model whose weights were on the grid of the source file.
    """
    return {code: one[weights][code] / bits - 1 for code, bits in dense["bits"].items()}


def mean_rise(one: dict, dense: dict, weights: str = "bits") -> float:
    """Mean over the languages."""
    found = rises(one, dense, weights)
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
    heading = ["model", "GB", *(f"bits {code}" for code in codes), "mean", "on grid", "XNLI"]
    heading += [f"{program}: {name.split(',')[0]}" for program in PROGRAMS for name in RATES]
    shown = []
    for name, one in sorted(cells.items(), key=lambda row: -row[1]["gigabytes"]):
        rates = (rate(one, program, of) for program in PROGRAMS for of in RATES)
        above = [*rises(one, dense).values(), mean_rise(one, dense)]
        on_grid = [mean_rise(one, dense, "on_grid")] if "on_grid" in one else []
        shown.append(
            [
                name,
                f"{one['gigabytes']:.2f}",
                *(f"{100 * value:+.1f}".replace("-0.0", "+0.0") for value in (*above, *on_grid)),
                *([] if on_grid else [""]),
                change_of(one, dense),
                *("" if value is None else f"{value:.2f}" for value in rates),
            ]
        )
    return "\n".join(pipes(heading, shown)) + "\n"


def picture(model: str, cells: dict) -> Chart:
    """A labelled point for each row: size of its files, and rise of bits per byte."""
    dense = cells["dense"]
    sizes = [one["gigabytes"] for one in cells.values()]
    rises = [100 * mean_rise(one, dense) for one in cells.values()]
    ends = {"x": (0.93 * min(sizes), 1.07 * max(sizes)), "y": (0.0, 1.1 * max(rises))}
    at_x = np.interp(np.log(sizes), np.log(ends["x"]), (PADDING, WIDTH - PADDING))
    at_y = np.interp(np.log1p(np.maximum(rises, 0)), np.log1p(ends["y"]), (HEIGHT, 0))
    places = label_places(list(zip(at_x, at_y, strict=True)), list(cells))
    values = [
        {"name": name, "size": size, "rise": max(rise, 0), "text_x": x, "text_y": y}
        for name, size, rise, (x, y) in zip(cells, sizes, rises, places, strict=True)
    ]
    size = theme.number_axis("size", ends["x"], title="size of the files, GB", log=True)
    size["axis"] |= {"grid": False}
    scale = {"type": "symlog", "domain": list(ends["y"]), "nice": False}
    title = "rise of bits per byte, %, mean of the languages"
    rise = {"field": "rise", "type": "quantitative", "scale": scale}
    rise |= {"axis": {"title": title, "values": TICKS}}
    point = {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}}
    text = {
        axis: {"field": f"text_{axis}", "type": "quantitative", "scale": None, "axis": None}
        for axis in "xy"
    }
    label = {"mark": {"type": "text", "align": "left", "fontSize": LABEL}}
    layer = [
        point | {"encoding": {"x": size, "y": rise}},
        label | {"encoding": {**text, "text": {"field": "name"}}},
    ]
    view = {"data": {"values": values}, "width": WIDTH, "height": HEIGHT, "layer": layer}
    return Chart(f"{MODELS[model]} for en fr ru zh sw: lower left is better", view)


def label_places(points: list[tuple[float, float]], names: list[str]) -> list[tuple[float, float]]:
    """Left end and middle of the label of each point, in pixels: beside its point, and free of others.

    Each label takes the first place around its point that overlaps neither a point nor an earlier label.
    """
    taken = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    places = dict.fromkeys(range(len(points)), (0.0, 0.0))
    for place in sorted(places, key=lambda place: points[place][1]):  # from the top
        (x, y), width = points[place], len(names[place]) * theme.CHARACTER * LABEL / theme.FONT_SIZE
        sides = [(x + 2 * DOT, y + dy) for dy in SHIFTS]
        sides += [(x - 2 * DOT - width, y + dy) for dy in SHIFTS]
        boxes = [(left, top - 6, left + width, top + 6) for left, top in sides]
        free = [not any(_overlap(box, other) for other in taken) for box in boxes]
        best = free.index(True) if True in free else 0
        taken.append(boxes[best])
        places[place] = sides[best]
    return list(places.values())


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def summary(cells: dict) -> Chart:
    """Three panels with a row for each of a few models: size, speed in llama.cpp, and loss by language."""
    dense, names = cells["dense"], {key: name for key, name in SHORT.items() if key in cells}
    y = {"field": "name", "type": "nominal", "sort": [*names.values()]}
    named = y | {"axis": {"title": None, "labelLimit": 300, "ticks": False, "domain": False}}
    bare, height = y | {"axis": None}, {"step": 30}

    def bars(values: list[float], title: str, digits: str, place: dict) -> dict:
        rows = [{"name": n, "value": v} for n, v in zip(names.values(), values, strict=True)]
        axis = {"grid": False, "tickCount": 3}
        x = {"field": "value", "type": "quantitative", "title": title, "axis": axis}
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
    return {
        model: cells | {SOURCE: source_row(model, cells["dense"])}
        for model, cells in found.items()
        if cells
    }


def source_row(model: str, dense: dict) -> dict:
    """The file from which the dense model was converted: its size, and by definition no loss."""
    size = read(SOURCES)[model]["gigabytes"]
    return {"gigabytes": size, "bits": dense["bits"], "rates": {}, "discrimination": None}


def detectable(by_model: dict[str, dict]) -> str:
    """The changes of discrimination that are detected with a power of 80%, in points, by the widths of the intervals.

    Models with fewer tokens alone score the texts of XNLI as the dense model does; their intervals say nothing.
    """
    changes = [
        100 * DETECTED * (high - low) / 2
        for cells in by_model.values()
        for name, one in cells.items()
        if one["discrimination"] and name not in ("dense", "words")
        for low, high in [one["discrimination"][2:]]
    ]
    return f"{min(changes):.1f} to {max(changes):.1f} points, median {np.median(changes):.1f}"


def written(page: str, by_model: dict[str, dict]) -> str:
    """The page with the tables of these cells."""
    for model, cells in by_model.items():
        page = with_table(page, f"<!-- studies/frontier/{model}.json -->\n\n", table(cells))
    return with_sources(with_numbers(page, {"detectable": detectable(by_model)}))


def main(arguments: list[str]) -> None:
    """Collects rows, if any, and writes the page's tables and the pictures."""
    if arguments:
        model, speeds, dense, *rows = arguments
        cells = read(CELLS / f"{model}.json")
        found = json.loads(Path(speeds).read_text(encoding="utf-8"))
        for row in rows:
            name, run, *files = row.split("=")
            listed = files[0].split(",") if files else []
            if not run:
                cells[name]["rates"] |= rates_of(listed, found)
            elif listed:
                cells[name] = cell(Path(run), listed, found, Path(dense))
            else:
                before = cells[name].get("on_grid", cells[name]["bits"])
                cells[name] |= {"bits": bits_per_byte(Path(run)), "on_grid": before}
        write(CELLS / f"{model}.json", cells)
    by_model = read_all()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), by_model), encoding="utf-8")
    for model, cells in by_model.items():
        write_png(picture(model, cells), FIGURES / f"frontier-{model}.png")
    write_png(summary(by_model["gemma3-270m"]), FIGURES / "smaller.png")


if __name__ == "__main__":
    main(sys.argv[1:])
