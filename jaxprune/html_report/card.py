"""Evaluations of a run → the model card in its `hf/`, with accuracy by language and its intervals."""

import os
from collections.abc import Iterator, Mapping

from jaxprune.calibration import joined
from jaxprune.evaluation import comparison
from jaxprune.evaluation.metrics_json import LanguageFigures, MetricsFile
from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import sealed
from jaxprune.html_report import verdicts
from jaxprune.html_report.accuracy import ABOUT_PRIORS, cells_without_prior
from jaxprune.html_report.files import RunFiles
from jaxprune.html_report.plain import ABOUT_CONTINUATIONS, continued_rows
from jaxprune.ledger import MODEL_DIGEST, has_card
from jaxprune.runs.card import Measured, folded, model_card
from jaxprune.runs.smaller_card import smaller_card
from jaxprune.tables import (
    as_code,
    capitalized,
    count,
    fraction,
    interval,
    number,
    percent,
    pipes,
)

_THIS = "this model"


def refresh_card(
    run: RunFiles, before: RunFiles | None, compared: comparison.Comparison | None
) -> str | None:
    """Updates the card of a run with the results of its evaluations.

    Args:
      run: of a pruned or smaller model.
      before, compared: another run and the comparison with it; used if all its scores are of the dense model.

    Returns:
      A line for the terminal; None if the run has no card.
    """
    if not has_card(run.folder, run.config, run.report):
        return None
    hf = run.folder / "hf"
    file = hf / sealed.CARD
    if not (os.access(run.folder, os.W_OK) and os.access(hf, os.W_OK)):
        return f"unchanged: {file}: its folder is read-only"
    dense = before if before is not None and _is_dense(run, before) else None
    make = smaller_card if "shrunk" in run.report else model_card
    text = make(run.config, run.report, _measured(run, dense, compared if dense else None))
    if not sealed.replace_card(hf, text):
        return f"unchanged: {file}: edited since jaxprune wrote it"
    return f"written: {file}"


def _is_dense(run: RunFiles, before: RunFiles) -> bool:
    """Whether all scores of `before` are of the model of which `run` made another one."""
    dense = run.report.get("models", {}).get("dense")
    return dense is not None and all(
        metrics.get(MODEL_DIGEST) == dense for metrics in before.metrics.values()
    )


def _measured(
    run: RunFiles, dense: RunFiles | None, against: comparison.Comparison | None
) -> Measured:
    tasks = against.tasks if against else {}
    lines: list[str] = []
    for task, scored in run.scored.items():
        lines += _task(task, scored, tasks.get(task), run.options.get(task))
    if lines:
        method = against.method if against else comparison.comparison_method()
        lines = ["## Accuracy by language", "", _about(method, compared=bool(tasks)), "", *lines]
    perplexities = run.metrics.get(PERPLEXITY, {}).get("languages", {})
    lines += _perplexity(perplexities, (against.perplexity if against else None) or {})
    if lines and against:  # below the first title
        sides = "the dense model", _THIS
        notes = comparison.evaluation_notes(against, *sides)
        notes += [f"{capitalized(one)}." for one in comparison.left_out_notes(against, *sides)]
        lines[1:1] = [line for note in notes for line in ("", note)]
    accuracy = {
        task: {code: figure["accuracy"] for code, figure in scored["languages"].items()}
        for task, scored in run.scored.items()
    }
    if note := overlap_note(run.metrics.get(PERPLEXITY, {})):
        lines += [note, ""]
    lines += _continuations(run, dense)
    return Measured(lines, accuracy)


def _about(method: comparison.ComparisonMethod, *, compared: bool) -> str:
    wilson = (
        f"In percent of the rows; intervals of {method.confidence:.0%} are Wilson's. {ABOUT_PRIORS} "
        "At chance: the interval contains 1/options."
    )
    if not compared:
        return f"{wilson} The dense model is not evaluated here: `jaxprune report RUN --against DENSE` adds changes."
    return (
        f"{wilson} The change is in points, its interval by a paired bootstrap over the rows, or groups of them. "
        f"Better and worse: significant by McNemar's exact test, p at most {method.alpha:g} after Holm's correction "
        "over the languages."
    )


def _task(
    task: str, scored: MetricsFile, compared: comparison.TaskComparison | None, options: int | None
) -> Iterator[str]:
    yield from (f"### {as_code(task)}", "")
    protocol = scored.get("protocol")
    facts = [f"Protocol {as_code(str(protocol))}."] if protocol else []
    facts += [f"Chance is {percent(1 / options)}%."] if options else []
    if facts:
        yield from (" ".join(facts), "")
    if compared is None:
        header = ["language", "rows", _THIS, "95% interval", ""]
        header += ["chosen", "without prior", "within groups", "95% interval"]
        rows = [
            [
                code,
                count(one.get("rows", 0)),
                percent(one["accuracy"]),
                interval(one["interval"]),
                "at chance" if verdicts.is_at_chance(one["interval"], options) else "",
                *cells_without_prior(one),
            ]
            for code, one in scored["languages"].items()
        ]
    else:
        sides = ["dense", "interval", _THIS, "interval"]
        header = ["language", "rows", *sides, "change", "interval", ""]
        rows = [_compared_row(*one, options) for one in compared.figures.items()]
    yield from (*pipes(header, rows), "")
    if compared is not None:
        yield from (f"- {note}." for note in comparison.vanished(compared))
        for title, header, rows in comparison.measure_tables(compared, ("dense", _THIS), "change"):
            yield from ("", f"{capitalized(title)}:", "", *pipes(header, rows))
        yield ""


def _compared_row(name: str, figure: comparison.Figures, options: int | None) -> list[str]:
    dense, pruned, change, bounds, _ = comparison.change_cells(figure)
    if isinstance(figure, comparison.MeanComparison):
        return [name, "", dense, "", pruned, "", change, bounds, ""]
    of_dense, of_pruned = map(interval, figure.accuracy_interval)
    word = verdicts.WORDS[verdicts.of_accuracy(figure, options)]
    return [name, count(figure.rows), dense, of_dense, pruned, of_pruned, change, bounds, word]


def _perplexity(
    measured: Mapping[str, LanguageFigures], compared: Mapping[str, comparison.PerplexityComparison]
) -> Iterator[str]:
    known = {code: figure for code, figure in measured.items() if "perplexity" in figure}
    if not known:
        return
    if compared:
        header = ["language", "tokens", "dense", _THIS, "ratio", "95% interval"]
        header += ["bits/byte, dense", _THIS, ""]
        rows = [
            [*row, verdicts.WORDS[verdicts.of_perplexity(compared[row[0]])]]
            for row in comparison.perplexity_rows(compared)
        ]
    else:
        header = ["language", "tokens", "perplexity", "bits/byte"]
        rows = [
            [
                code,
                count(figure.get("tokens", 0)),
                number(figure["perplexity"]),
                fraction(figure.get("bits_per_byte")),
            ]
            for code, figure in known.items()
        ]
    yield from ("## Perplexity by language", "", *pipes(header, rows), "")


def _continuations(run: RunFiles, dense: RunFiles | None) -> Iterator[str]:
    """Those in the calibration's first language, or else in the text's first."""
    named = {"dense": dense, _THIS: run} if dense else {_THIS: run}
    sides = {name: one.metrics.get(PERPLEXITY, {}) for name, one in named.items()}
    codes = [*sides[_THIS].get("continuations", {})]
    if not codes:
        return
    own = joined(run.config.get("calibration", {}).get("source", ""))[0]
    code = own if own in codes else codes[0]
    lines: list[str] = []
    for beginning, *texts in continued_rows([*sides.values()], code):
        lines.append(f"- {as_code(str(beginning))}")
        lines += [
            f"  - {name}: {as_code(text)}" for name, text in zip(sides, texts, strict=True) if text
        ]
    yield from (f"## Continuations, {code}", "", ABOUT_CONTINUATIONS, "")
    yield from folded("Before and after", lines)
