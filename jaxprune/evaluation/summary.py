"""Results of an evaluation → tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.results import PerplexityResult, TaskResult
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TranslationResult, translation_lines
from jaxprune.tables import (
    NONE,
    columns,
    count,
    fraction,
    interval,
    option_shares,
    percent,
    seconds,
)

Result = TaskResult | PerplexityResult | TranslationResult


def print_summary(results: Mapping[str, Result], workdir: Path) -> None:
    """Prints the tables of all results, which are given by the name of their folder, and the written folders."""
    for result in results.values():
        print()
        if isinstance(result, TaskResult):
            lines = _task_lines(result)
        elif isinstance(result, PerplexityResult):
            lines = _perplexity_lines(result)
        else:
            lines = translation_lines(result)
        print("\n".join(f"  {line}" for line in lines))
    print(f"\n  written: {', '.join(str(workdir / name) for name in results)}")


def _task_lines(result: TaskResult) -> list[str]:
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
    means = f"mean {percent(metrics.mean)}"
    if metrics.mean_non_english is not None:
        means += f", without English {percent(metrics.mean_non_english)}"
    worst = metrics.worst
    return [
        f"{result.task}, protocol {result.protocol}, {seconds(result.seconds)} seconds",
        *columns(header, rows),
        f"{means}; worst language {worst.language}, {percent(worst.accuracy)}",
        "without the options' priors (chance within groups is 50%):",
        *columns(["", "chosen %", "accuracy %", "within groups %", "95% interval"], without),
    ]


def _perplexity_lines(result: PerplexityResult) -> list[str]:
    rows = [
        [code, count(figure.tokens), f"{figure.perplexity:.2f}"]
        for code, figure in result.languages.items()
    ]
    title = f"{PERPLEXITY}, {seconds(result.seconds)} seconds"
    note = overlap_note(result.about)
    return [title, *columns(["", "tokens", "perplexity"], rows), *([note] if note else [])]
