"""LRP2, a baseline that shifts hidden states instead of pruning weights: accuracy on a task in several languages.

python studies/lrp2/lrp2.py MODEL --tasks nano_nli --sentences nano --languages fr,sw

LRP2, language representation projection, is a baseline without pruning. Xu, Li and Xiong (EMNLP 2023,
arXiv 2311.03788) shift the states of a sentence towards English after one block and back after a later one. With h the
output of a block and v the language's mean of such outputs:

    after block i:      h ← h - v_language^i + v_English^i
    after block j > i:  h ← h - v_English^j + v_language^j

The paper of this project chooses (i, j) for each language by accuracy on the validation set of XNLI. Both papers leave
details open; they follow the code of the second paper:
  - a language's vector is the mean over sentences (100 of FLORES dev) of each sentence's mean over tokens;
  - the tokens of the row's texts are shifted; those of the template, which is English, are not;
  - all pairs i < j are evaluated (on 500 shuffled rows), and the first of equally good ones is chosen.
Three details differ from that code. It counts the embeddings as a layer, and leaves the first projection out for
it; here layers are blocks, 0 … L-1. After the last block it subtracts normed vectors from states before the final norm;
here no vector is normed. It finds the row's tokens by counting words, which fails in scripts without spaces; here
characters determine them.
"""

import argparse
import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import SetKey
from jaxprune.data.texts import sentences
from jaxprune.devices.sharding import compiled_by_rows
from jaxprune.evaluation.scoring.forest import Forest, pack_forests
from jaxprune.evaluation.scoring.options import (
    Encoded,
    encode_questions,
    option_scores,
    question_scores,
)
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.scoring.vocabulary import slices
from jaxprune.evaluation.tasks.questions import Question, load_task, questions
from jaxprune.evaluation.tasks.task_file import Task
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.micro_batches import MicroBatches
from jaxprune.stats.states import calibration_states
from jaxprune.stats.stats import sum_samples

PROTOCOLS = ("paper", "official")
# Sentences that a device processes at a time.
SAMPLES_PER_DEVICE = 8
# Validation rows for the choice of a pair of layers, and sentences of a vector, as many as in the authors' code.
VALIDATION_ROWS, SENTENCES = 500, 100

LayerPair = tuple[int, int]


class Settings(NamedTuple):
    """What is asked of all languages.

    Attributes:
      target: the language towards which states are shifted.
      protocol: paper or official.
      data: a pattern of rows with {split} instead of the tasks' own.
      rows: the number of rows of a language that are evaluated; by default all.
      seed: of the choice of rows.
    """

    target: str = "en"
    protocol: str = "paper"
    data: str | None = None
    rows: int | None = None
    seed: int = 0


class Steered(NamedTuple):
    """A task in one language.

    Attributes:
      task, language: their names.
      pair: the layers after which states are shifted, and shifted back.
      validation: accuracy with them on the rows on which they were chosen.
      dense, accuracy: on the evaluated rows, without and with the shifts.
    """

    task: str
    language: str
    pair: LayerPair
    validation: float
    dense: float
    accuracy: float


def steer(
    scorer: Scorer,
    tasks: Sequence[Task],
    sentences: Mapping[str, Sequence[str]],
    settings: Settings,
) -> list[Steered]:
    """Chooses a pair of layers for each language except the target, and evaluates all tasks with it.

    Args:
      scorer: of the dense model.
      tasks: the first one has a validation split, on which pairs are chosen.
      sentences: by language, the target included.
      settings: see `Settings`.
    """
    target, protocol, data, rows, seed = settings
    vectors = language_vectors(scorer, sentences)
    steered = []
    for code in vectors:
        if code == target:
            continue
        shift = vectors[target] - vectors[code]
        chosen_on = validation_rows(tasks[0], code, settings)
        accuracies = search(scorer, chosen_on, shift, protocol, f"search {code}")
        pair = max(accuracies, key=accuracies.__getitem__)  # the first of equally good ones
        for task in tasks:
            asked = questions(task, code, protocol=protocol, data=data, rows=rows, seed=seed)
            name = f"{task.name} {code}"
            dense = question_scores(scorer, asked, protocol, f"{name} dense")
            [scores] = projected_scores(scorer, asked, shift, [pair], protocol, f"{name} lrp2")
            shares = (_accuracy(dense, asked), _accuracy(scores, asked))
            steered.append(Steered(task.name, code, pair, accuracies[pair], *shares))
    return steered


def validation_rows(task: Task, code: str, settings: Settings) -> list[Question]:
    """VALIDATION_ROWS questions of the validation split, or all if it has fewer, drawn by the seed."""
    source = dataclasses.replace(task.source, split="validation")
    sections = {
        name: dataclasses.replace(section, split=None) for name, section in task.sections.items()
    }
    validation = dataclasses.replace(task, source=source, sections=sections)
    _, protocol, data, _, seed = settings
    rows = questions(validation, code, protocol=protocol, data=data, seed=seed)
    order = np.random.default_rng(seed).permutation(len(rows))[:VALIDATION_ROWS]
    return [rows[place] for place in order]


def language_vectors(
    scorer: Scorer, sentences: Mapping[str, Sequence[str]]
) -> dict[str, Float[np.ndarray, "L D"]]:
    """Mean output of every block for each language, float32; the bits do not depend on the devices.

    Args:
      scorer: has the model, its dtype and the devices.
      sentences: by language, tokenised with the tokenizer's defaults.

    Raises:
      InputError: no sentences, or one with no tokens or more than the model has positions.
    """
    model, batches, counts = scorer.model, [], {}
    means: dict[str, list[np.ndarray]] = {code: [] for code in sentences}
    for code, lines in sentences.items():
        tokens = model.tokenizer(list(lines), verbose=False)["input_ids"] if lines else []
        rows = [np.asarray(row, np.int32) for row in tokens]
        limit = model.config.max_positions
        batches += group_by_length(rows, code, micro_batch=SAMPLES_PER_DEVICE, max_length=limit)
        counts[code] = np.array([len(row) for row in rows])
    samples = calibration_states(model, batches, scorer.mesh, SAMPLES_PER_DEVICE, scorer.dtype)
    total = sum(batch.num_tokens for batch in batches)
    with progress_bar("vectors", model.config.n_layers, total, scorer.progress) as bar:
        for layer in range(model.config.n_layers):
            scorer.run_blocks(samples, range(layer, layer + 1), bar.update)
            sums: list[np.ndarray] = []
            samples.run(
                lambda x, context: (None, _token_sums(x, context.valid, mesh=scorer.mesh)),
                sums.append,
            )
            by_sample = samples.gather(sums)
            for code in sentences:
                members = samples.sets[SetKey(code)]
                numbers = samples.samples[members]
                rows = by_sample[members] / counts[code][numbers, None]
                summed = sum_samples(rows, numbers).astype(np.float32)
                means[code].append(summed / np.float32(len(numbers)))
    return {code: np.stack(layers) for code, layers in means.items()}


def search(
    scorer: Scorer,
    questions: Sequence[Question],
    shift: Float[np.ndarray, "L D"],
    protocol: str,
    name: str,
) -> dict[LayerPair, float]:
    """Accuracy under every pair of layers i < j, in ascending order.

    Arguments and errors are those of `projected_scores`. The model has two layers or more. Questions are of a
    validation split, see `tasks.questions`.
    """
    pairs = list(itertools.combinations(range(scorer.model.config.n_layers), 2))
    scores = projected_scores(scorer, questions, shift, pairs, protocol, name)
    return {pair: _accuracy(own, questions) for pair, own in zip(pairs, scores, strict=True)}


def projected_scores(
    scorer: Scorer,
    questions: Sequence[Question],
    shift: Float[np.ndarray, "L D"],
    pairs: Sequence[LayerPair],
    protocol: str,
    name: str,
) -> Float[np.ndarray, "P R C"]:
    """Scores of the options of every question under pairs of projections, float32; higher is likelier.

    Pairs share computation: states below the first projection are computed once for all pairs, states between the two
    once for all pairs with the same first layer. Only the blocks above the second layer and the vocabulary are computed
    for each pair.

    Args:
      scorer: `resident=True` keeps the weights on the devices for all pairs.
      questions: see `tasks.questions`.
      shift: vectors of the language towards which states are shifted, minus those of the questions' language; see
        `language_vectors`.
      pairs: layers (i, j) with 0 <= i < j < L, in ascending order.
      protocol: paper or official.
      name: on the progress bar and in messages.

    Raises:
      InputError: a question that cannot be scored; a tokenizer without character offsets.
    """
    encoded = encode_questions(scorer.model, questions, protocol, name)
    is_moved = _is_moved(scorer, questions, encoded, name)
    # A token and its flag as one number, so that shared prefixes are equal in both.
    coded = [
        [2 * token + flag for token, flag in zip(tokens, flags, strict=True)]
        for tokens, flags in zip(encoded.sequences, is_moved, strict=True)
    ]
    passes = [
        part for forest in pack_forests(coded, encoded.starts) for part in scorer.passes(forest)
    ]
    sums = np.zeros((len(pairs), len(coded)))
    tokens = len(pairs) * sum(len(forest.tokens) * forest.seen for forest in passes)
    steps = len(passes) * _steps(scorer, pairs)
    with progress_bar(name, steps, tokens, scorer.progress, unit="steps") as bar:
        for forest in passes:
            walk = _walk(scorer, forest, shift, pairs, bar.update)
            for number, log_probabilities in enumerate(walk):
                for s, start, row, path in forest.leaves:
                    scored = log_probabilities[row, path[start:]]
                    sums[number, s] = scored.sum(dtype=np.float64)
    return option_scores(sums, encoded, protocol, len(questions[0].options))


@compiled_by_rows
def _token_sums(x: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Σ over the real tokens of every sample."""
    return jnp.sum(jnp.where(valid[..., None], x, 0), axis=1)


def _is_moved(
    scorer: Scorer, questions: Sequence[Question], encoded: Encoded, name: str
) -> list[list[bool]]:
    """For each option, whether a token is shifted: it has a character of the row's own text."""
    tokenizer = scorer.model.tokenizer
    if not tokenizer.is_fast:
        raise InputError(
            f"{name}: the tokenizer has no character offsets of tokens; use a fast tokenizer"
        )
    options = [option for question in questions for option in question.options]
    texts = [option.context + option.continuation for option in options]
    tokenized = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    assert tokenized["input_ids"] == encoded.sequences
    return [
        [any(max(a, start) < min(b, stop) for start, stop in option.row_spans) for a, b in offsets]
        for option, offsets in zip(options, tokenized["offset_mapping"], strict=True)
    ]


def _walk(
    scorer: Scorer,
    forest: Forest,
    shift: Float[np.ndarray, "L D"],
    pairs: Sequence[LayerPair],
    on_step: Callable[[], None],
) -> Iterator[Float[np.ndarray, "R T"]]:
    """Log-probabilities of a forest of coded tokens under each pair."""
    flags = (forest.tokens[:, : forest.seen] & 1).astype(np.float32)
    forest = forest._replace(tokens=forest.tokens >> 1)
    below = scorer.embed(forest)
    moved = below.cut(flags)
    low = 0
    for first, same_first in itertools.groupby(pairs, key=lambda pair: pair[0]):
        scorer.run_blocks(below, range(low, first + 1), on_step)
        low = high = first + 1
        between = _moved(below, moved, shift[first])
        for _, second in same_first:
            scorer.run_blocks(between, range(high, second + 1), on_step)
            high = second + 1
            above = _moved(between, moved, -shift[second])
            scorer.run_blocks(above, range(high, scorer.model.config.n_layers), on_step)
            yield scorer.score_tokens(above, forest, on_step)[0]


def _accuracy(scores: Float[np.ndarray, "R C"], questions: Sequence[Question]) -> float:
    """The share of questions whose right option has the highest score."""
    labels = np.array([question.label for question in questions])
    return float((scores.argmax(axis=-1) == labels).mean())


def _moved(
    micro_batches: MicroBatches,
    moved: Sequence[Float[np.ndarray, "B T"]],
    by: Float[np.ndarray, " D"],
) -> MicroBatches:
    """A copy of `micro_batches` with the vector `by` added to the states of the flagged tokens."""
    shifted = copy.copy(micro_batches)
    shifted.states = [
        state + flags[..., None] * by
        for state, flags in zip(micro_batches.states, moved, strict=True)
    ]
    return shifted


def _steps(scorer: Scorer, pairs: Sequence[LayerPair]) -> int:
    """The number of blocks and slices of the vocabulary for one forest."""
    layers = scorer.model.config.n_layers
    last = dict(pairs)  # the highest second layer of each first one
    shared = max(last) + 1 + sum(second - first for first, second in last.items())
    alone = sum(layers - 1 - second for _, second in pairs)
    return shared + alone + len(pairs) * len(slices(scorer.model.config))


def main() -> None:
    """Prints a table of the languages of a task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder, a hub id, or nano/xglm")
    parser.add_argument(
        "--tasks", default="xnli", help="pairs are chosen on the first one's validation split"
    )
    parser.add_argument(
        "--sentences", required=True, help="texts for the vectors, as calibration.data"
    )
    parser.add_argument("--languages", required=True, help="as fr,sw")
    parser.add_argument("--target", default="en")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="paper")
    parser.add_argument("--data", help="a pattern of rows with {split} instead of the tasks' own")
    parser.add_argument("--rows", type=int, help="that are evaluated; by default all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    settings = Settings(**{name: getattr(arguments, name) for name in Settings._fields})
    codes = [settings.target, *arguments.languages.split(",")]
    lines = {code: sentences(arguments.sentences, code)[:SENTENCES] for code in codes}
    tasks = [load_task(name) for name in arguments.tasks.split(",")]
    print("| task | language | layers | validation | dense | lrp2 |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for row in steer(Scorer(jp.load(arguments.model)), tasks, lines, settings):
        first, second = row.pair
        shares = f"{row.validation:.1%} | {row.dense:.1%} | {row.accuracy:.1%}"
        print(f"| {row.task} | {row.language} | {first}, {second} | {shares} |")


if __name__ == "__main__":
    main()
