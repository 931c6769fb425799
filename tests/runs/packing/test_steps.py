"""Predictions of losses against a plain search over all choices, and what they propose."""

import math

import numpy as np
import pytest

from jaxprune.search.packing.steps import (
    LEAST_BITS,
    MOST_BITS,
    Choice,
    Measured,
    Vocabulary,
    best_measured,
    predicted_loss,
    rounding_losses,
    within_loss,
    within_size,
)

WEIGHTS = 1_000_000
MANY = Vocabulary({"fr": 0.99}, 2000, 900_000, WEIGHTS, {"fr": 0.01, "sw": 0.0})
FEW = Vocabulary({"fr": 0.9}, 1500, 700_000, WEIGHTS, {"fr": 0.04, "sw": 0.02})
ALL = Vocabulary({}, 9000, 2_000_000, WEIGHTS, {"fr": 0.0, "sw": 0.0})
ROUNDING = {"fr": 0.05, "sw": 0.06}


def test_bits_and_sizes_are_inverse():
    assert (LEAST_BITS, MOST_BITS) == (4.5, 8.5)
    assert MANY.size(LEAST_BITS) == MANY.smallest
    assert MANY.size(MOST_BITS) == MANY.smallest + WEIGHTS // 2  # four bits more
    assert MANY.bits(MANY.size(6.0)) == pytest.approx(6.0, abs=1e-4)
    assert MANY.bits(10 * MANY.smallest) == MOST_BITS


def test_a_bit_removes_three_quarters_of_the_loss_by_rounding():
    assert predicted_loss(MANY, ROUNDING, 4.5) == pytest.approx(0.06)
    assert predicted_loss(MANY, ROUNDING, 5.5) == pytest.approx(0.01 + 0.05 / 4)
    measured = Measured("a", Choice(MANY, MANY.size(5.5)), {"fr": 0.01 + 0.05 / 4, "sw": 0.015})
    assert rounding_losses(measured) == pytest.approx(ROUNDING, rel=1e-3)
    better = Measured("a", Choice(FEW, FEW.size(5.5)), {"fr": 0.03, "sw": 0.01})
    assert rounding_losses(better) == {"fr": 0.0, "sw": 0.0}


@pytest.mark.parametrize("limit", [0.02, 0.045, 0.1])
def test_the_smallest_file_within_a_loss(limit):
    vocabularies = [MANY, FEW, ALL]
    choice = within_loss(vocabularies, ROUNDING, limit)
    sizes = [
        vocabulary.size(bits)
        for vocabulary in vocabularies
        for bits in np.arange(4.5, 8.5001, 0.001)
        if max(vocabulary.losses[c] + ROUNDING[c] / 4 ** (bits - 4.5) for c in ROUNDING) <= limit
    ]
    assert choice.size == pytest.approx(min(sizes), rel=0.01)


def test_no_file_is_within_a_loss_that_even_eight_bits_have():
    assert within_loss([FEW], ROUNDING, 0.03) is None
    assert within_loss([FEW], ROUNDING, math.inf) == Choice(FEW, FEW.smallest)


def test_the_least_loss_within_a_size():
    assert within_size([MANY, FEW, ALL], ROUNDING, 650_000) is None
    assert within_size([MANY, FEW, ALL], ROUNDING, 800_000) == Choice(FEW, 800_000)
    assert within_size([MANY, FEW, ALL], ROUNDING, 1_200_000) == Choice(MANY, 1_200_000)
    # a file with eight bits everywhere is not filled up
    assert within_size([MANY], ROUNDING, 9_000_000) == Choice(MANY, MANY.size(MOST_BITS))


def test_the_best_of_what_was_measured():
    large = Measured("large", Choice(MANY, 1_100_000), {"fr": 0.01, "sw": 0.02})
    small = Measured("small", Choice(FEW, 800_000), {"fr": 0.03, "sw": 0.01})
    assert best_measured([large, small], 0.03) == small
    assert best_measured([large, small], 0.02) == large
    assert best_measured([small, large], 0.005) == large  # none is within
    assert best_measured([small, large], None) == large


def test_choices_of_nearly_one_size_are_one():
    choice = Choice(MANY, 1_000_000)
    assert choice.is_close(Choice(MANY, 1_010_000))
    assert not choice.is_close(Choice(MANY, 1_100_000))
    assert not choice.is_close(Choice(FEW, 1_000_000))


def test_a_vocabulary_is_like_another_that_is_hardly_larger_and_hardly_loses_more():
    def predicted(tokens, loss):
        return Vocabulary({"fr": 0.5}, tokens, 0, WEIGHTS, {"fr": loss, "sw": 0.0})

    assert predicted(2000, 0.0095).is_like(MANY)
    assert predicted(1980, 0.02).is_like(MANY)
    assert not predicted(1900, 0.01).is_like(MANY)
    assert not predicted(2000, 0.005).is_like(MANY)
