"""The tables and the picture of docs/guide/quantize.md, from studies/quantization.

python docs/figures/quantize.py                       writes them
python docs/figures/quantize.py [--qwen] RUN RUN ...  first collects evaluations, of Gemma or of Qwen
    RUN is a folder with eval/, named HOW-CALIBRATION-DRAW, such as gptq-five-0, for a grid other than Q4_0
    HOW_GRID-CALIBRATION-DRAW, and for the dense model and nearest without the last parts
"""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from cells import collected, with_numbers, with_table

from jaxprune.base.text import pipes
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.scoring.mixed_effects import mixed_model
from jaxprune.report.charts.chart import Chart, write_png

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "guide" / "quantize.md"
CELLS = FIGURES.parents[1] / "studies" / "quantization" / "cells.json"
QWEN_CELLS = CELLS.with_name("qwen.json")
BEGIN = "<!-- studies/quantization/{} -->\n\n"
LANGUAGES = {"en": "English", "fr": "French", "ru": "Russian", "zh": "Chinese", "sw": "Swahili"}
OWN, FIVE, ENGLISH, GENERATED = "own", "five", "en", "generated"
CALIBRATIONS = {
    ENGLISH: "English",
    OWN: "the language itself",
    FIVE: "all five",
    GENERATED: "text that the model writes in all five",
}
METHODS = ("search", "importance", "gptq")
SHOWN = [("nearest", ""), ("importance", FIVE), ("gptq", ENGLISH), ("gptq", OWN), ("gptq", FIVE)]


def cell(run: Path) -> dict:
    """By language, the log-probability of each part of the text."""
    texts = open_evaluation(run / "eval").perplexities
    return {code: text.part_sums.tolist() for code, text in texts.items()}


def rises(cells: dict, how: str, calibration: str, code: str) -> np.ndarray | None:
    """By draw and part of the text, 100 times the rise of bits over the mean bits of a part; None without a run.

    The mean over parts is the rise of the bits of the whole text, in %.
    """
    calibrated_on = code if calibration == OWN else calibration
    keys = (
        [how]
        if not calibration
        else sorted(k for k in cells if k.startswith(f"{how}-{calibrated_on}-"))
    )
    draws = [cells[key][code] for key in keys if code in cells.get(key, {})]
    if not draws:
        return None
    dense = np.array(cells["dense"][code])
    return 100 * (np.array(draws) - dense) / dense.mean()


def mean_and_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean, with its 95% interval over draws and parts; over parts alone for one draw."""
    interval = mixed_model(values if len(values) > 1 else np.repeat(values, 2, axis=0))
    assert interval is not None
    return float(values.mean()), *interval[0]


def table(cells: dict) -> str:
    """A row for each rounding and calibration, in Markdown."""
    rows = []
    for how, calibration in rounded(cells):
        name, _, grid = how.partition("_")
        found = {code: rises(cells, how, calibration, code) for code in LANGUAGES}
        counts = [len(values) for values in found.values() if values is not None]
        draws = " to ".join(dict.fromkeys(f"{count}" for count in (min(counts), max(counts))))
        shown = [
            "" if v is None else "{:.1f} [{:.1f}, {:.1f}]".format(*mean_and_interval(v))
            for v in found.values()
        ]
        grid = (grid or "q4_0").upper()
        rows.append(
            [
                grid,
                f"`{name}`",
                CALIBRATIONS.get(calibration, ""),
                draws if calibration else "",
                *shown,
            ]
        )
    heading = ["grid", "`how`", "calibrated on", "draws", *LANGUAGES]
    return "\n".join(pipes(heading, rows)) + "\n"


def rounded(cells: dict) -> Iterator[tuple[str, str]]:
    """The roundings and calibrations that were measured, those of Q4_0 first."""
    grids = sorted({key.split("-")[0].partition("_")[2] for key in cells})
    for grid in grids:
        suffix = f"_{grid}" if grid else ""
        if f"nearest{suffix}" in cells:
            yield f"nearest{suffix}", ""
        for how in METHODS:
            for calibration in CALIBRATIONS:
                if any(key.startswith(f"{how}{suffix}-{calibration}-") for key in cells) or (
                    calibration == OWN
                    and any(key.startswith(f"{how}{suffix}-sw-") for key in cells)
                ):
                    yield f"{how}{suffix}", calibration


def numbers(cells: dict) -> dict[str, str]:
    """The numbers of the page's prose: rises, and the share of that of `nearest` that GPTQ removes."""

    def removed(calibration: str, codes: list[str], how: str = "gptq") -> str | None:
        shares = []
        for code in codes:
            nearest, other = (
                rises(cells, *way, code) for way in (("nearest", ""), (how, calibration))
            )
            if nearest is None or other is None:
                return None
            shares.append(100 * (1 - other.mean() / nearest.mean()))
        return f"{min(shares):.0f} to {max(shares):.0f}%"

    def rise(how: str, calibration: str = FIVE, decimals: int = 1) -> str | None:
        means = [rises(cells, how, calibration, code) for code in LANGUAGES]
        values = [mean.mean() for mean in means if mean is not None]
        return f"{min(values):.{decimals}f} to {max(values):.{decimals}f}%" if values else None

    def range_of_draws() -> str:
        """The largest difference between draws of a text, without compensation."""
        ways = itertools.product(("search", "importance"), (ENGLISH, FIVE), LANGUAGES)
        found = [rises(cells, *way) for way in ways]
        return f"{max(np.ptp(v.mean(axis=1)) for v in found if v is not None):.1f}"

    others = [code for code in LANGUAGES if code != ENGLISH]
    found = {
        "rise of nearest": rise("nearest", "", 0),
        "removed by five": removed(FIVE, [*LANGUAGES]),
        "removed by English elsewhere": removed(ENGLISH, others),
        "removed by own": removed(OWN, [*LANGUAGES]),
        "removed by generated": removed(GENERATED, [*LANGUAGES]),
        **{f"rise of {grid}": rise(f"gptq_{grid}") for grid in ("iq4_nl", "q5_0")},
        "rise of q4_0": rise("gptq"),
        "importance, five": removed(FIVE, [*LANGUAGES], "importance"),
        "importance, English": removed(ENGLISH, [*LANGUAGES], "importance"),
        "range of draws": range_of_draws() if "search-en-0" in cells else None,
    }
    return {name: text for name, text in found.items() if text is not None}


def picture(cells: dict) -> Chart:
    """The rise by language, a point with its interval for each rounding."""
    names = {
        ("nearest", ""): "nearest (llama.cpp without data)",
        ("importance", FIVE): "importance matrix of all five",
        ("gptq", ENGLISH): "GPTQ, English",
        ("gptq", OWN): "GPTQ, the language itself",
        ("gptq", FIVE): "GPTQ, all five",
    }
    values = []
    for code, language in LANGUAGES.items():
        for way in SHOWN:
            if (found := rises(cells, *way, code)) is not None:
                mean, low, high = mean_and_interval(found)
                values.append(
                    {
                        "language": language,
                        "way": names[way],
                        "rise": mean,
                        "low": low,
                        "high": high,
                    }
                )
    order = [*names.values()]
    shared = {
        "x": {
            "field": "language",
            "type": "nominal",
            "sort": [*LANGUAGES.values()],
            "axis": {"title": None, "labelAngle": 0},
        },
        "xOffset": {"field": "way", "sort": order},
        "color": {
            "field": "way",
            "type": "nominal",
            "sort": order,
            "legend": {"title": None, "labelLimit": 300},
        },
    }
    axis = {"title": "bits per byte above dense, %"}
    rise = {"field": "rise", "type": "quantitative", "axis": axis, "scale": {"zero": True}}
    layer = [
        {
            "mark": {"type": "rule"},
            "encoding": {**shared, "y": rise | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
            "encoding": {**shared, "y": rise},
        },
    ]
    view = {"data": {"values": values}, "width": 620, "height": 300, "layer": layer}
    return Chart("Gemma 3 270M in Q4_0: the same bytes, calibrated on different text", view)


def written(page: str, cells: dict, qwen_cells: dict) -> str:
    """The page with the tables and the numbers of these cells."""
    for file, own_cells in ((CELLS, cells), (QWEN_CELLS, qwen_cells)):
        page = with_table(page, BEGIN.format(file.name), table(own_cells))
    of_qwen = {f"Qwen, {name}": text for name, text in numbers(qwen_cells).items()}
    return with_numbers(page, numbers(cells) | of_qwen)


def main(runs: list[str]) -> None:
    """Collects evaluations, if any, and writes the page and its picture."""
    of_qwen = runs[:1] == ["--qwen"]
    cells = collected(CELLS, [] if of_qwen else runs, cell)
    qwen_cells = collected(QWEN_CELLS, runs[1:] if of_qwen else [], cell)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, cells, qwen_cells), encoding="utf-8")
    write_png(picture(cells), FIGURES / "quantize.png")


if __name__ == "__main__":
    main(sys.argv[1:])
