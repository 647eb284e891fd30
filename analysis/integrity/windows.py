"""Declared times of maintenance: whether a moment lies in one, by weekday and local time of day. Pure."""

from collections.abc import Sequence

from contracts.maintenance import DAYS, Window

_DAY = 24 * 60


def window_at(windows: Sequence[Window], weekday: int, minute: int) -> Window | None:
    """Return the first window that a local moment lies in: `weekday` 0 for Monday, `minute` since midnight. None when in none.

    A window that ends before it begins goes over midnight and belongs to the day on which it begins.
    """
    for one in windows:
        begin, end = _minutes(one.begin), _minutes(one.end)
        length = (end - begin) % _DAY or _DAY
        for day in (weekday, (weekday - 1) % 7):
            since = minute - begin + (_DAY if day != weekday else 0)
            if DAYS[day] in (one.days or DAYS) and 0 <= since < length:
                return one
    return None


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
