import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxprune.base.errors import InputError
from jaxprune.data.batches import Batch, check_ids, digest
from jaxprune.data.ready_tokens import samples_of
from jaxprune.stats.grouping import SHAPE_COST, group_by_length, grouped


def sequences_of(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 1000, size=length, dtype=np.int32) for length in lengths]


def cost_of(batches, rows):
    fills = sum(-(-len(batch.tokens) // rows) * rows * batch.tokens.shape[1] for batch in batches)
    return fills + SHAPE_COST * len(batches)


def cheapest_by_trying_all(lengths, rows, max_shapes, multiple):
    """Every way to cut the sorted lengths, counted out."""
    ordered = sorted(lengths)
    best = np.inf
    for groups in range(1, max_shapes + 1):
        for cuts in itertools.combinations(range(1, len(ordered)), groups - 1):
            bounds = [0, *cuts, len(ordered)]
            cost = SHAPE_COST * groups
            for start, end in itertools.pairwise(bounds):
                longest = -(-ordered[end - 1] // multiple) * multiple
                cost += -(-(end - start) // rows) * rows * longest
            best = min(best, cost)
    return best


lengths_strategy = st.lists(st.integers(1, 700), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(lengths_strategy, st.integers(1, 3), st.integers(1, 4))
def test_groups_hold_every_token_once_and_cost_least(lengths, rows, max_shapes):
    sequences = sequences_of(lengths)
    batches = group_by_length(sequences, "code", micro_batch=rows, max_shapes=max_shapes)
    seen = {}
    for batch in batches:
        assert batch.tokens.dtype == np.int32
        assert batch.valid.dtype == bool
        assert batch.samples.dtype == np.int32
        assert batch.role == "code"
        assert batch.tokens.shape[1] % 16 == 0
        assert (np.diff(batch.samples) > 0).all()
        assert (batch.tokens[~batch.valid] == 0).all()
        assert batch.num_tokens == sum(lengths[sample] for sample in batch.samples)
        for sample, tokens, valid in zip(batch.samples, batch.tokens, batch.valid, strict=True):
            length = lengths[sample]
            assert valid[:length].all()
            assert not valid[length:].any()
            seen[int(sample)] = tokens[:length]
    assert sorted(seen) == list(range(len(lengths)))
    for sample, sequence in enumerate(sequences):
        np.testing.assert_array_equal(seen[sample], sequence)
    shapes = [batch.tokens.shape[1] for batch in batches]
    assert len(shapes) <= max_shapes
    assert shapes == sorted(set(shapes))
    assert cost_of(batches, rows) == cheapest_by_trying_all(lengths, rows, max_shapes, 16)


def test_max_length_caps_the_shape():
    (batch,) = group_by_length(sequences_of([490, 500]), "translation", max_length=500)
    assert batch.tokens.shape == (2, 500)


@pytest.mark.parametrize(
    ("lengths", "max_length", "message"),
    [
        ([], None, "translation: no samples"),
        ([4, 0, 3], None, "sample 1 has no tokens"),
        ([4, 9, 3], 8, "sample 1 has 9 tokens; expected 8"),
    ],
)
def test_sequences_that_cannot_be_grouped(lengths, max_length, message):
    with pytest.raises(InputError, match=message):
        group_by_length(sequences_of(lengths), "translation", max_length=max_length)


def test_arrays_without_a_mask_are_all_real():
    (batch,) = grouped([samples_of(np.arange(12, dtype=np.int32).reshape(2, 6), role="code")])
    assert batch.valid.sum() == 12
    assert batch.role == "code"


IDS = np.ones((3, 4), dtype=np.int32)


@pytest.mark.parametrize(
    ("ids", "mask", "message"),
    [
        (IDS, [[1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]], "row 1 has pads between"),
        (IDS, [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], "row 2 has no real token"),
        (IDS, [[1, 1, 0, 0]], r"shape \(1, 4\); input_ids has \(3, 4\)"),
        (IDS, IDS * 2, "values other than 0 and 1"),
        (IDS.astype(np.float32), None, "input_ids: got float32"),
        (IDS[0], None, r"shape \(4,\)"),
        (IDS[:0], None, r"shape \(0, 4\)"),
    ],
)
def test_arrays_that_are_refused(ids, mask, message):
    with pytest.raises(InputError, match=message):
        grouped([samples_of(ids, None if mask is None else np.array(mask))])


def test_ids_beyond_the_vocabulary_are_refused():
    batches = group_by_length([np.int32([1, 2]), np.int32([3, 9])], "code")
    check_ids(batches, 10)
    with pytest.raises(InputError, match=r"code: sample 1 has token id 9; expected 0 to 8"):
        check_ids(batches, 9)


def test_digest_sees_tokens_and_roles_but_not_the_grouping():
    sequences = sequences_of([40, 300, 41, 310, 500, 60] * 4)
    grouped = group_by_length(sequences, "translation")
    single = group_by_length(sequences, "translation", max_shapes=1)
    assert len(grouped) > len(single)
    assert digest(grouped) == digest(single) == digest(grouped[::-1])
    assert digest(group_by_length(sequences, "code")) != digest(grouped)
    assert digest(group_by_length(sequences[::-1], "translation")) != digest(grouped)
    tokens = np.ones((1, 4), dtype=np.int32)
    three, four = (np.arange(4)[None] < count for count in (3, 4))
    one_row = [
        [Batch(tokens, valid, "code", np.zeros(1, dtype=np.int32))] for valid in (three, four)
    ]
    assert digest(one_row[0]) != digest(one_row[1])
