"""Makes the models of studies/four_bits and measures them: a cell is a model in a number of languages.

python docs/figures/four_bits_cells.py MODELS NTREX FLORES            makes those that are missing, question by question
python docs/figures/four_bits_cells.py MODELS NTREX FLORES --list     lists all, and those that are done
python docs/figures/four_bits_cells.py MODELS NTREX FLORES --pilot    makes those of the pilot

MODELS has a folder for each pretrained model, moved off its source file's grids by benchmarks/off_grid.py, and beside
it the calibration texts of studies/quantization/calibration.py:

    gemma/ gemma_texts/ gemma_pilot/    smollm2/ smollm2_texts/    qwen/ qwen_texts/

After each cell its sums are added to scores.npz, and what made it to models.json; with --pilot to pilot.npz alone. The
models themselves are not kept.
"""

import argparse
import dataclasses
import functools
import itertools
import lzma
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from cells import read, write
from study_scores import cpu, read_arrays

import jaxprune as jp
from jaxprune.data.batches import Batch, digest
from jaxprune.pruning.quantization import QuantizeFields, with_rounded_tables
from jaxprune.pruning.result import stacked_result

STUDY = Path(__file__).parents[2] / "studies" / "four_bits"
SCORES, PILOT_SCORES = STUDY / "scores.npz", STUDY / "pilot.npz"
MODELS = STUDY / "models.json"
LINES = 300  # of FLORES

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
    def scores(self) -> list[str]:
        """The names of its sums, a language each."""
        return [f"{self.model}/{self.name}/{code}" for code in self.languages]


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


def calibration(cell: Cell, texts: Path) -> list[Batch]:
    """The calibration text of a cell; empty if it reads none."""
    if cell.text in ("", ONES):
        return []
    return jp.token_batches(texts / f"{cell.text}-{cell.draw}.npz")


def model_of(cell: Cell, dense: jp.Model, batches: list[Batch]) -> jp.Model:
    """The model of a cell, in memory.

    Args:
      batches: its calibration text.
    """
    if cell.how == "dense":
        return dense
    if cell.how == "sparsegpt":
        result = jp.prune(dense, batches, criterion="sparsegpt", sparsity=0.5, progress=False)
        return dense.replace(result.params)
    if cell.text == ONES:
        return rounded_for_ones(cell, dense)
    return jp.quantize(dense, batches, grid=cell.grid, how=cell.how, progress=False).model


def rounded_for_ones(cell: Cell, dense: jp.Model) -> jp.Model:
    """The model as `jp.quantize` rounds it, where all inputs count the same."""
    tokens = np.full((1, 2), dense.tokenizer.bos_token_id, np.int32)
    batch = Batch(tokens, np.ones_like(tokens, bool), "tokens", np.zeros(1, np.int32))
    stats = jp.probe(dense, [batch], progress=False)
    sums = jax.tree.map(np.ones_like, stats.sums)
    ones = dataclasses.replace(stats, sums=sums, tokens=dict.fromkeys(stats.tokens, 1))
    fields = QuantizeFields(grid=cell.grid, how=cell.how)
    tables = with_rounded_tables(dense, fields)
    settings = jp.Settings(criterion=fields.method, sparsity=0.0, propagate="dense")
    blocks = list(jp.prune_blocks(tables, [], settings, stats=ones, progress=False))
    return dense.replace(stacked_result(tables, blocks, []).params)


def measured(cell: Cell, model: jp.Model, flores: Path, lines: str) -> Mapping[str, np.ndarray]:
    """The sums of log-probabilities and the tokens of each run of lines, [runs, 2], and its bytes, by their names."""
    evaluation = jp.evaluate(
        model, languages=cell.languages, perplexity=flores, perplexity_lines=lines,
        name=cell.name, progress=False,
    )  # fmt: skip
    arrays = {}
    for code, text in evaluation.perplexities.items():
        arrays[f"{cell.model}/{cell.name}/{code}"] = np.stack(
            [text.part_sums, text.part_tokens], axis=1
        )
        arrays[f"bytes/{cell.model}/{code}"] = text.part_bytes
    return arrays


def compressed(ntrex: Path, flores: Path, code: str) -> float:
    """Bits per byte of the measured lines of a language by LZMA after its NTREX."""
    lines = (flores / f"{code}.txt").read_text("utf-8").split("\n")[:LINES]
    seen, text = (ntrex / f"{code}.txt").read_text("utf-8"), "\n".join(lines)
    sizes = [len(lzma.compress(part.encode(), preset=9)) for part in (seen, seen + text)]
    return 8 * (sizes[1] - sizes[0]) / len(text.encode())


def origin(dense: jp.Model, batches: list[Batch]) -> dict[str, str]:
    """What made a model: the commit, the CPU, and digests of the dense model and of the calibration text."""
    head = ["git", "-C", str(STUDY), "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "commit": commit, "cpu": cpu(), "jax": jax.__version__,
        "model": dense.source.fingerprint.digest[:16],
        "text": digest(batches)[:16] if batches else "",
    }  # fmt: skip


def save(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the arrays; a stop leaves the file as it was, or as it is to be."""
    unfinished = file.with_name(f"unfinished-{file.name}")
    np.savez_compressed(unfinished, **dict(sorted(arrays.items())))
    os.replace(unfinished, file)


def main() -> None:
    """Makes what is missing, and prints the seconds of each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("models", "ntrex", "flores"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--pilot", action="store_true")
    arguments = parser.parse_args()
    every = list(pilot() if arguments.pilot else cells())
    file, (lines, suffix) = (
        (PILOT_SCORES, PILOT_TEXTS) if arguments.pilot else (SCORES, STUDY_TEXTS)
    )
    arrays: dict[str, Any] = read_arrays(file)
    missing = [cell for cell in every if not arrays.keys() >= {*cell.scores}]
    if arguments.list:
        for cell in every:
            state = "" if cell in missing else "done"
            print(state, cell.model, cell.name, ",".join(cell.languages))
        return
    opened = functools.lru_cache(maxsize=1)(jp.load)
    for number, cell in enumerate(missing, len(every) - len(missing) + 1):
        began = time.perf_counter()
        dense = opened(arguments.models / cell.model)
        batches = calibration(cell, arguments.models / f"{cell.model}_{suffix}")
        arrays |= measured(cell, model_of(cell, dense, batches), arguments.flores, lines)
        if cell.how == "dense":
            arrays |= {
                f"compressed/{code}": compressed(arguments.ntrex, arguments.flores, code)
                for code in cell.languages
            }
        if not arguments.pilot:
            made = {f"{cell.model}/{cell.name}": origin(dense, batches)}
            write(MODELS, dict(sorted((read(MODELS) | made).items())))
        save(file, arrays)
        seconds = time.perf_counter() - began
        print(f"{number}/{len(every)} {cell.model} {cell.name}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
