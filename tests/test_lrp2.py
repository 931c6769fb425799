"""studies/lrp2: language vectors and projections against a plain loop over single sequences, block by block."""

import dataclasses
import functools
import itertools
from importlib.resources import files

import jax
import numpy as np
import pytest
from flax import nnx

import jaxprune as jp
from jaxprune.evaluation.scoring.options import question_scores
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks.questions import Option, Question, load_task, questions
from jaxprune.models.model import modules
from nano import corpus
from studies.lrp2 import lrp2

NANO = files("jaxprune").joinpath("nano", "checkpoints", "xglm")
LAYERS, LENGTH = 4, 64


class Counting(Scorer):
    """Counts the blocks that it runs, over all rows of a pass."""

    count = 0

    def run_blocks(self, micro_batches, layers, on_step):
        self.count += len(layers)
        super().run_blocks(micro_batches, layers, on_step)


@pytest.fixture(scope="module")
def scorer():
    return Counting(jp.load(str(NANO)), progress=False)


@pytest.fixture(scope="module")
def nli_rows():
    return questions(load_task("nano_nli"), "fr", rows=6)


@pytest.fixture(scope="module")
def vectors(scorer):
    rng = np.random.default_rng(0)
    shape = (LAYERS, scorer.model.config.d_model)
    return {code: rng.normal(0, 2, shape).astype(np.float32) for code in ("en", "fr")}


@pytest.fixture(scope="module")
def shift(vectors):
    return vectors["en"] - vectors["fr"]


@functools.partial(jax.jit, static_argnames=("config", "part"))
def run(config, part, params, *args):
    return nnx.merge(getattr(modules(config), part)[0], params)(*args)


@functools.cache
def parts(model):
    """Parameters of the embedding, the blocks and the head, on the device once for all sequences."""
    blocks = [model.block(layer) for layer in range(LAYERS)]
    return jax.device_put((model.params["embed"], blocks, model.params["head"]))


def states(model, tokens, change=lambda layer, x: x):
    """Output of every block [T, D] for one sequence, each changed before the next block sees it."""
    config, found = model.config, []
    embed, blocks, _ = parts(model)
    padded = np.zeros(
        (1, LENGTH), np.int32
    )  # one length to compile; pads come last, where none sees them
    padded[0, : len(tokens)] = tokens
    x = run(config, "embed", embed, padded)
    for layer, block in enumerate(blocks):
        x = run(config, "block", block, x)
        x = change(layer, np.array(x[0]))[None]
        found.append(x[0, : len(tokens)])
    return found


def log_probabilities(model, tokens, change):
    x = states(model, tokens, change)[-1]
    x = np.pad(x, ((0, LENGTH - len(x)), (0, 0)))[None]
    embed, _, head = parts(model)
    logits = run(model.config, "head", head, x, embed["tokens"])
    logits = np.asarray(logits[0], np.float64)
    out = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return out[np.arange(len(tokens) - 1), tokens[1:]]


def by_hand(model, option, vectors, pair):
    """The mean over the tokens of an option `premise , right? Label , hypothesis` whose two texts are moved."""
    tokenizer = model.tokenizer
    premise, _, rest = option.continuation.partition(" , right? ")
    hypothesis = rest.partition(" , ")[2]
    tokens = tokenizer(option.continuation)["input_ids"]
    first, last = (
        len(tokenizer(text, add_special_tokens=False)["input_ids"])
        for text in (premise, hypothesis)
    )
    moved = [*range(1, 1 + first), *range(len(tokens) - last, len(tokens))]  # </s> stands in front
    english, french = vectors["en"], vectors["fr"]

    def change(layer, x):
        if layer == pair[0]:
            x[moved] = x[moved] - french[layer] + english[layer]
        if layer == pair[1]:
            x[moved] = x[moved] - english[layer] + french[layer]
        return x

    return log_probabilities(model, tokens, change).mean()


def test_scores_of_every_pair_equal_a_plain_loop(scorer, nli_rows, vectors, shift):
    pairs = list(itertools.combinations(range(LAYERS), 2))
    plain = question_scores(scorer, nli_rows, "paper", "plain")
    # let the right answers be what one of the pairs says
    chosen = lrp2.projected_scores(scorer, nli_rows, shift, [(1, 2)], "paper", "lrp2")[0].argmax(
        axis=1
    )
    nli_rows = [
        dataclasses.replace(question, label=int(label))
        for question, label in zip(nli_rows, chosen, strict=True)
    ]
    found = lrp2.search(scorer, nli_rows, shift, "paper", "search")
    accuracies = {}
    for pair in pairs:
        [got] = lrp2.projected_scores(scorer, nli_rows, shift, [pair], "paper", "lrp2")
        want = [
            [by_hand(scorer.model, o, vectors, pair) for o in question.options]
            for question in nli_rows
        ]
        np.testing.assert_allclose(got, want, atol=1e-4)
        assert np.abs(got - plain).max() > 0.01  # so that forgotten projections would be seen
        right = np.argmax(want, axis=1) == [question.label for question in nli_rows]
        accuracies[pair] = right.mean()
    assert found == pytest.approx(accuracies)
    assert list(found) == pairs  # so that the first of the best is found first
    assert len(set(accuracies.values())) > 1


def test_a_search_shares_what_pairs_have_in_common(scorer, nli_rows, shift, monkeypatch):
    monkeypatch.setattr(scorer, "count", 0)
    lrp2.search(scorer, nli_rows, shift, "paper", "search")
    between = LAYERS * (LAYERS - 1) // 2  # from each first layer through all above it
    above = LAYERS * (LAYERS - 1) * (LAYERS - 2) // 6  # from each second layer to the top
    assert scorer.count == (LAYERS - 1) + between + above
    assert scorer.count < LAYERS * between  # each pair alone


def test_rows_that_begin_alike_are_kept_apart_where_other_tokens_move(scorer, shift):
    """One text, first wholly the row's and then wholly the template's."""
    text = "le chat dort"
    both = [
        Question((Option("", text, own), Option("", f"{text} , right?", own)), 0, row)
        for row, own in enumerate([((0, len(text)),), ()])
    ]
    [got] = lrp2.projected_scores(scorer, both, shift, [(0, 2)], "paper", "lrp2")
    plain = question_scores(scorer, both, "paper", "plain")
    np.testing.assert_allclose(got[1], plain[1], atol=1e-6)
    assert np.abs(got[0] - plain[0]).min() > 0.01


def test_vectors_are_means_of_sentence_means(scorer):
    sentences = {"fr": corpus.sentences("fr", "train", 11), "sw": ["mbwa analala"]}
    got = lrp2.language_vectors(scorer, sentences)
    assert list(got) == ["fr", "sw"]
    for code, lines in sentences.items():
        tokens = [scorer.model.tokenizer(line)["input_ids"] for line in lines]
        assert len(lines) == 1 or len({len(row) for row in tokens}) > 1
        means = [[x.mean(axis=0) for x in states(scorer.model, row)] for row in tokens]
        assert got[code].dtype == np.float32
        np.testing.assert_allclose(got[code], np.mean(means, axis=0), atol=1e-5)


def test_a_language_without_sentences_is_refused(scorer):
    with pytest.raises(jp.InputError, match="fr: no samples"):
        lrp2.language_vectors(scorer, {"fr": []})


def test_the_pair_of_a_language_is_the_best_on_validation_rows(scorer, monkeypatch):
    monkeypatch.setattr(lrp2, "VALIDATION_ROWS", 8)
    task = load_task("nano_nli")
    lines = {code: corpus.sentences(code, "train", 5) for code in ("en", "fr")}
    [steered] = lrp2.steer(scorer, [task], lines, lrp2.Settings(rows=6))
    vectors = lrp2.language_vectors(scorer, lines)
    rows = lrp2.validation_rows(task, "fr", lrp2.Settings())
    assert len(rows) == 8
    assert {row.row for row in rows} != set(range(8))  # drawn
    labels = np.array([row.label for row in rows])
    want = {}
    for pair in itertools.combinations(range(LAYERS), 2):
        scores = [[by_hand(scorer.model, o, vectors, pair) for o in row.options] for row in rows]
        want[pair] = (np.argmax(scores, axis=1) == labels).mean()
    assert (steered.language, steered.pair) == ("fr", max(want, key=want.get))
    assert steered.validation == max(want.values())
    evaluated = questions(task, "fr", rows=6)
    own = np.array([question.label for question in evaluated])
    plain = question_scores(scorer, evaluated, "paper", "plain").argmax(axis=1) == own
    assert steered.dense == plain.mean()
