"""Declared maintenance: days, times, midnight."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.windows import window_at
from contracts.maintenance import Window

NIGHT = Window(begin="23:00", end="01:30", days=("sunday",), why="patches")


@pytest.mark.parametrize(
    ("weekday", "clock", "inside"),
    [
        (6, "22:59", False),
        (6, "23:00", True),
        (0, "01:29", True),
        (0, "01:30", False),
        (6, "00:30", False),
        (0, "23:30", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins(weekday: int, clock: str, inside: bool) -> None:
    hours, minutes = map(int, clock.split(":"))
    assert (window_at([NIGHT], weekday, hours * 60 + minutes) is NIGHT) is inside


def test_no_day_is_every_day_and_equal_ends_are_the_whole_day() -> None:
    every = Window(begin="02:00", end="03:00")
    assert all(window_at([every], day, 150) is every and window_at([every], day, 180) is None for day in range(7))
    assert window_at([Window(begin="00:00", end="00:00")], 3, 700) is not None


@given(st.integers(0, 6), st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_holds_just_its_minutes(day: int, begin: int, end: int, minute: int) -> None:
    one = Window(begin=f"{begin // 60:02}:{begin % 60:02}", end=f"{end // 60:02}:{end % 60:02}")
    length = (end - begin) % 1440 or 1440
    assert (window_at([one], day, minute) is not None) is ((minute - begin) % 1440 < length)
