"""How good a model, pruned or not, is on meanings that no nano model has read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.evaluation.scoring.options import question_scores
from jaxprune.evaluation.scoring.scorer import Scorer, TokenScores
from jaxprune.evaluation.tasks.questions import load_task, questions
from jaxprune.hf.model import Model
from nano import corpus, files
from nano.corpus import EOS
from nano.grammar import LANGUAGES


def predict(model: Model, texts: Sequence[str]) -> list[TokenScores]:
    """What the model says of each token after the first of every text."""
    return Scorer(model, progress=False)(model.tokenizer(list(texts))["input_ids"])


def translation(
    model: Model, source: str, target: str, count: int = 100, shots: int = 2, seed: int = 1
) -> float:
    """Share of held-out sentences whose greedy translation is exactly right, end included.

    A greedy translation is right if and only if every token of the right one is the likeliest after
    those before it, so one pass over prompt and translation tells without generating.
    """
    shown = [corpus.sentences(code, "train", count * shots, seed) for code in (source, target)]
    asked = [corpus.sentences(code, "held_out", count, seed) for code in (source, target)]
    prompts, texts = [], []
    for i, (query, answer) in enumerate(zip(*asked, strict=True)):
        pairs = list(zip(*(lines[i * shots : (i + 1) * shots] for lines in shown), strict=True))
        prompts.append(corpus.translation_prompt(pairs, source, target, query))
        texts.append(f"{prompts[-1]} {answer}{EOS}")
    starts = [len(ids) for ids in model.tokenizer(prompts)["input_ids"]]
    right = [
        bool(p.is_argmax[start - 1 :].all())  # nothing predicts the first token
        for p, start in zip(predict(model, texts), starts, strict=True)
    ]
    return float(np.mean(right))


def nli(model: Model, language: str, count: int = 1000, seed: int = 1) -> float:
    """Accuracy on held-out NLI rows, in the paper's prompt."""
    return _accuracy(model, "nano_nli", corpus.nli_rows, language, count, seed)


def reviews(model: Model, language: str, count: int = 500, seed: int = 1) -> float:
    """Accuracy on held-out reviews, in the paper's prompt."""
    return _accuracy(model, "nano_reviews", corpus.review_rows, language, count, seed)


def _accuracy(
    model: Model,
    task: str,
    rows: Callable[..., Sequence[Any]],
    language: str,
    count: int,
    seed: int,
) -> float:
    """On rows of another seed than the task's own."""
    with tempfile.TemporaryDirectory() as folder:
        files.write_rows(
            Path(folder) / f"{language}.jsonl", rows(language, "held_out", count, seed)
        )
        asked = questions(load_task(task), language, data=folder)
    scores = question_scores(Scorer(model, progress=False), asked, "paper", f"{task} {language}")
    return float(np.mean(scores.argmax(axis=1) == [question.label for question in asked]))


def figures(model: Model) -> dict[str, dict[str, float]]:
    """Accuracies by task and language or direction, all on held-out meanings."""
    directions = [(s, t) for s in LANGUAGES for t in LANGUAGES if s != t]
    return {
        "translation": {f"{s}-{t}": translation(model, s, t) for s, t in directions},
        "nli": {code: nli(model, code) for code in LANGUAGES},
        "reviews": {code: reviews(model, code) for code in LANGUAGES},
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures as lines of text; translation by source (rows) and target (columns)."""
    codes = tuple(LANGUAGES)
    lines = ["translation, exact match (source by row, target by column), 2 shots"]
    lines.append("      " + "".join(f"{code:>7}" for code in codes))
    for source in codes:
        cells = (figures["translation"].get(f"{source}-{target}") for target in codes)
        lines.append(
            f"{source:>6}" + "".join("      -" if c is None else f"{c:7.3f}" for c in cells)
        )
    lines.append(f"  mean{np.mean(list(figures['translation'].values())):7.3f}")
    for task in ("nli", "reviews"):
        lines.append(f"{task}, accuracy")
        lines.append("      " + "".join(f"{code:>7}" for code in codes))
        lines.append("      " + "".join(f"{figures[task][code]:7.3f}" for code in codes))
    return "\n".join(lines)
