"""The folders of a sweep → tables.md, tables.csv, tables.json and report.html, and the tables on the terminal."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxprune.config import SweepConfig, config_of
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import shown_path, to_json, write_json, write_text
from jaxprune.html_report import write_page
from jaxprune.sweeps import tables_json, text
from jaxprune.sweeps.page import document
from jaxprune.sweeps.sweep_json import begun_sweep
from jaxprune.sweeps.tables import sweep_tables
from jaxprune.tables import TextTable, columns, csv_text, pipes

_CSV = (
    "table", "task", "calibration", "calibration_language", "sparsity", "draw", "language", "rows", "accuracy",
    "low", "high", "difference", "difference_low", "difference_high", "p_mcnemar", "p_holm",
    "p_holm_table", "rankc", "probability", "probability_difference", "probability_low",
    "probability_high", "probability_p", "perplexity", "perplexity_ratio",
    "ratio_low", "ratio_high", "bits_per_byte",
)  # fmt: skip


def rebuild(workdir: Path) -> tables_json.SweepTables:
    """Rebuilds tables and page of a sweep, which may be unfinished, from its scores alone.

    Args:
      workdir: has sweep.json and the folders of scores of each variant; no model, text or masks are read.

    Raises:
      InputError: scores of the dense model are missing, or a file is damaged.
    """
    config = config_of(begun_sweep(workdir)["config"], SweepConfig)
    return write_tables_and_page(config, workdir)


def write_tables_and_page(config: SweepConfig, workdir: Path) -> tables_json.SweepTables:
    """Writes the tables and the page of a sweep's finished variants."""
    sweep = sweep_tables(config, workdir)
    write_text(workdir / "tables.csv", sweep_csv(sweep))
    write_text(workdir / "tables.md", sweep_markdown(sweep))
    write_json(workdir / "tables.json", to_json(sweep))  # the last of the tables
    write_page(document(sweep), workdir / "report.html")
    return sweep


def sweep_markdown(sweep: tables_json.SweepTables) -> str:
    """All tables as a document."""
    lines = [f"# {sweep.model}: effects of each calibration", "", *text.ABOUT, ""]
    if unfinished := text.unfinished(sweep):
        lines += [f"**{unfinished}.**", ""]
    for name, task in sweep.tasks.items():
        rows = text.row_count(task)
        lines += [f"## {name}, protocol {task.protocol}, {rows} rows a language", ""]
        lines += [text.helped(task), ""]
        lines += _titled(text.task_tables(task) + text.variant_tables(task))
    if sweep.perplexity:
        lines += ["## Perplexity", "", text.perplexity_note(sweep.perplexity), ""]
        lines += _titled(text.perplexity_tables(sweep.perplexity))
    if translation := sweep.translation:
        rows, shots = text.row_count(translation), translation.shots
        signatures = [f"{name} `{value}`" for name, value in translation.signatures.items()]
        lines += [
            f"## Translation into {translation.target}, {shots} shots, {rows} sentences", "",
            "Each model translates only from the language of its calibration. Stars: the change in BLEU against dense "
            "is significant by sacrebleu's paired bootstrap, with Holm's correction as above.", "",
            *_titled(text.translation_tables(translation)),
            f"Signatures: {', '.join(signatures)}.", "",
        ]  # fmt: skip
    if sweep.draws:
        lines += ["## Over the draws", "", text.DRAWS, "", *_titled(text.draw_tables(sweep.draws))]
    return "\n".join([*lines, f"Seconds by stage: {text.seconds(sweep)}."]) + "\n"


def _titled(tables: Iterable[TextTable]) -> Iterator[str]:
    for title, header, rows in tables:
        yield from (f"{title}:", "", *pipes(header, rows), "")


def sweep_csv(sweep: tables_json.SweepTables) -> str:
    """A line for each cell; all digits, shares in [0, 1]. Table "own": the rows; "all": every variant.

    Perplexity, whose rows are tokens, is only in table "all".
    """
    rows = [row for name, task in sweep.tasks.items() for row in _csv_rows(name, task)]
    if sweep.perplexity:
        rows += _perplexity_rows(sweep.perplexity)
    return csv_text(_CSV, rows)


def _perplexity_rows(found: tables_json.PerplexityTables) -> Iterator[list[object]]:
    empty = [None] * (_CSV.index("perplexity") - _CSV.index("accuracy"))
    for code, cell in found.dense.items():
        which: list[object] = ["dense", None, None, None, code, cell.tokens]
        figures = [cell.perplexity, None, None, None, cell.bits_per_byte]
        yield ["all", PERPLEXITY, *which, *empty, *figures]
    for one in found.variants:
        for code, other in one.languages.items():
            which = [one.calibration, one.language, one.sparsity, one.draw, code]
            which.append(found.dense[code].tokens)
            ratio = [other.ratio, *(other.interval or (None, None)), other.bits_per_byte]
            yield ["all", PERPLEXITY, *which, *empty, other.perplexity, *ratio]


def _csv_rows(name: str, task: tables_json.TaskTables) -> Iterator[list[object]]:
    for code, dense in task.dense.languages.items():
        yield ["own", name, "dense", None, None, None, code, *_csv_cells(dense)]
    for row in task.rows:
        for code, cell in row.languages.items():
            which = [row.calibration, cell.language, row.sparsity, row.draw, code]
            yield ["own", name, *which, *_csv_cells(cell)]
    for one in task.variants:
        for code, other in one.languages.items():
            which = [one.calibration, one.language, one.sparsity, one.draw, code]
            yield ["all", name, *which, *_csv_cells(other)]


def _csv_cells(cell: tables_json.Cell | tables_json.DenseCell) -> list[object]:
    shares = [cell.rows, cell.accuracy, *cell.interval]
    if isinstance(cell, tables_json.DenseCell):
        return [*shares, *[None] * 6, cell.rankc, cell.probability, *[None] * 9]
    p, found = cell.p, cell.probability
    change = [cell.difference, *cell.difference_interval, p.mcnemar, p.holm, p.holm_table]
    probability = [found.mean, found.difference, *found.interval, found.p]
    return [*shares, *change, cell.rankc, *probability, *[None] * 5]


def print_tables(sweep: tables_json.SweepTables, workdir: Path) -> None:
    """Prints changes by row and language, and the written files."""
    for name, task in sweep.tasks.items():
        title = f"{name}, {text.row_count(task)} rows a language: percent, then points against it"
        _print_table(title, text.change_table(task))
        print(f"  {text.helped(task)}")
    if sweep.perplexity:
        note = text.perplexity_note(sweep.perplexity)
        _print_table(note, text.perplexity_tables(sweep.perplexity)[0])
    if sweep.translation:
        title = f"BLEU into {sweep.translation.target}"
        _print_table(title, text.translation_tables(sweep.translation)[0])
    if unfinished := text.unfinished(sweep):
        print(f"\n  {unfinished}")
    print("\n  * significant over the languages of a model, ** also over the table")
    print(f"  seconds: {text.seconds(sweep)}")
    names = ("tables.md", "tables.csv", "tables.json", "report.html")
    print(f"  written: {', '.join(shown_path(workdir / name) for name in names)}")


def _print_table(title: str, table: TextTable) -> None:
    print(f"\n  {title}")
    for line in columns(table.header, table.rows):
        print(f"  {line}")
