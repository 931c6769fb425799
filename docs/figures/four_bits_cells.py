"""Makes the models of docs/four_bits.md and measures them: a cell is a model in a number of languages.

python docs/figures/four_bits_cells.py WORK MODELS FLORES            makes those that WORK lacks, question by question
python docs/figures/four_bits_cells.py WORK MODELS FLORES --list     lists all, and those that are done
python docs/figures/four_bits_cells.py WORK MODELS FLORES --pilot    makes those of the pilot

MODELS has a folder for each pretrained model, moved off its source file's grids by benchmarks/off_grid.py, and beside
it the calibration texts of studies/quantization/calibration.py:

    gemma/ gemma_texts/ gemma_pilot/    smollm2/ smollm2_texts/    qwen/ qwen_texts/

WORK/MODEL/CELL has the scores of a cell; the model itself is removed when it was measured. A cell whose scores are in
studies/four_bits is not made again, so that the study can go on in another WORK.
"""

import argparse
import dataclasses
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from study_scores import read_arrays

import jaxprune as jp

STUDY = Path(__file__).parents[2] / "studies" / "four_bits"
SCORES, PILOT_SCORES = STUDY / "scores.npz", STUDY / "pilot.npz"

LANGUAGES = ("en", "fr", "ru", "zh", "sw", "ar", "de", "es", "hi", "th", "tr", "vi")
FOUR = ("fr", "ru", "zh", "sw")
PILOT = ("fr", "sw")
# Lines of FLORES that are measured, and the suffix of the folder of calibration texts.
STUDY_TEXTS, PILOT_TEXTS = ("0-299", "texts"), ("500-599", "pilot")
DRAWS = range(4)
ENGLISH, MIXTURE, WRITTEN, ONES = "en", "mix", "generated", "ones"
GEMMA, SMOLLM, QWEN = "gemma", "smollm2", "qwen"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A model and the languages in which it is measured.

    Attributes:
      model: name of the pretrained model.
      how: "dense", a rounding of `jaxprune quantize`, or "sparsegpt", at 50% sparsity.
      grid: of a rounding.
      text: name of the calibration text, without its draw; empty without one.
      draw: of the text.
      languages: in which it is measured.
    """

    model: str
    how: str
    grid: str = ""
    text: str = ""
    draw: int = 0
    languages: tuple[str, ...] = LANGUAGES

    @property
    def name(self) -> str:
        """HOW_GRID-TEXT-DRAW, without what it lacks."""
        way = "_".join(filter(None, (self.how, self.grid)))
        return f"{way}-{self.text}-{self.draw}" if self.text else way

    @property
    def flags(self) -> list[str]:
        """Fields of the command that makes the model."""
        if self.how == "sparsegpt":
            return ["--config.pruning.criterion=sparsegpt", "--config.pruning.sparsity=0.5"]
        return [f"--config.quantize.how={self.how}", f"--config.quantize.grid={self.grid}"]


def cells() -> Iterator[Cell]:
    """All cells, in the order in which they are made: a stop leaves whole questions."""
    yield Cell(GEMMA, "dense")
    yield Cell(GEMMA, "nearest", "q4_0")
    yield from compared(GEMMA, "gptq", "q4_0", LANGUAGES)  # Q1
    yield from (Cell(GEMMA, "gptq", "q4_0", MIXTURE, draw) for draw in DRAWS)  # Q2
    yield from compared(GEMMA, "importance", "q4_0", LANGUAGES)  # Q3
    yield Cell(GEMMA, "search", "q4_0", ONES)
    for grid in ("iq4_nl", "q5_0", "q8_0"):  # Q4
        yield Cell(GEMMA, "nearest", grid, languages=FOUR)
        yield from compared(GEMMA, "gptq", grid, FOUR)
    for how, grid in (("gptq", "q4_0"), ("sparsegpt", "")):  # Q5
        for code, draw in itertools.product(FOUR, DRAWS):
            if how == "sparsegpt":
                yield Cell(GEMMA, how, grid, code, draw, (code,))
            yield Cell(GEMMA, how, grid, f"{WRITTEN}_{code}", draw, (code,))
    for model in (SMOLLM, QWEN):  # Q1 on other models
        yield Cell(model, "dense", languages=FOUR)
        yield Cell(model, "nearest", "q4_0", languages=FOUR)
        yield from compared(model, "gptq", "q4_0", FOUR)


def pilot() -> Iterator[Cell]:
    """Cells on other text, by whose variances the power of the claims is computed."""
    yield Cell(GEMMA, "dense", languages=PILOT)
    for how in ("gptq", "importance"):
        yield from compared(GEMMA, how, "q4_0", PILOT)
    yield from (Cell(GEMMA, "gptq", "q4_0", MIXTURE, draw, PILOT) for draw in DRAWS)


def compared(model: str, how: str, grid: str, codes: tuple[str, ...]) -> Iterator[Cell]:
    """English text, measured in all languages, and the text of each language, measured in that one."""
    for draw in DRAWS:
        yield Cell(model, how, grid, ENGLISH, draw, codes)
        for code in codes:
            if code != ENGLISH:
                yield Cell(model, how, grid, code, draw, (code,))


def is_made(cell: Cell, work: Path, stored: Collection[str]) -> bool:
    """Whether a cell was made in this folder, or all its scores are stored."""
    names = (f"{cell.model}/{cell.name}/{code}" for code in cell.languages)
    return (work / cell.model / cell.name / "done").is_file() or all(n in stored for n in names)


def make(cell: Cell, work: Path, models: Path, flores: Path, lines: str, suffix: str) -> None:
    """Makes a model, measures it and removes it."""
    folder, base = work / cell.model / cell.name, models / cell.model
    made = folder / "model"
    if cell.how != "dense":
        texts = models / f"{cell.model}_{suffix}"
        calibration = [
            "--config.calibration.kind=tokens",
            f"--config.calibration.data={texts / f'{cell.text}-{cell.draw}.npz'}",
        ]
        if cell.text == ONES:
            calibration = [f"--config.calibration.stats={statistics_of_ones(base, work / ONES)}"]
        command = "prune" if cell.how == "sparsegpt" else "quantize"
        run(command, base, made, [*cell.flags, *(calibration if cell.text else [])])
        base = made / "hf"
    run(
        "evaluate", base, folder,
        [
            "--config.evaluation.tasks=",
            f"--config.evaluation.perplexity={flores}",
            f"--config.evaluation.perplexity_lines={lines}",
            f"--config.evaluation.languages={','.join(cell.languages)}",
        ],
    )  # fmt: skip
    if made.is_dir():
        for name in ("report.json", "config.json"):
            shutil.copy(made / name, folder)
        shutil.rmtree(made)
    (folder / "done").touch()


def statistics_of_ones(base: Path, folder: Path) -> Path:
    """Saved statistics by which all inputs count the same."""
    if not folder.is_dir():
        model = jp.load(base)
        batch = jp.token_batches(np.array([[model.tokenizer.bos_token_id] * 2], np.int32))
        stats = jp.probe(model, batch, progress=False)
        sums = {
            key: {
                site: {name: np.ones_like(values) for name, values in statistics.items()}
                for site, statistics in sites.items()
            }
            for key, sites in stats.sums.items()
        }
        ones = dataclasses.replace(stats, sums=sums, tokens=dict.fromkeys(stats.tokens, 1))
        jp.checkpoint.save_stats(folder, ones, model)
    return folder


def run(command: str, base: Path, workdir: Path, flags: list[str]) -> None:
    """Runs a command of jaxprune, or resumes it."""
    program = [sys.executable, "-m", "jaxprune", command, "--config", f"base:{base}"]
    subprocess.run(
        [*program, "--workdir", str(workdir), *flags], check=True, stdout=subprocess.DEVNULL
    )


def main() -> None:
    """Makes what is missing, and prints the seconds of each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("flores", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--pilot", action="store_true")
    arguments = parser.parse_args()
    every = list(pilot() if arguments.pilot else cells())
    where = PILOT_TEXTS if arguments.pilot else STUDY_TEXTS
    stored = read_arrays(PILOT_SCORES if arguments.pilot else SCORES).keys()
    missing = [cell for cell in every if not is_made(cell, arguments.work, stored)]
    if arguments.list:
        for cell in every:
            print(
                "" if cell in missing else "done", cell.model, cell.name, ",".join(cell.languages)
            )
        return
    for number, cell in enumerate(missing, len(every) - len(missing) + 1):
        began = time.perf_counter()
        make(cell, arguments.work, arguments.models, arguments.flores, *where)
        seconds = time.perf_counter() - began
        print(f"{number}/{len(every)} {cell.model} {cell.name}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
