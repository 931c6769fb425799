"""Chosen tokens against plain counts."""

from collections import Counter

import pytest

from jaxprune.shrinking.selection import chosen_tokens

# 0-9 are letters; 10 is merged from 0 and 1, 11 from 10 and 2.
PARTS = {10: {10, 0, 1}, 11: {11, 10, 0, 1, 2}}
COUNTS = {"en": Counter({3: 50, 11: 40, 4: 9, 5: 1}), "sw": Counter({6: 70, 7: 20, 10: 10})}


def choose(coverage=1.0, tokens=None, multiple=1, always=()):
    return chosen_tokens(
        COUNTS, always, lambda token: PARTS.get(token, {token}), coverage=coverage, tokens=tokens,
        multiple=multiple, fillers=range(12),
    ).tolist()  # fmt: skip


def test_all_tokens_of_the_texts_and_their_parts():
    assert choose() == [0, 1, 2, 3, 4, 5, 6, 7, 10, 11]


@pytest.mark.parametrize(
    ("coverage", "kept"),
    [
        (0.5, [3, 6]),
        (0.9, [0, 1, 2, 3, 6, 7, 10, 11]),
        (0.95, [0, 1, 2, 3, 4, 6, 7, 10, 11]),
        ({"en": 0.5, "sw": 0.9}, [3, 6, 7]),
    ],
)
def test_coverage_is_reached_in_each_language(coverage, kept):
    assert choose(coverage) == kept
    for code, count in COUNTS.items():
        share = coverage[code] if isinstance(coverage, dict) else coverage
        assert sum(n for token, n in count.items() if token in kept) >= share * count.total()


def test_a_number_of_tokens_is_reached_by_the_largest_share_in_a_language():
    assert choose(tokens=3) == [3, 6, 7]  # 11 would need five
    assert choose(tokens=7) == [0, 1, 2, 3, 6, 10, 11]


def test_filled_up_to_a_multiple_with_tokens_that_exist():
    assert choose(0.5, multiple=4) == [3, 4, 6, 7]
    assert choose(multiple=11) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert choose(multiple=64) == [*range(12)]


def test_required_tokens_are_kept_in_any_case():
    assert choose(tokens=2, always=[9]) == [6, 9]
    assert choose(0.5, always=[11]) == [0, 1, 2, 3, 6, 10, 11]
