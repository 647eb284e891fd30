"""Gives memory back after a large piece of work: freed memory otherwise stays with the process, and counts as the agent's."""

import os
from collections.abc import Callable

from agent import kernel

GROWN = 2 << 20
"""Bytes that this process must have grown by, since memory was last given back, for another attempt."""
EVERY_S = 20.0

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Thrift:
    """`tick` is called often and is cheap; it gives memory back when there may be some to give."""

    def __init__(self, monotonic: Callable[[], float], resident: Callable[[], int] | None = None) -> None:
        self._monotonic, self._resident = monotonic, resident or resident_bytes
        self._at, self._kept = monotonic(), self._resident()

    def tick(self) -> bool:
        """Give back what is free, if this process has grown; return whether it did."""
        now = self._monotonic()
        if now - self._at < EVERY_S:
            return False
        self._at = now
        if self._resident() < self._kept + GROWN:
            return False
        kernel.trim_memory()
        self._kept = self._resident()
        return True


def resident_bytes() -> int:
    """Return the resident memory of this process, 0 when the kernel does not say."""
    try:
        table = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(table, 128).split()[1]) * _PAGE
    finally:
        os.close(table)
