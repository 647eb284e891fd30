"""Which of two overlapping pieces counts: the ways of different systems, by the names of Suricata's `host-os-policy`.

An attacker who knows how a server resolves overlaps shows the sensor one thing and the server another; so the sensor has to resolve as
the server does (J. Novak, "Target-Based Fragmentation Reassembly"). A datagram is painted in units of eight bytes, piece by piece in the
order they came; a unit that has an owner goes to the newcomer only when the policy says so. The work grows with the bytes received alone.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

UNIT = 8
"""Fragments begin at multiples of this many bytes, and all but the last end there."""


class Policy(StrEnum):
    """Whose way of resolving overlaps is followed."""

    FIRST = "first"
    LAST = "last"
    BSD = "bsd"
    BSD_RIGHT = "bsd-right"
    LINUX = "linux"
    WINDOWS = "windows"
    SOLARIS = "solaris"


Piece = tuple[int, bytes]
"""Where it begins in the datagram, and its bytes."""

_Wins = Callable[[int, int, int, int], bool]

_NEWCOMER_WINS: dict[Policy, _Wins] = {
    Policy.FIRST: lambda _new, _new_end, _old, _old_end: False,
    Policy.LAST: lambda _new, _new_end, _old, _old_end: True,
    Policy.BSD: lambda new, _new_end, old, _old_end: new < old,
    Policy.BSD_RIGHT: lambda _new, new_end, _old, old_end: new_end >= old_end,
    Policy.LINUX: lambda new, _new_end, old, _old_end: new <= old,
    Policy.WINDOWS: lambda new, new_end, old, old_end: new < old and new_end > old_end,
    Policy.SOLARIS: lambda new, new_end, old, old_end: new < old and new_end >= old_end,
}
"""By start and end of the newcomer, and of what is there."""


def assemble(pieces: Sequence[Piece], length: int, policy: Policy) -> bytes:
    """Return the datagram of `length` bytes that `pieces`, in the order of their arrival, make; they must cover it."""
    wins = _NEWCOMER_WINS[policy]
    whole = bytearray(length)
    owners = [-1] * ((length + UNIT - 1) // UNIT)
    for number, (start, data) in enumerate(pieces):
        end = min(start + len(data), length)
        if end <= start:
            continue
        first, last = start // UNIT, (end + UNIT - 1) // UNIT
        present = set(owners[first:last])
        yields = {old for old in present if old < 0 or wins(start, start + len(data), *_extent(pieces[old]))}
        if yields == present:
            whole[start:end] = data[: end - start]
            owners[first:last] = [number] * (last - first)
            continue
        for unit in range(first, last):
            if owners[unit] in yields:
                owners[unit] = number
                low, high = unit * UNIT, min((unit + 1) * UNIT, end)
                whole[low:high] = data[low - start : high - start]
    return bytes(whole)


def _extent(piece: Piece) -> tuple[int, int]:
    return piece[0], piece[0] + len(piece[1])
