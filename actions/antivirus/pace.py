"""Pace: a scan waits while the rest of this server waits for processors, disks or memory, and ends when its time is up.

Source: the kernel's Documentation/accounting/psi.rst; `some avg10` is the share of the last ten seconds in which a task waited.
"""

import re
import time
from collections.abc import Callable

from actions.antivirus.options import ScanOptions
from contracts.errors import Unavailable
from contracts.host import Host

LOOK_S = 0.5
STEP_S = 1.0
_SOME = re.compile(rb"^some avg10=(\d+\.\d+)", re.MULTILINE)


class Pace:
    """Asked before every file; reads the kernel's figures twice a second at most. `waits_for` is what it waited for last."""

    def __init__(
        self,
        host: Host,
        options: ScanOptions,
        at_most_s: float,
        sleep: Callable[[float], None] = time.sleep,
        *,
        patient: bool = True,
    ) -> None:
        self._host, self._sleep = host, sleep
        self._limits = {"cpu": options.cpu, "io": options.io, "memory": options.memory}
        self._left_s = options.pause_at_most if patient else 0.0
        self._until = host.monotonic() + at_most_s if at_most_s else 0.0
        self._looked = 0.0
        self.paused_s = 0.0
        self.waits_for = ""

    def go_on(self) -> bool:
        """Wait where others do; say whether there is time left."""
        now = self._host.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            while self._left_s > 0 and (pressing := self.pressing()) and not self._over():
                self.waits_for = pressing
                step = min(STEP_S, self._left_s)
                self._sleep(step)
                self._left_s -= step
                self.paused_s += step
        return not self._over()

    def pressing(self) -> str:
        """What is above its limit now, "" for nothing, or where the kernel does not say; a limit of 100 is none."""
        for name, limit in self._limits.items():
            if limit >= 100:
                continue
            try:
                found = _SOME.search(self._host.files.read(f"/proc/pressure/{name}", 4096))
            except Unavailable:
                continue  # a kernel without pressure figures: time alone bounds the scan
            if found is not None and float(found[1]) > limit:
                return name
        return ""

    def _over(self) -> bool:
        return bool(self._until) and self._host.monotonic() >= self._until
