"""The tables of a sweep as Markdown, as CSV and on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.charts import signed
from jaxprune.evaluation.comparison import pipes
from jaxprune.files import write_json, write_text

_CSV = (
    "table", "task", "calibration", "calibration_language", "sparsity", "language", "rows", "accuracy",
    "low", "high", "difference", "difference_low", "difference_high", "p_mcnemar", "p_holm",
    "p_holm_table", "rankc",
)  # fmt: skip

Cell = Mapping[str, Any] | None


def write(found: Mapping[str, Any], workdir: Path) -> None:
    """Writes tables.csv, tables.md and, last, tables.json; each is whole or not there."""
    write_text(workdir / "tables.csv", csv_text(found))
    write_text(workdir / "tables.md", markdown(found))
    write_json(workdir / "tables.json", found)


def markdown(found: Mapping[str, Any]) -> str:
    """All tables as a document."""
    lines = [f"# {found['model']}: what each calibration changed", "", *about(found)]
    for task, of_task in found["tasks"].items():
        protocol = of_task["protocol"]
        lines += ["", f"## {task}, protocol {protocol}, {row_count(of_task)} rows a language", ""]
        lines += [helped(of_task), ""]
        for title, table in task_tables(of_task):
            lines += [f"{title}:", "", *_pipes(*table), ""]
        lines += ["Every variant in every language, points against dense:", ""]
        lines += _pipes(*variant_table(of_task))
    if found["translation"]:
        lines += ["", *translation_lines(found["translation"])]
    return "\n".join([*lines, "", f"Seconds by stage: {seconds(found)}."]) + "\n"


def seconds(found: Mapping[str, Any]) -> str:
    """Of each stage, over all variants."""
    return ", ".join(f"{stage} {total:,.0f}" for stage, total in found["seconds"].items())


def about(found: Mapping[str, Any]) -> list[str]:
    """How the tables are to be read."""
    return [
        "A row is a calibration at a sparsity. In each language it shows the model that was calibrated on "
        "demonstrations of that language (random, magnitude and lrp2 have none: one model for all), so a "
        "row of languages is not one model. Accuracy: percent, Wilson's 95% interval. Change: points "
        "against dense, 95% interval of the paired bootstrap; McNemar's exact test, `*` significant after "
        "Holm's correction over the languages of the model, `**` also over all cells of the table. A "
        "change without a star may be noise. Means are over the languages other than English and have no "
        "star: their interval tells.",
    ]


def helped(of_task: Mapping[str, Any]) -> str:
    """One line: where a calibration made a language significantly better."""
    found = [
        f"{row_name(row)}: {code} {points(cell['difference'])}{stars(cell)}"
        for row in of_task["rows"]
        for code, cell in row["languages"].items()
        if cell["significant"] and cell["difference"] > 0
    ]
    return f"Significantly better than dense: {', '.join(found) or 'none'}."


def row_count(of_task: Mapping[str, Any]) -> str:
    """Rows of a language, or their range."""
    sizes = sorted({cell["rows"] for cell in of_task["dense"]["languages"].values()})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


Table = tuple[list[str], list[list[str]]]


def task_tables(of_task: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Accuracy, change and, where the task is parallel, RankC; each with a title."""
    dense = of_task["dense"]
    codes = list(dense["languages"])
    header = ["", *codes, "mean non-en"]

    def rows(show: Callable[[Cell], str], mean: Callable[[Cell], str]) -> list[list[str]]:
        return [
            [row_name(row), *(show(row["languages"].get(code)) for code in codes),
             mean(row["mean_non_english"])]
            for row in of_task["rows"]
        ]  # fmt: skip

    first = ["dense", *(accuracy(dense["languages"][code]) for code in codes),
             percent(dense["mean_non_english"])]  # fmt: skip
    found = [
        ("Accuracy", (header, [first, *rows(accuracy, _mean_accuracy)])),
        ("Change", (header, rows(change, change))),
    ]
    if any(dense["languages"][code]["rankc"] is not None for code in codes):
        kept = [code for code in codes if dense["languages"][code]["rankc"] is not None]
        lines = [["dense", *(_rankc(dense["languages"][code]) for code in kept)]]
        lines += [
            [row_name(row), *(_rankc(row["languages"].get(code)) for code in kept)]
            for row in of_task["rows"]
        ]
        found.append(("RankC with English", (["", *kept], lines)))
    return found


def translation_lines(found: Mapping[str, Any]) -> list[str]:
    """The section on translation."""
    rows = row_count(found)
    lines = [f"## Translation into {found['target']}, {found['shots']} shots, {rows} sentences", ""]
    lines += [
        "Only what the tables show is translated: each model from the language of its calibration. Change "
        "in BLEU with stars: sacrebleu's paired bootstrap against dense, Holm's correction as above.", "",
    ]  # fmt: skip
    for title, table in translation_tables(found):
        lines += [f"{title}:", "", *_pipes(*table), ""]
    signatures = ", ".join(f"{name} `{said}`" for name, said in found["signatures"].items())
    return [*lines, f"Signatures: {signatures}."]


def translation_tables(found: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """BLEU and chrF, each with its change against dense."""
    dense = found["dense"]["languages"]
    tables = []
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        lines = [["dense", *(f"{cell[name]:.1f}" for cell in dense.values())]]
        for row in found["rows"]:
            cells = (row["languages"].get(code) for code in dense)
            lines.append([row_name(row), *(_score(cell, name) for cell in cells)])
        tables.append((title, (["", *dense], lines)))
    return tables


def _score(cell: Cell, name: str) -> str:
    if cell is None:
        return "–"
    moved = signed(cell["difference"][name])
    return f"{cell[name]:.1f} ({moved}){stars(cell) if name == 'bleu' else ''}"


def variant_table(of_task: Mapping[str, Any]) -> Table:
    """Change of every variant in every language: what a calibration costs the others."""
    codes = list(of_task["dense"]["languages"])
    rows = [
        [one["variant"], *(short_change(one["languages"][code]) for code in codes),
         short_change(one["mean_non_english"])]
        for one in of_task["variants"]
    ]  # fmt: skip
    return ["", *codes, "mean non-en"], rows


def row_name(row: Mapping[str, Any]) -> str:
    """As "translation 30%" or "lrp2"."""
    sparsity = row["sparsity"]
    name = str(row["calibration"]).replace("_", " ")
    return name if sparsity is None else f"{name} {100 * sparsity:g}%"


def stars(cell: Mapping[str, Any]) -> str:
    """`*` significant over the languages, `**` over the table as well."""
    if not cell.get("significant"):
        return ""
    return "**" if cell.get("significant_table") else "*"


def percent(share: float | None) -> str:
    """One decimal; a dash for none."""
    return "–" if share is None else f"{100 * share:.1f}"


def points(share: float) -> str:
    """With a sign and a true minus."""
    return signed(100 * share)


def accuracy(cell: Cell) -> str:
    """As "74.1 [71.3, 76.7]"."""
    if cell is None:
        return "–"
    low, high = (percent(bound) for bound in cell["interval"])
    return f"{percent(cell['accuracy'])} [{low}, {high}]"


def change(cell: Cell) -> str:
    """As "+0.9 [−0.4, +2.2]*"."""
    if cell is None:
        return "–"
    low, high = map(points, cell["difference_interval"])
    return f"{points(cell['difference'])} [{low}, {high}]{stars(cell)}"


def short_change(cell: Cell) -> str:
    """As "+0.9*"."""
    if cell is None:
        return "–"
    return points(cell["difference"]) + stars(cell)


def _mean_accuracy(mean: Cell) -> str:
    return percent(None if mean is None else mean["accuracy"])


def _rankc(cell: Cell) -> str:
    return "–" if cell is None or cell["rankc"] is None else f"{cell['rankc']:.3f}"


def _pipes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return pipes(header, [[cell.replace("*", r"\*") for cell in row] for row in rows])


# CSV.


def csv_text(found: Mapping[str, Any]) -> str:
    """A line for each cell, all digits, shares in [0, 1]. Table "own" is the rows, "all" every variant."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CSV)
    for task, of_task in found["tasks"].items():
        for code, cell in of_task["dense"]["languages"].items():
            writer.writerow(_csv_row("own", task, ("dense", None, None), code, cell))
        for row in of_task["rows"]:
            for code, cell in row["languages"].items():
                who = (row["calibration"], cell["language"], row["sparsity"])
                writer.writerow(_csv_row("own", task, who, code, cell))
        for one in of_task["variants"]:
            who = (one["calibration"], one["language"], one["sparsity"])
            for code, cell in one["languages"].items():
                writer.writerow(_csv_row("all", task, who, code, cell))
    return file.getvalue()


def _csv_row(
    table: str, task: str, who: tuple[Any, ...], code: str, cell: Mapping[str, Any]
) -> list[Any]:
    p, none = cell.get("p", {}), (None, None)
    return [
        table, task, *who, code, cell["rows"], cell["accuracy"], *cell["interval"],
        cell.get("difference"), *cell.get("difference_interval", none), p.get("mcnemar"),
        p.get("holm"), p.get("holm_table"), cell["rankc"],
    ]  # fmt: skip


# The terminal.


def show(found: Mapping[str, Any], workdir: Path) -> None:
    """Changes by row and language, and where everything is written."""
    for task, of_task in found["tasks"].items():
        codes = list(of_task["dense"]["languages"])
        print(f"\n  {task}, {row_count(of_task)} rows a language: percent, then points against it")
        print(_line("", codes, "mean non-en"))
        dense = of_task["dense"]
        cells = [percent(dense["languages"][code]["accuracy"]) for code in codes]
        print(_line("dense", cells, percent(dense["mean_non_english"])))
        for row in of_task["rows"]:
            cells = [short_change(row["languages"].get(code)) for code in codes]
            print(_line(row_name(row), cells, short_change(row["mean_non_english"])))
        print(f"  {helped(of_task)}")
    if found["translation"]:
        print(f"\n  BLEU into {found['translation']['target']}")
        header, lines = translation_tables(found["translation"])[0][1]
        for name, *cells in [header, *lines]:
            print(f"  {name:<16}" + "".join(f"{cell:>18}" for cell in cells))
    print("\n  * significant over the languages of a model, ** also over the table")
    print(f"  seconds: {seconds(found)}")
    names = ("tables.md", "tables.csv", "tables.json", "report.html")
    print(f"  written: {', '.join(str(workdir / name) for name in names)}")


def _line(name: str, cells: Sequence[str], last: str) -> str:
    return f"  {name:<26}" + "".join(f"{cell:>9}" for cell in cells) + f"{last:>13}"
