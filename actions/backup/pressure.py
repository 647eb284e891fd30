"""Pressure: whether the rest of this server waits for processors, disks or memory, and a backup that waits in turn.

Source: the kernel's Documentation/accounting/psi.rst; `some avg10` is the share of the last ten seconds in which a task waited.
"""

import re
import time
from collections.abc import Callable

from actions.backup.options import PressureOptions
from contracts.errors import Unavailable
from contracts.host import Files

STEP_S = 1.0
_SOME = re.compile(rb"^some avg10=(\d+\.\d+)", re.MULTILINE)


class Patience:
    """Waits while there is pressure, altogether no longer than the options say. `unknown` names what the kernel did not say."""

    def __init__(self, options: PressureOptions, files: Files, sleep: Callable[[float], None] = time.sleep) -> None:
        self._limits = {"io": options.io, "cpu": options.cpu, "memory": options.memory}
        self._left_s = options.pause_at_most
        self._files = files
        self._sleep = sleep
        self.paused_s = 0.0
        self.unknown = ""

    def wait(self) -> str:
        """Wait until the pressure is below its limits or the time is used up; returns what was waited for, "" for nothing."""
        reason = ""
        while self._left_s > 0 and (found := self.pressing()):
            reason = found
            step = min(STEP_S, self._left_s)
            self._sleep(step)
            self._left_s -= step
            self.paused_s += step
        return reason

    def pressing(self) -> str:
        """What is above its limit now, "" for nothing. A limit of 100 is none; what the kernel does not say is passed over."""
        for name, limit in self._limits.items():
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
