"""Questions and language vectors → option scores under LRP2, which shifts hidden states instead of pruning weights.

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

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxprune.calibration import SetKey
from jaxprune.devices import compiled_by_rows
from jaxprune.errors import InputError
from jaxprune.evaluation.scoring import (
    Encoded,
    Forest,
    Scorer,
    encode_questions,
    option_scores,
    pack_forests,
    slices,
)
from jaxprune.evaluation.tasks import Question
from jaxprune.passes import MicroBatches, calibration_states, group_by_length, sum_samples
from jaxprune.progress import progress_bar

PROTOCOLS = ("paper", "official")
# Sentences that a device processes at a time.
SAMPLES_PER_DEVICE = 8

LayerPair = tuple[int, int]


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
    labels = np.array([question.label for question in questions])
    accuracies = (scores.argmax(axis=-1) == labels).mean(axis=-1)
    return dict(zip(pairs, accuracies.tolist(), strict=True))


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
            f"{name}: the tokenizer has no character offsets of tokens; allowed: a fast tokenizer"
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
