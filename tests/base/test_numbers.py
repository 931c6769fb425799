"""Numbers as text: the one form of each."""

import pytest

from jaxprune.base.text import (
    byte_size,
    count,
    fraction,
    interval,
    number,
    p_value,
    percent,
    points,
    seconds,
    share_range,
    signed,
    tenths,
    times,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.7141), "71.4"),
        (percent(-0.025), "−2.5"),
        (percent(-0.0003), "0.0"),
        (percent(0.29695, digits=2), "29.70"),
        (points(0.0125), "+1.2"),
        (signed(1.25), "+1.2"),
        (interval((0.691, 0.735)), "[69.1, 73.5]"),
        (p_value(0.03906), "0.039"),
        (p_value(0.00099), "<0.001"),
        (fraction(0.7654), "0.765"),
        (tenths(23.456), "23.5"),
        (seconds(1234.56), "1,234.6"),
        (count(-2.7), "−3"),
        (times(3.24), "3.2"),
        (times(1234.5), "1,234"),
        (times(234_567.0), "2e+05"),
        (byte_size(12_500_000), "12.5 MB"),
        (byte_size(100_000_000), "0.10 GB"),
        (number(1250), "1,250"),
        (number(0.31), "0.31"),
        (number(-1e-5), "−1e-05"),
    ],
)
def test_one_form_each(text, expected):
    assert text == expected


@pytest.mark.parametrize("show", [percent, points, interval, p_value, fraction, tenths])
def test_none_is_a_dash(show):
    assert show(None) == "–"


def test_a_range_of_equal_shares_is_empty():
    assert share_range([0.42, 0.5, 0.58]) == "42.0% to 58.0%"
    assert share_range([0.5, 0.5001]) == ""
