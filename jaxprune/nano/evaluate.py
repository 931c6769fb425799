"""How good a model, pruned or not, is on meanings that no nano model has read."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxprune import models
from jaxprune.model import Model
from jaxprune.models import ModelConfig
from jaxprune.nano import corpus
from jaxprune.nano.corpus import EOS, VERBALISERS
from jaxprune.nano.grammar import LANGUAGES
from jaxprune.nano.inference import LABELS
from jaxprune.nano.reviews import SENTIMENTS

BATCH = 64
BUCKET = 32  # rows are padded to a multiple of this many tokens


class Prediction(NamedTuple):
    """What a model says of one text, by token; the first token has no prediction."""

    log_probabilities: Float[np.ndarray, " T-1"]
    first_choice: Bool[np.ndarray, " T-1"]  # no other token is likelier


@functools.partial(jax.jit, static_argnames="config")
def _predict(
    params: Any, config: ModelConfig, tokens: Int[Array, "B T"]
) -> tuple[Float[Array, "B T-1"], Bool[Array, "B T-1"]]:
    logits = jax.nn.log_softmax(models.logits(params, config, tokens[:, :-1]))
    chosen = jnp.take_along_axis(logits, tokens[:, 1:, None], axis=-1)[..., 0]
    return chosen, jnp.argmax(logits, axis=-1) == tokens[:, 1:]


def predict(model: Model, texts: Sequence[str]) -> list[Prediction]:
    """Log-probability of each token after the first of every text, and whether it is the argmax."""
    ids: list[list[int]] = model.tokenizer(list(texts))["input_ids"]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found: dict[int, Prediction] = {}
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        width = -(-len(ids[chosen[-1]]) // BUCKET) * BUCKET
        tokens = np.zeros((BATCH, width), np.int32)
        for row, i in enumerate(chosen):
            tokens[row, : len(ids[i])] = ids[i]
        scores, best = jax.device_get(_predict(model.params, model.config, tokens))
        for row, i in enumerate(chosen):
            found[i] = Prediction(scores[row, : len(ids[i]) - 1], best[row, : len(ids[i]) - 1])
    return [found[i] for i in range(len(ids))]


def translation(
    model: Model, source: str, target: str, count: int = 100, shots: int = 2, seed: int = 1
) -> float:
    """Share of held-out sentences whose greedy translation is exactly right, end included.

    A greedy translation is right if and only if every token of the right one is the likeliest after
    those before it, so one pass over prompt and translation tells without generating.
    """
    shown = [corpus.sentences(code, "train", count * shots, seed) for code in (source, target)]
    asked = [corpus.sentences(code, "held_out", count, seed) for code in (source, target)]
    texts, endings = [], []
    for i, (query, answer) in enumerate(zip(*asked, strict=True)):
        pairs = list(zip(*(lines[i * shots : (i + 1) * shots] for lines in shown), strict=True))
        prompt = corpus.translation_prompt(pairs, source, target, query)
        texts.append(f"{prompt} {answer}{EOS}")
        endings.append(len(model.tokenizer(texts[-1])["input_ids"]))
        endings[-1] -= len(model.tokenizer(prompt)["input_ids"])
    right = [
        bool(p.first_choice[-ending:].all())
        for p, ending in zip(predict(model, texts), endings, strict=True)
    ]
    return float(np.mean(right))


def choices(model: Model, options: Sequence[Sequence[str]]) -> Int[np.ndarray, " rows"]:
    """For each row the index of the text whose tokens have the highest mean log-probability."""
    flat = predict(model, [text for row in options for text in row])
    scores = np.array([p.log_probabilities.mean() for p in flat])
    return scores.reshape(len(options), -1).argmax(axis=1)


def nli(model: Model, language: str, count: int = 1000, seed: int = 1) -> float:
    """Accuracy on held-out NLI rows, in the paper's prompt."""
    rows = corpus.nli_rows(language, "held_out", count, seed)
    options = [
        [f"{row.premise} , right? {VERBALISERS[label]} , {row.hypothesis}" for label in LABELS]
        for row in rows
    ]
    return float(np.mean(choices(model, options) == [row.label for row in rows]))


def reviews(model: Model, language: str, count: int = 500, seed: int = 1) -> float:
    """Accuracy on held-out reviews, in the paper's prompt."""
    rows = corpus.review_rows(language, "held_out", count, seed)
    options = [[f"{row.text} It is {label}" for label in SENTIMENTS] for row in rows]
    return float(np.mean(choices(model, options) == [row.label for row in rows]))


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
