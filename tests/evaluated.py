"""Evaluations made of arrays, in memory and in workdirs."""

import numpy as np
from jobs import job

from jaxprune.evaluation.evaluation import Evaluation, Part
from jaxprune.evaluation.folders import write_part
from jaxprune.evaluation.scoring.metrics import task_measurements
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY, Perplexity, perplexity_measurements
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.evaluate import translation_measurements
from jaxprune.evaluation.translation.results import TRANSLATION, Translated
from jaxprune.nano import CHECKPOINTS

LABELS = np.random.default_rng(0).integers(0, 3, 300)
GROUPS = np.int32(np.arange(300) // 3 * 3)


def evaluation_job(model=CHECKPOINTS["bloom"], dtype="float32", **fields):
    """A config of an evaluation with these fields of it."""
    given = {f"evaluation.{name}": value for name, value in fields.items()}
    return job(model, "evaluate", dtype=dtype, **given)


def made_scores(seed, weight):
    noise = np.random.default_rng(seed).normal(size=(len(LABELS), 3))
    return noise + weight * np.eye(3)[LABELS]


def right(scores):
    return np.argmax(scores, axis=1) == LABELS


# sw gets much worse, fr a little better.
A = {"en": made_scores(1, 2.0), "fr": made_scores(2, 1.0), "sw": made_scores(3, 1.5)}
B = {"en": A["en"], "fr": A["fr"] + made_scores(4, 0.6) / 3, "sw": made_scores(5, 0.1)}


def scored(scores, labels, rows=None, **arrays):
    """Scores of rows that are numbered from 0, or as given."""
    rows = np.arange(len(labels)) if rows is None else rows
    return Scored(np.float32(scores), np.int32(labels), np.int32(rows), **arrays)


def text(total, tokens=1000, parts=(), size=None):
    """The log-probability of a text; `parts` are (log-probability, tokens, bytes), by default one, 4 bytes a token."""
    size = 4 * tokens if size is None else size
    sums, counts, sizes = np.array(parts or [(total, tokens, size)], float).reshape(-1, 3).T
    return Perplexity(total, tokens, size, sums, counts.astype(int), sizes.astype(int))


def of_perplexity(value, tokens=1000, **more):
    """A text of this perplexity."""
    return text(-tokens * float(np.log(value)), tokens, **more)


def part(run, name, rows, **facts):
    """A part with the measurements of its rows."""
    source, facts = (run, "model", name), {"run": run, "model": "model", **facts}
    facts |= {"languages": [*rows]}
    if name == PERPLEXITY:
        measured = perplexity_measurements(source, rows)
    elif name == TRANSLATION:
        facts |= {"protocol": facts.get("protocol", {"target": "en", "shots": 4})}
        measured, _ = translation_measurements(source, rows, facts["protocol"]["target"])
    else:
        facts = {"protocol": "paper", "labels": None, "parallel": True, **facts}
        measured = task_measurements(source, rows, parallel=facts["parallel"])
    return Part(facts=facts, measurements=measured, rows=rows)


def evaluation(name, **parts):
    """An evaluation with these rows by language of each part."""
    return Evaluation(name=name, parts={task: part(name, task, r) for task, r in parts.items()})


def written(evaluation, workdir):
    """Writes an evaluation, and returns its workdir."""
    for name, one in evaluation.parts.items():
        write_part(workdir, name, one)
    return workdir


def translated(hypotheses, references):
    """Translations of sentences that nobody reads."""
    return Translated(["…"] * len(references), hypotheses, references)


def figures(scored, code="fr"):
    """The measurements of a task in one language, by measure."""
    measured = task_measurements(("run", "model", "task"), {code: scored})
    return {row.measure: row for row in measured}


def changes(comparison, measure, task="xnli"):
    """By language."""
    return {
        row.language: row
        for row in comparison.changes
        if (row.task, row.measure) == (task, measure)
    }
