"""Scalars convert strictly; what an error shows of them is short and printable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as mi

from settings import scalars
from settings.tree import Mark, Scalar

HERE = Mark("a", 1, 1)


def plain(text: str) -> Scalar:
    return Scalar(text, True, HERE)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_number_reads_back(number: int) -> None:
    assert scalars.integer(plain(str(number)), mi.IntType()) == number


@given(st.text(max_size=8))
def test_a_whole_number_is_what_its_text_says_or_refused(text: str) -> None:
    try:
        value = scalars.integer(plain(text), mi.IntType())
    except ValueError:
        return
    assert str(value) == text


def test_the_bounds_of_64_bits_hold() -> None:
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        scalars.integer(plain(str(2**63)), mi.IntType())


def test_infinite_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        scalars.floating(plain("1e999"), mi.FloatType())


def test_what_is_shown_is_short_and_printable() -> None:
    assert scalars.shown(plain("a\x1b[31m" + "b" * 100)) == "a\N{REPLACEMENT CHARACTER}[31m" + "b" * 51 + "..."
