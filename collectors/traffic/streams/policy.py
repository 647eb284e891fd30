"""Which of two overlapping segments counts: the ways of different systems, by the names of Suricata's `host-os-policy`.

An attacker who knows how a server resolves overlaps shows the sensor one thing and the server another; so the sensor has to resolve as the
server does (J. Novak and S. Sturges, "Target-Based TCP Stream Reassembly").
"""

from enum import StrEnum
from typing import Final


class Policy(StrEnum):
    """Whose way of resolving overlaps, of judging resets and timestamps is followed."""

    FIRST = "first"
    LAST = "last"
    BSD = "bsd"
    LINUX = "linux"
    OLD_LINUX = "old-linux"
    SOLARIS = "solaris"
    WINDOWS = "windows"
    WINDOWS2K3 = "windows2k3"
    VISTA = "vista"
    MACOS = "macos"
    IRIX = "irix"
    HPUX10 = "hpux10"
    HPUX11 = "hpux11"


_BEFORE: Final = frozenset(
    {
        Policy.BSD,
        Policy.HPUX10,
        Policy.IRIX,
        Policy.WINDOWS,
        Policy.WINDOWS2K3,
        Policy.OLD_LINUX,
        Policy.LINUX,
        Policy.MACOS,
    }
)
"""A newcomer that begins before what is there counts."""

_LATER_END: Final = frozenset({Policy.SOLARIS, Policy.HPUX11})
"""A newcomer counts that ends behind what is there; or with it, having begun no later."""


def newcomer_wins(policy: Policy, new: int, new_end: int, old: int, old_end: int) -> bool:
    """Return whether the bytes of a newcomer replace those of what is there, by where both begin and end."""
    if policy is Policy.LAST:
        return True
    if new < old and policy in _BEFORE:
        return True
    if new == old and new_end > old_end and policy is Policy.LINUX:
        return True
    if new == old and new_end >= old_end and policy is Policy.OLD_LINUX:
        return True
    if policy in _LATER_END:
        return new_end > old_end or (new_end == old_end and new <= old)
    return False
