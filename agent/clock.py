"""Wall time and monotonic time, how a step of the wall clock is noticed, and ids that sort by time."""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Where the agent's machinery takes time from."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""

    def monotonic(self) -> float:
        """Return seconds on the clock that no one sets."""


class SystemClock:
    """The clocks of this machine."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since boot, time asleep included, so that an interval that passed in suspend is over."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class StepWatch:
    """Notices that somebody set the wall clock, by comparing how far both clocks went."""

    def __init__(self, clock: Clock, tolerance_s: float = 2.0) -> None:
        self._clock = clock
        self._tolerance_s = tolerance_s
        self._offset_s = self._offset()

    def look(self) -> float:
        """Return by how many seconds the wall clock was stepped since the last look (negative: back), 0.0 when it was not.

        A slow drift, as a time service corrects it, is followed without a word.
        """
        offset = self._offset()
        step = offset - self._offset_s
        self._offset_s = offset
        return step if abs(step) >= self._tolerance_s else 0.0

    def _offset(self) -> float:
        """Return how far apart the clocks are, both read at one moment: a machine that stands still between them sets neither."""
        for _ in range(10):
            before = self._clock.monotonic()
            offset = self._clock.now_ms() / 1000 - before
            if self._clock.monotonic() - before < self._tolerance_s / 4:
                break
        return offset


_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62


class Ids:
    """UUIDv7 (RFC 9562, section 5.7) as 32 hex digits, strictly increasing even when the wall clock goes back.

    Within one millisecond the random part counts up from where it began (section 6.2, method 2); its highest bit begins as zero, so that
    it never runs over.
    """

    def __init__(self, clock: Clock, last: str = "") -> None:
        """Go on after `last`, the newest id given out before a restart."""
        self._clock = clock
        self._last = int(last, 16) if last else 0

    def take(self, count: int) -> list[str]:
        """Return `count` new ids, in order."""
        first = self._reserve(count)
        return [f"{value:032x}" for value in range(first, first + count)]

    def one(self) -> str:
        """Return one new id."""
        return f"{self._reserve(1):032x}"

    def _reserve(self, count: int) -> int:
        """Return the first of `count` numbers that follow each other."""
        now = self._clock.now_ms()
        if now > self._last >> 80:
            first = now << 80 | _VERSION_AND_VARIANT | int.from_bytes(os.urandom(8)) >> 3
        else:
            first = self._last + 1
        self._last = first + count - 1
        return first
