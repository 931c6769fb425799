"""Scores of runs in a JSON file of studies/, a line for each, and the table that is made of them in a page."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jaxprune.evaluation.measurements import read_measurements

END = "<!--/-->"
# A number in the prose of a page, after a comment with its name.
NUMBER = re.compile(r"(<!--n ([^>]+)-->).*?(?=<!--/-->)")


def read(file: Path) -> dict:
    """The cells by name; empty without the file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def write(file: Path, cells: dict) -> None:
    """Writes the cells."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in cells.items())
    file.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def collected(file: Path, runs: Sequence[str], cell: Callable[[Path], dict]) -> dict:
    """The cells of a file, with those of some runs added, by the names of their folders."""
    cells = read(file) | {Path(run).name: cell(Path(run)) for run in runs}
    if runs:
        write(file, cells)
    return cells


def with_table(page: str, begin: str, table: str) -> str:
    """The page with a table between `begin` and END."""
    before, _, rest = page.partition(begin)
    return f"{before}{begin}{table}\n{END}{rest.partition(END)[2]}"


def with_numbers(page: str, numbers: Mapping[str, str]) -> str:
    """The page with the numbers of its prose."""
    return NUMBER.sub(lambda match: match[1] + numbers[match[2]], page)


def bits_per_byte(run: Path) -> dict[str, float]:
    """By language, of the text on which the perplexity of a run was evaluated."""
    rows = read_measurements(run / "perplexity")
    return {row.language: row.value for row in rows if row.measure == "bits_per_byte"}
