"""Results of an evaluation → tables on the terminal."""

from collections.abc import Mapping
from pathlib import Path

from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.results import PerplexityResult, TaskResult
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TranslationResult
from jaxprune.files import shown_path
from jaxprune.tables import (
    NONE,
    TextTable,
    columns,
    count,
    fraction,
    interval,
    option_shares,
    percent,
    seconds,
    tenths,
)

Result = TaskResult | PerplexityResult | TranslationResult


def print_summary(results: Mapping[str, Result], workdir: Path) -> None:
    """Prints the tables of all results, which are given by the name of their folder, and the written folders."""
    for result in results.values():
        print()
        if isinstance(result, TaskResult):
            lines = _task_lines(result)
        elif isinstance(result, PerplexityResult):
            note = overlap_note(result.about)
            lines = [*_lines(perplexity_table(result)), *([note] if note else [])]
        else:
            lines = _lines(translation_table(result))
        print("\n".join(f"  {line}" for line in lines))
    print(f"\n  written: {', '.join(shown_path(workdir / name) for name in results)}")


def task_tables(result: TaskResult) -> tuple[TextTable, TextTable]:
    """Accuracy of a task, and its measures without the priors of the options."""
    metrics = result.metrics
    rows = [
        [
            code,
            count(figure.rows),
            percent(figure.accuracy),
            interval(figure.interval),
            percent(metrics.gap_to_english.get(code)),
            fraction(figure.rankc.corrected) if figure.rankc else NONE,
        ]
        for code, figure in metrics.languages.items()
    ]
    title = f"{result.task}, protocol {result.protocol}, {seconds(result.seconds)} seconds"
    header = ["", "rows", "accuracy %", "95% interval", "behind en", "RankC"]
    without = [
        [
            code,
            option_shares(figure.chosen),
            percent(figure.accuracy_without_prior),
            percent(figure.discrimination),
            interval(figure.discrimination_interval),
        ]
        for code, figure in metrics.languages.items()
    ]
    chance = "without the options' priors (chance within groups is 50%):"
    header_without = ["", "chosen %", "accuracy %", "within groups %", "95% interval"]
    return TextTable(title, header, rows), TextTable(chance, header_without, without)


def _task_lines(result: TaskResult) -> list[str]:
    metrics, (table, without) = result.metrics, task_tables(result)
    means = f"mean {percent(metrics.mean)}"
    if metrics.mean_non_english is not None:
        means += f", without English {percent(metrics.mean_non_english)}"
    worst = f"worst language {metrics.worst.language}, {percent(metrics.worst.accuracy)}"
    return [*_lines(table), f"{means}; {worst}", *_lines(without)]


def _lines(table: TextTable) -> list[str]:
    return [table.title, *columns(table.header, table.rows)]


def perplexity_table(result: PerplexityResult) -> TextTable:
    """Perplexity by language."""
    rows = [
        [code, count(figure.tokens), f"{figure.perplexity:.2f}", fraction(figure.bits_per_byte)]
        for code, figure in result.languages.items()
    ]
    title = f"{PERPLEXITY}, {seconds(result.seconds)} seconds"
    return TextTable(title, ["", "tokens", "perplexity", "bits/byte"], rows)


def translation_table(result: TranslationResult) -> TextTable:
    """BLEU and chrF by language."""
    protocol = result.protocol
    title = f"translation into {protocol.target}, {protocol.shots} shots, {protocol.beams} beams"
    rows = [
        [code, count(figure.rows), tenths(figure.bleu), tenths(figure.chrf)]
        for code, figure in result.languages.items()
    ]
    return TextTable(title, ["", "rows", "BLEU", "chrF"], rows)
