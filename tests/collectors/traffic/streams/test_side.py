"""One direction's numbers."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.streams.numbers import MASK
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.side import Side


@given(st.integers(0, MASK), st.integers(0, 1 << 40), st.integers(-(1 << 30), 1 << 30))
def test_offsets_go_on_where_numbers_wrap_around(isn: int, released: int, step: int) -> None:
    side = Side(Policy.WINDOWS)
    side.begin(isn)
    side.released = released
    assert side.offset((isn + 1 + released + step) & MASK) == released + step


def test_acknowledgements_and_windows_never_go_back() -> None:
    side = Side(Policy.WINDOWS)
    side.last_ack = side.next_win = MASK - 5
    side.update_ack(10)
    side.update_ack(MASK)
    side.update_window(20)
    side.update_window(15)
    assert (side.last_ack, side.next_win) == (10, 20)
