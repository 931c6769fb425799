"""Measurements of an evaluated model: one long table, in `measurements.csv` of each folder of an evaluation."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import read_json
from jaxprune.base.workdir.json_files import EVALUATION

if TYPE_CHECKING:
    import pandas

MEASUREMENTS: Final = "measurements.csv"


class Measurement(NamedTuple):
    """A figure of a model on a task, a text or translations in one language.

    Attributes:
      run: name of the evaluated run, see `evaluation.name`.
      model: folder or hub id, as given.
      task: name of the task, "perplexity" or "translation": the folder of the evaluation.
      language: code.
      measure: name in `MEASURES`, or chosen_0, chosen_1, …: the share of the rows in which an option is the prediction.
      value: shares in [0, 1]; BLEU and chrF from 0 to 100.
      low, high: 95% interval: Wilson's for accuracy, the bootstrap's over groups for discrimination; None without one.
      n: number of rows, of predicted tokens, or of sentences.
    """

    run: str
    model: str
    task: str
    language: str
    measure: str
    value: float
    low: float | None
    high: float | None
    n: int


class Measure(NamedTuple):
    """The look of a measure in tables.

    Attributes:
      title: title of a table.
      column: title of a column in a table of several measures.
      scale: "share" in percent, "score" from 0 to 100, "ratio" of values such as perplexities, or "number".
      digits: decimals.
    """

    title: str
    column: str
    scale: str
    digits: int = 1


# By name, in the order of tables. Differences of ratios are relative to the base.
MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure("accuracy, %", "accuracy %", "share"),
    "gap_to_english": Measure("points behind English", "behind en", "share"),
    "f1": Measure("F1 weighted by label, %", "F1 %", "share"),
    "probability": Measure("probability of the right option, %", "probability %", "share", 2),
    "accuracy_without_prior": Measure(
        "accuracy without the options' priors, %", "without prior %", "share"
    ),
    "discrimination": Measure(
        "right option preferred within groups, % (chance 50)", "within groups %", "share"
    ),
    "contrast": Measure("contrast within groups", "contrast", "number", 3),
    "rankc": Measure("RankC with English", "RankC", "number", 3),
    "perplexity": Measure("perplexity", "perplexity", "ratio", 2),
    "bits_per_byte": Measure("bits per byte", "bits/byte", "ratio", 3),
    "bleu": Measure("BLEU", "BLEU", "score"),
    "chrf": Measure("chrF", "chrF", "score"),
}


def read_evaluation(folder: Path) -> dict[str, Any]:
    """The evaluation.json of a folder; empty without it.

    Raises:
      InputError: it is no JSON object.
    """
    return read_json(folder / EVALUATION)


def evaluated_folders(workdir: Path) -> list[Path]:
    """The folders of a workdir that contain an evaluation, sorted by name."""
    return sorted(file.parent for file in workdir.glob(f"*/{EVALUATION}"))


def read_measurements(folder: Path) -> list[Measurement]:
    """The measurements of a folder of an evaluation.

    Raises:
      InputError: a value is no number, or a field is longer than the csv module reads.
    """
    file = folder / MEASUREMENTS
    with file.open(encoding="utf-8", newline="") as lines:
        cells = ([cell or None for cell in line] for line in csv.reader(lines))
        try:
            next(cells)  # the header
            return [msgspec.convert(row, Measurement, strict=False) for row in cells]
        except (StopIteration, ValueError, csv.Error) as error:
            raise InputError(f"{file}: damaged: {error}") from None


def frame(rows: Sequence[Any], columns: Sequence[str]) -> "pandas.DataFrame":
    """Measurements or changes as a DataFrame with these columns."""
    import pandas  # imported late: takes half a second

    return pandas.DataFrame(list(rows), columns=list(columns))
