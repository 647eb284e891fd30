"""Comparisons of numbers by their own names."""

import pytest

from collectors.traffic.rules.language.values import Number


@pytest.mark.parametrize(
    ("number", "true_of", "false_of"),
    [
        (Number("&", 6), 2, 1),
        (Number("!&", 6), 1, 4),
        (Number("&=", 6, 2), 3, 6),
        (Number("&!=", 6, 2), 6, 3),
        (Number("in", 1, 4), 2, 4),
        (Number("!in", 1, 4), 4, 3),
    ],
)
def test_bits_and_ranges(number: Number, true_of: int, false_of: int) -> None:
    assert number.holds(true_of) and not number.holds(false_of)
