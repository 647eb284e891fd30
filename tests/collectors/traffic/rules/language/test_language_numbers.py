"""Numbers, sizes and comparisons of rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.numbers import U8, U16, integer, named, number, size
from collectors.traffic.rules.language.values import Number


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("5", 5, True),
        ("=5", 6, False),
        ("!5", 6, True),
        ("!=5", 5, False),
        ("<5", 5, False),
        ("<=5", 5, True),
        (">5", 6, True),
        (">=0x05", 5, True),
        ("1-5", 1, False),
        ("1<>5", 2, True),
        ("!1-5", 5, True),
        ("&0xc0=0x80", 0x81, True),
        ("&0xc0!=0", 0x01, False),
        ("&0x80", 0x81, True),
        (" > 5 ", 6, True),
    ],
)
def test_comparisons(text: str, value: int, expected: bool) -> None:
    assert number(text, U8).holds(value) is expected


@pytest.mark.parametrize("text", ["", "x", "<0", ">255", "5-5", "5-6", "9-1", "256", "<1-5", "1_0", "--5", "5-"])
def test_comparisons_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        number(text, U8)


@given(
    st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "!in"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_what_is_negated_is_the_opposite(op: str, low: int, high: int, value: int) -> None:
    opposite = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "!in", "!in": "in"}[op]
    assert Number(op, low, high).holds(value) != Number(opposite, low, high).holds(value)


def test_sizes_have_units_and_names_have_numbers() -> None:
    assert (size("2kb"), size("1MiB"), size("0x10")) == (2048, 1 << 20, 16)
    assert named("!nxdomain", {"nxdomain": 3}, U16) == Number("!=", 3)
    assert integer("-0x5", -9) == -5
