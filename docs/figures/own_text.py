"""The table of recoveries on the text of one language in docs/after_pruning.md, from studies/methods/own_text.json.

python docs/figures/own_text.py           writes it
python docs/figures/own_text.py FOLDER    first collects the models that studies/methods/own_text.sh made there
"""

import json
import sys
from pathlib import Path

import numpy as np
from cells import read, with_numbers, with_table, write
from methods import perplexity, rise

from jaxprune.base.text import pipes
from jaxprune.evaluation.folders import open_evaluation

PAGE = Path(__file__).parents[1] / "after_pruning.md"
CELLS = Path(__file__).parents[2] / "studies" / "methods" / "own_text.json"
# Of one run in French, where models are made one after the other: OUT/times of studies/methods/own_text.sh.
TIMES = CELLS.with_name("own_text_times.txt")
BEGIN = "<!-- studies/methods/own_text.json -->\n\n"
LANGUAGES = ("fr", "ru", "zh", "sw")
DENSE, TWICE, ONCE, ALLOCATED_ONCE = "dense", "twice", "once", "allocated_once"
PRUNED = {
    "sparsegpt": "SparseGPT, not recovered",
    "allocated": "SparseGPT with `allocation=predictions`, not recovered",
}
# In the order of the table; recoveries follow the pruned model from which they begin.
MODELS = ("sparsegpt", TWICE, ONCE, "allocated", ALLOCATED_ONCE)
SETTINGS = ("samples", "epochs", "batch")


def cell(folder: Path, name: str, seconds: dict[str, float]) -> dict:
    """By language (log-probability, tokens) of each part, and of recoveries the settings and CPU seconds."""
    parts, settings = {}, {}
    for code in LANGUAGES:
        run = folder / f"{name}_{code}"
        text = open_evaluation(run).perplexities[code]
        parts[code] = np.stack([text.part_sums, text.part_tokens], axis=1).tolist()
        if name in (TWICE, ONCE, ALLOCATED_ONCE):
            config = json.loads((run / "config.json").read_text("utf-8"))
            known = config["calibration"] | config["recovery"]
            settings = {setting: known[setting] for setting in SETTINGS}
    own = {code: seconds[f"{name}_{code}"] for code in LANGUAGES if f"{name}_{code}" in seconds}
    return {"parts": parts, **settings, "cpu_seconds": own}


def cpu_seconds(file: Path) -> dict[str, float]:
    """The CPU seconds of the models NAME_LANGUAGE of a file of times."""
    lines = (line.split() for line in file.read_text("utf-8").splitlines())
    return {line[0]: float(line[1]) for line in lines}


def collected(folder: Path) -> dict:
    """The cells of all models."""
    seconds = cpu_seconds(folder / "times")
    return {name: cell(folder, name, seconds) for name in (DENSE, *MODELS)}


def table(cells: dict) -> str:
    """A row for each model: perplexity over the dense model's, by language and as geometric mean."""
    heading = ["", *LANGUAGES, "mean [95%]", "CPU seconds"]
    names, rows = dict(PRUNED), []
    for name in MODELS:
        one, dense = cells[name], cells[DENSE]
        if name not in PRUNED:
            samples, epochs, batch = (one[setting] for setting in SETTINGS)
            times = {1: "once", 2: "twice"}[epochs]
            names[name] = f"{samples} samples, {times}, {batch} a step"
        ratios = (
            perplexity(one["parts"][code]) / perplexity(dense["parts"][code]) for code in LANGUAGES
        )
        used = one["cpu_seconds"].values()
        rows.append(
            [
                names[name],
                *(f"{ratio:.2f}" for ratio in ratios),
                _mean(cells, name),
                f"{np.mean([*used]):.0f}" if used else "",
            ]
        )
    return "\n".join(pipes(heading, rows)) + "\n"


def numbers(cells: dict) -> dict[str, str]:
    """Numbers of the page's prose by name."""
    once, twice = (np.mean([*cells[name]["cpu_seconds"].values()]) for name in (ONCE, TWICE))
    made = {f"own text, {name.replace('_', ' ')}": _mean(cells, name) for name in MODELS}
    french = cpu_seconds(TIMES)
    recovery = french["allocated_once_fr"] / french["twice_fr"]
    total = (french["allocated_once_fr"] + french["allocated_fr"]) / (
        french["twice_fr"] + french["sparsegpt_fr"]
    )
    return made | {
        "own text, time of once": f"{once / twice:.2f}",
        "own text, recovery after allocation": f"{recovery:.2f}",
        "own text, with pruning": f"{total:.2f}",
    }


def _mean(cells: dict, name: str) -> str:
    """Perplexity over the dense model's, geometric mean over languages, with its interval."""
    return "{:.2f} [{:.2f}, {:.2f}]".format(*np.exp(rise(cells[name], cells[DENSE])))


def written(page: str, cells: dict) -> str:
    """The page with the table and the numbers of these cells."""
    return with_numbers(with_table(page, BEGIN, table(cells)), numbers(cells))


def main(folders: list[str]) -> None:
    """Collects models, if a folder is named, and writes the page."""
    if folders:
        write(CELLS, collected(Path(folders[0])))
    PAGE.write_text(written(PAGE.read_text("utf-8"), read(CELLS)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
