"""Whose turn it is among threads that look at files: one does what needs the interpreter, while others wait for disks or hash.

Looking at a small file is some ten calls of the kernel, each of which lets go of the interpreter for a microsecond. Two threads at that
change places at nearly every call, which costs more than a second processor brings. So whoever does such work has the turn, and steps aside
for what takes long without the interpreter: reading and hashing a large file, and whatever is not in memory.
"""

import resource
import threading

FADES = 0.9
SLOW = 0.3
UNKNOWN = 0.5
"""Until some folders have told, a disk may be supposed: the first ones may be the largest, and the very first one is always in memory."""


def blocks() -> int:
    """Return how many blocks this thread has had read from disks so far (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


class Turns:
    """What the threads of one walk have in common."""

    def __init__(self, *, suppose_slow: bool = False) -> None:
        self._lock = threading.Lock()
        self._share = UNKNOWN if suppose_slow else 0.0

    def begin(self) -> None:
        """Wait for the turn, and take it."""
        self._lock.acquire()

    def end(self) -> None:
        """Step aside, for good or for what takes long."""
        self._lock.release()

    def looked(self, waited: bool) -> None:
        """A folder was looked at; `waited` when a disk was waited for."""
        self._share = self._share * FADES + waited * (1 - FADES)

    def is_slow(self) -> bool:
        """Say whether most folders lie on a disk, not in memory, as the last ones tell."""
        return self._share > SLOW
