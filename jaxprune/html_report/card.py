"""Evaluations of a pruned run → the model card in its `hf/`, with accuracy by language and its intervals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from jaxprune.evaluation.comparison import (
    Comparison,
    ComparisonMethod,
    LanguageComparison,
    MeanComparison,
    PerplexityComparison,
    TaskComparison,
    change_cells,
    comparison_method,
    dtype_notes,
    measure_tables,
    perplexity_rows,
    vanished,
)
from jaxprune.evaluation.metrics_json import LanguageFigures, MetricsFile
from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import sealed
from jaxprune.html_report.accuracy import cells_without_prior
from jaxprune.html_report.files import RunFiles
from jaxprune.ledger import MODEL_DIGEST, has_card
from jaxprune.runs import Measured, model_card
from jaxprune.tables import as_code, count, interval, number, percent, pipes


def refresh_card(
    run: RunFiles, before: RunFiles | None, comparison: Comparison | None
) -> str | None:
    """Writes the card of a run anew, with the results of its evaluations.

    Args:
      run: that was pruned.
      before, comparison: the run that it is compared with; counts where that is the dense model's.

    Returns:
      A line to tell; None where the run has no card.
    """
    if not has_card(run.folder, run.config, run.report):
        return None
    hf = run.folder / "hf"
    file = hf / sealed.CARD
    if not (os.access(run.folder, os.W_OK) and os.access(hf, os.W_OK)):
        return f"left as it is: {file}: its folder may not be written"
    against = comparison if before is not None and _is_dense(run, before) else None
    text = model_card(run.config, run.report, _measured(run, against))
    if not sealed.replace_card(hf, text):
        return f"left as it is: {file}: not as jaxprune wrote it"
    return f"written: {file}"


def _is_dense(run: RunFiles, before: RunFiles) -> bool:
    """Whether a run's scores are all of the model that another one was pruned from."""
    dense = run.report.get("models", {}).get("dense")
    return dense is not None and all(
        metrics.get(MODEL_DIGEST) == dense for metrics in before.metrics.values()
    )


def _measured(run: RunFiles, against: Comparison | None) -> Measured:
    tasks = against.tasks if against else {}
    lines: list[str] = []
    for task, scored in run.scored.items():
        lines += _task(task, scored, tasks.get(task), run.options.get(task))
    if lines:
        method = against.method if against else comparison_method()
        lines = ["## Accuracy by language", "", _about(method, compared=bool(tasks)), "", *lines]
    perplexities = run.metrics.get(PERPLEXITY, {}).get("languages", {})
    lines += _perplexity(perplexities, (against.perplexity if against else None) or {})
    if lines and against:  # below the first title
        notes = dtype_notes(against, "the dense model", "the pruned one")
        lines[1:1] = [line for note in notes for line in ("", note)]
    accuracy = {
        task: {code: figure["accuracy"] for code, figure in scored["languages"].items()}
        for task, scored in run.scored.items()
    }
    if note := overlap_note(run.metrics.get(PERPLEXITY, {})):
        lines += [note, ""]
    return Measured(lines, accuracy)


def _about(method: ComparisonMethod, *, compared: bool) -> str:
    wilson = (
        f"In percent of the rows; intervals of {method.confidence:.0%} are Wilson's. Chosen: share of the rows by "
        "option. Without prior: with the mean score of each option taken off. Within groups, as the hypotheses of a "
        "premise: how often the right option of a row is preferred to the same option in the other rows; chance is 50."
    )
    if not compared:
        return (
            f"{wilson} The dense model's accuracy, and so what pruning changed, is not known here."
        )
    return (
        f"{wilson} The change is in points, its interval by a paired bootstrap over the rows, or groups of them. A "
        f"star: significant by McNemar's exact test, p at most {method.alpha:g} after Holm's correction over the "
        "languages; without one the change may be chance."
    )


def _task(
    task: str, scored: MetricsFile, compared: TaskComparison | None, options: int | None
) -> Iterator[str]:
    yield from (f"### {as_code(task)}", "")
    protocol = scored.get("protocol")
    facts = [f"Protocol {as_code(str(protocol))}."] if protocol else []
    facts += [f"Guessing reaches {percent(1 / options)}%."] if options else []
    if facts:
        yield from (" ".join(facts), "")
    if compared is None:
        header = ["language", "rows", "pruned", "95% interval"]
        header += ["chosen", "without prior", "within groups", "95% interval"]
        rows = [
            [
                code,
                count(one.get("rows", 0)),
                percent(one["accuracy"]),
                interval(one["interval"]),
                *cells_without_prior(one),
            ]
            for code, one in scored["languages"].items()
        ]
    else:
        sides = ["dense", "interval", "pruned", "interval"]
        header = ["language", "rows", *sides, "change", "interval", ""]
        rows = [_compared_row(*one) for one in compared.figures.items()]
    yield from (*pipes(header, rows), "")
    if compared is not None:
        yield from (f"- {note}." for note in vanished(compared))
        for title, header, rows in measure_tables(compared, ("dense", "pruned"), "change"):
            yield from ("", f"{title[:1].upper()}{title[1:]}:", "", *pipes(header, rows))
        yield ""


def _compared_row(name: str, figure: LanguageComparison | MeanComparison) -> list[str]:
    dense, pruned, change, bounds, _ = change_cells(figure)
    star = "*" if figure.significant else ""
    if isinstance(figure, MeanComparison):
        return [name, "", dense, "", pruned, "", change, bounds, star]
    of_dense, of_pruned = map(interval, figure.accuracy_interval)
    rows = count(figure.rows)
    return [name, rows, dense, of_dense, pruned, of_pruned, change, bounds, star]


def _perplexity(
    measured: Mapping[str, LanguageFigures], compared: Mapping[str, PerplexityComparison]
) -> Iterator[str]:
    known = {code: figure for code, figure in measured.items() if "perplexity" in figure}
    if not known:
        return
    if compared:
        header = ["language", "tokens", "dense", "pruned", "pruned / dense", "95% interval"]
        rows = perplexity_rows(compared)
    else:
        header = ["language", "tokens", "pruned"]
        rows = [
            [code, count(figure.get("tokens", 0)), number(figure["perplexity"])]
            for code, figure in known.items()
        ]
    yield from ("## Perplexity by language", "", *pipes(header, rows), "")
