"""TCP's sequence numbers: 32 bits that wrap around, compared by the shorter way (RFC 9293, 3.4)."""

from typing import Final

MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000


def ahead(one: int, other: int) -> int:
    """Return how far `one` is ahead of `other`; negative when it is behind."""
    return ((one - other + _HALF) & MASK) - _HALF
