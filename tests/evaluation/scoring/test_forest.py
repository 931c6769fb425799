"""Forests: what every sequence sees is itself, and shared prefixes stand once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxprune.evaluation.scoring import forest as module
from jaxprune.evaluation.scoring.forest import MIN_LENGTH, pack_forests
from jaxprune.evaluation.scoring.vocabulary import predictions

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


def seen_by(forest, row, place):
    """Places that a place sees, in order, by the rule that attention applies."""
    keys = np.arange(forest.tokens.shape[1])
    return np.flatnonzero((keys <= place) & (place < np.maximum(forest.ends[row], keys + 1)))


@settings(max_examples=60, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=30), st.data())
def test_every_sequence_sees_itself_and_nothing_else(sequences, data):
    starts = [data.draw(st.integers(1, len(sequence) + 1)) for sequence in sequences]
    met = []
    (forest,) = pack_forests(sequences, starts)
    needed = predictions(forest)
    for s, start, row, path in forest.leaves:
        assert start == starts[s]
        met.append(s)
        assert forest.tokens[row, path].tolist() == sequences[s]
        assert forest.positions[row, path].tolist() == list(range(len(path)))
        for depth, place in enumerate(path):
            assert seen_by(forest, row, place).tolist() == path[: depth + 1].tolist()
        scored = path[starts[s] :]
        before = needed.places[row, needed.slots[row, scored]]
        assert before.tolist() == path[starts[s] - 1 : -1].tolist()
    assert sorted(met) == list(range(len(sequences)))


@settings(max_examples=60, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=30))
def test_prefixes_stand_once(sequences):
    (forest,) = pack_forests(sequences, [1] * len(sequences))
    prefixes = {tuple(sequence[:n]) for sequence in sequences for n in range(1, len(sequence) + 1)}
    used = {(leaf.row, place) for leaf in forest.leaves for place in leaf.path}
    assert len(forest.tokens) == 1  # what fits one row
    assert len(used) == len(prefixes)


def test_rows_that_are_full_and_sequences_that_are_long():
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(20, 90, 40), MIN_LENGTH + 1, MIN_LENGTH + 2, 2 * MIN_LENGTH + 1]
    sequences = [rng.integers(0, 10**6, n).tolist() for n in lengths]
    forests = list(pack_forests(sequences, [1] * len(sequences)))
    assert [forest.seen for forest in forests] == [MIN_LENGTH, 2 * MIN_LENGTH]
    assert [len(forest.tokens[0]) for forest in forests] == [MIN_LENGTH + 1, 2 * MIN_LENGTH + 1]
    assert sorted(leaf.sequence for forest in forests for leaf in forest.leaves) == list(
        range(len(sequences))
    )
    for forest in forests:
        for row in range(len(forest.tokens)):
            places = np.concatenate([leaf.path for leaf in forest.leaves if leaf.row == row])
            assert len(set(places)) == len(places)  # nothing shared, so nothing overlaps


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=9), min_size=1, max_size=8))
def test_what_the_model_does_not_see_is_only_predicted(sequences):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MIN_LENGTH", 8)  # so that most rows are full
        for forest in pack_forests(sequences, [1] * len(sequences)):
            assert forest.seen == 8
            assert all(leaf.path[:-1].max() < forest.seen for leaf in forest.leaves)


def test_a_part_of_the_rows():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 50, n).tolist() for n in rng.integers(20, 90, 40)]
    (forest,) = pack_forests(sequences, [1] * len(sequences))
    parts = [forest.cut(start, start + 3) for start in range(0, len(forest.tokens), 3)]
    assert len(parts) > 1
    assert [leaf.sequence for part in parts for leaf in part.leaves] == [
        leaf.sequence for leaf in forest.leaves
    ]
    for part in parts:
        for s, _, row, path in part.leaves:
            assert part.tokens[row, path].tolist() == sequences[s]
