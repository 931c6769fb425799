"""Scores of shared prefixes and sliced vocabularies against torch's, sequence by sequence."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from conftest import tiny_torch
from device_jobs import on_eight_devices, scored
from torch_scores import token_scores

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.scoring import forest, vocabulary
from jaxprune.evaluation.scoring.parts import fits
from jaxprune.evaluation.scoring.scorer import Scorer, rows_per_device

# Heads of their own and tied ones, with biases and without, positions and windows of each kind, caps and scales
NAMES = (
    "xglm", "bloom-12-heads-post", "gpt2-unscaled-inner", "llama3-tied-biases", "gemma2", "cohere2",
)  # fmt: skip


@pytest.fixture(scope="module")
def models(tiny_folder):
    return functools.cache(lambda name: jp.load(tiny_folder(name)))


@pytest.fixture
def model(models, monkeypatch):
    """name → that tiny model, with short rows and three slices of its 131 tokens, the last one not full.

    Of one shape in all tests, which so share what is compiled.
    """
    monkeypatch.setattr(forest, "MIN_LENGTH", 64)
    monkeypatch.setattr(vocabulary, "SLICE", 50)
    monkeypatch.setattr(vocabulary, "CPU_TOKENS", 25)
    return models


def sequences_of(vocab, seed=0, longest=60):
    """A few stems, and continuations of them; one sequence twice, and one that is the prefix of another."""
    rng = np.random.default_rng(seed)
    stems = [rng.integers(0, vocab, n).tolist() for n in (7, 20, 31)]
    made = [
        stem[: rng.integers(1, len(stem) + 1)]
        + rng.integers(0, vocab, rng.integers(0, 25)).tolist()
        for stem in stems
        for _ in range(6)
    ]
    made += [made[3], made[4][: max(1, len(made[4]) // 2)]]
    made.append(rng.integers(0, vocab, longest).tolist())
    starts = [int(rng.integers(1, len(sequence) + 2)) for sequence in made]
    return made, starts


def greedy(model, sequence, count):
    """The sequence with its likeliest continuation."""
    for _ in range(count):
        with torch.no_grad():
            logits = model(torch.tensor([sequence])).logits[0, -1]
        sequence = [*sequence, int(logits.argmax())]
    return sequence


def check(got, expected):
    np.testing.assert_allclose(got.log_probabilities, expected[0], atol=1e-4)
    np.testing.assert_array_equal(got.is_argmax, expected[1])


@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_torch(name, model):
    model = model(name)
    sequences, starts = sequences_of(model.config.vocab_size)
    reference = tiny_torch(name)
    sequences.append(greedy(reference, sequences[0], 5))
    starts.append(1)
    scores = Scorer(model, progress=False)(sequences, starts)
    for sequence, start, got in zip(sequences, starts, scores, strict=True):
        assert got.log_probabilities.dtype == np.float32
        check(got, token_scores(reference, sequence, start))
    assert scores[-1].is_argmax[-5:].all()


@pytest.mark.parametrize("name", ["gpt2-unscaled-inner", "xglm"])  # an untied head and a tied one
def test_where_parameters_are_changes_no_bit(name, model):
    model = model(name)
    sequences, starts = sequences_of(model.config.vocab_size)
    streamed = Scorer(model, resident=False, progress=False)(sequences, starts)
    resident = Scorer(model, resident=True, progress=False)
    in_memory = Scorer(model.replace(model.params), progress=False)
    for other in (resident, resident, in_memory):  # resident: read, then held
        for one, same in zip(streamed, other(sequences, starts), strict=True):
            np.testing.assert_array_equal(one.log_probabilities, same.log_probabilities)


@pytest.mark.parametrize(
    ("rows", "usual", "want"),
    [(20, 4, 5), (30, 4, 5), (10, 2, 1), (1, 8, 4), (64, 4, 4), (24, 4, 4)],
)
def test_few_rows_fill_their_micro_batches(rows, usual, want):
    assert rows_per_device(rows, usual) == want


def test_eight_devices_score_as_one(tiny_folder, tmp_path):
    folder = tiny_folder("llama")
    on_eight_devices("score", folder, tmp_path)
    one = scored(folder, 1)
    for mesh in ("eight", "shared"):
        many = np.load(tmp_path / f"{mesh}.npz")
        assert set(one) == set(many.files)
        for key, array in one.items():
            np.testing.assert_allclose(many[key], array, atol=1e-5)


@pytest.mark.instructions
def test_bfloat16_stays_near(model):
    model = model("qwen3")
    sequences, _ = sequences_of(model.config.vocab_size)
    scorers = (Scorer(model, dtype=dtype, progress=False) for dtype in ("float32", "bfloat16"))
    exact, rough = (
        np.concatenate([one.log_probabilities for one in scorer(sequences)]) for scorer in scorers
    )
    error = np.abs(exact - rough).mean() / np.abs(exact).mean()
    assert 1e-4 < error < 0.03


@pytest.mark.parametrize("length", [32, 33, 34])
def test_rows_that_are_full_to_the_last_token(length, model, monkeypatch):
    monkeypatch.setattr(forest, "MIN_LENGTH", 32)
    model, reference = model("bloom-12-heads-post"), tiny_torch("bloom-12-heads-post")
    rng = np.random.default_rng(0)
    stem = rng.integers(0, model.config.vocab_size, length).tolist()
    sequences = [stem, [*stem[:-1], (stem[-1] + 1) % model.config.vocab_size]]
    scorer = Scorer(model, progress=False)
    [packed] = forest.pack_forests(sequences, [1] * len(sequences))
    assert packed.seen == (32 if length <= 33 else 64)
    for sequence, got in zip(sequences, scorer(sequences), strict=True):
        check(got, token_scores(reference, sequence))


def test_equal_logits_make_the_lowest_id_the_argmax(model):
    model, sequences = model("xglm"), [[3, token] for token in range(131)]

    def likeliest(scores):
        return [token for token, score in enumerate(scores) if score.is_argmax[0]]

    (best,) = likeliest(Scorer(model, progress=False)(sequences))
    assert best > 3  # so that the sequences begin as they did
    params = dict(model.params)
    table = np.array(params["embed"]["tokens"])
    table[20:] = table[best]  # to the model ids 20 … 130, of all slices, are the likeliest token
    params["embed"] = params["embed"] | {"tokens": table}
    got = Scorer(model.replace(params), progress=False)(sequences)
    assert likeliest(got) == [min(best, 20)]
    total = np.logaddexp.reduce([float(score.log_probabilities[0]) for score in got])
    assert abs(total) < 1e-5  # probabilities of the whole vocabulary add up to 1


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([[1, 131]], "sequence 0 has token id 131; expected 0 to 130, the model's"),
        ([[1] * 66], "sequence 0 has 66 tokens; expected 65, the model's positions and a"),
    ],
)
def test_what_cannot_be_scored_is_refused(sequences, message, model):
    with pytest.raises(jp.InputError, match=message):
        Scorer(model("xglm"), progress=False)(sequences)


def test_small_models_stay_on_cpus_and_large_ones_do_not(model):
    small = model("xglm")
    assert fits(small, "float32", device_mesh(1))
    config = dataclasses.replace(small.config, n_layers=2000)
    large = dataclasses.replace(small, config=config)
    assert large.size > 30e6
    assert not fits(large, "float32", device_mesh(1))
