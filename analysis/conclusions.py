"""Conclusions begin once and cease once: what holds now is compared with what held when last judged."""

from collections.abc import Mapping

from contracts.record import Record


class Turn(Record):
    """Which conclusions begin to hold and which cease; both by key, in order."""

    begun: tuple[str, ...]
    ceased: tuple[str, ...]


def turn(before: Mapping[str, object], now: Mapping[str, object]) -> Turn:
    """Compare what held before with what holds now."""
    return Turn(
        begun=tuple(sorted(key for key in now if key not in before)),
        ceased=tuple(sorted(key for key in before if key not in now)),
    )
