"""Evaluations of a run → the model card in its `hf/`, with the tables of its measurements."""

import os
from collections.abc import Sequence

from jaxprune.base.files import manifest
from jaxprune.base.templates import render
from jaxprune.base.text import as_code, pipes
from jaxprune.base.workdir.reading import MODEL_DIGEST, has_card
from jaxprune.evaluation.change_tables import ABOUT_CHANGES, conclusion
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.comparison import Comparison, compare_evaluations
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.run_tables import ABOUT_MEASURES, overlap_note
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.write import markdown_tables
from jaxprune.pages.card import Measured, model_card
from jaxprune.pages.files import RunFiles
from jaxprune.pages.results import main_table


def refresh_card(
    run: RunFiles, before: RunFiles | None, comparison: Comparison | None
) -> str | None:
    """Updates the card of a run with the results of its evaluations.

    Args:
      run: run of a pruned or smaller model.
      before, comparison: the base and the comparison with it; used if all its scores are of the dense model.

    Returns:
      A line for the terminal; None if the run has no card.
    """
    if not has_card(run.folder, run.config, run.report):
        return None
    hf = run.folder / "hf"
    file = hf / manifest.CARD
    if not (os.access(run.folder, os.W_OK) and os.access(hf, os.W_OK)):
        return f"unchanged: {file}: its folder is read-only"
    is_dense = before is not None and _is_dense(run, before.evaluation)
    measured = _measured(run, comparison if is_dense else None)
    text = model_card(run.config, run.report, measured, run.packing)
    if not manifest.replace_card(hf, text):
        return f"unchanged: {file}: edited since jaxprune wrote it"
    return f"written: {file}"


def _is_dense(run: RunFiles, before: Evaluation) -> bool:
    """Whether all scores of `before` are of the dense model of `run`."""
    dense = run.report.get("models", {}).get("dense")
    if run.packing:  # whose report is that of its rounding
        dense = run.packing["identity"]["the model's files"]
    return dense is not None and all(
        part.facts.get(MODEL_DIGEST) == dense for part in before.parts.values()
    )


def _measured(run: RunFiles, comparison: Comparison | None) -> Measured:
    """The tables of the run, or of its comparison with the dense model."""
    measurements = run.evaluation.measurements
    if not measurements:
        return Measured()
    accuracy: dict[str, dict[str, float]] = {}
    for row in measurements:
        if row.measure == "accuracy":
            accuracy.setdefault(row.task, {})[row.language] = row.value
    evaluations: Sequence[Evaluation] = [run.evaluation]
    changes: Sequence[Change] = ()
    if comparison:
        pair = comparison
        if len(pair.names) > 2:
            pair = compare_evaluations([comparison.evaluations[0], comparison.evaluations[-1]])
        evaluations, changes, tables = pair.evaluations, pair.changes, pair.tables
        base, pruned = map(as_code, pair.names)
        notes = [
            f"{base} is the dense model, {pruned} this one.",
            conclusion(changes, pair.measurements),
            *pair.notes,
            *pair.left_out,
        ]
    else:
        notes = [
            "The dense model is not evaluated here: `jaxprune report RUN --against DENSE` adds changes."
        ]
        tables = run.evaluation.tables
    text = run.evaluation.parts.get(PERPLEXITY)
    if text and (overlap := overlap_note(text.facts)):
        notes.append(overlap)
    first = main_table(evaluations, changes)
    terms = [ABOUT_CHANGES] * bool(changes) + [ABOUT_MEASURES] * bool(run.evaluation.tasks)
    results = render(
        "results.md",
        notes=[note for note in notes if note],
        table="\n".join(pipes(first.header, first.rows)),
        about=first.note,
        others="\n".join(markdown_tables(tables, "###")),
        terms=terms,
    )
    return Measured(results, accuracy)
