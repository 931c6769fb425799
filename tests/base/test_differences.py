"""The differences between records of runs, in words."""

import pytest

from jaxprune.base.workdir.differences import difference

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "b 2, now 3"),
        ({"a": 1}, {"a": 1, "b": "x"}, "b not set, now 'x'"),
        ({"a": 1, "b": "x"}, {"a": 1}, "b 'x', now not set"),
        ({"file a": DIGEST}, {"file a": "f" * 64}, "file a '0123456789ab…', now 'ffffffffffff…'"),
    ],
)
def test_the_first_difference_of_two_records(before, now, words):
    assert difference(before, now) == words
