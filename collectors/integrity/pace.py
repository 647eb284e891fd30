"""How a scan gives way: it pauses while others wait for disks or processors, and reads no faster than it may.

Source: the kernel's Documentation/accounting/psi.rst; `some avg10` is the share of the last ten seconds in which a task waited.
"""

import re
import threading
import time
from collections.abc import Callable

from collectors.integrity.options import Pace
from contracts.errors import Unavailable
from contracts.host import Files

STEP_S = 0.5
ASK_EVERY_S = 1.0
_SOME = re.compile(rb"^some avg10=(\d+\.\d+)", re.MULTILINE)


class Pacer:
    """Keeps one scan at its pace. `unknown` names what the kernel does not say."""

    def __init__(
        self,
        pace: Pace,
        files: Files,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace, self._files, self._monotonic = pace, files, monotonic
        self._stop = threading.Event()
        self._started = self._asked = monotonic()
        self._read = 0
        self.paused_s = 0.0
        self.unknown = ""

    def end(self) -> None:
        """Wait no more."""
        self._stop.set()

    def read(self, count: int, before_waiting: Callable[[], None] = lambda: None) -> None:
        """Take note of so many bytes, and wait as long as the pace wants, after a call of `before_waiting`."""
        self._read += count
        if self._pace.read_per_s:
            ahead = self._read / self._pace.read_per_s - (self._monotonic() - self._started)
            if ahead > 0.05:
                before_waiting()
                self._stop.wait(min(ahead, 60.0))
        now = self._monotonic()
        if now - self._asked < ASK_EVERY_S:
            return
        self._asked = now
        while self.paused_s < self._pace.pause_at_most and self._pressing() and not self._stop.is_set():
            before_waiting()
            self._stop.wait(STEP_S)
            self.paused_s += STEP_S
        self._asked = self._monotonic()

    def _pressing(self) -> str:
        for name, limit in (("io", self._pace.io), ("cpu", self._pace.cpu)):
            if limit >= 100:
                continue
            try:
                found = _SOME.search(self._files.read(f"/proc/pressure/{name}", 4096))
            except Unavailable as error:
                self.unknown = error.message
                continue
            if found is not None and float(found[1]) > limit:
                return name
        return ""
