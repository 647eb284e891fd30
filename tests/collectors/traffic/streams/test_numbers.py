"""Sequence numbers that wrap around."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.streams.numbers import MASK, ahead


@given(st.integers(0, MASK), st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_number_is_as_far_ahead_as_was_added_to_it(number: int, step: int) -> None:
    assert ahead((number + step) & MASK, number) == step
