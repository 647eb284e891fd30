"""Starts the child process that renews the certificate, so that the core never loads `cryptography`, and says how it ended."""

import subprocess
import sys
from pathlib import Path

from contracts.record import Record

MAX_RUN_S = 90.0


class Ended(Record):
    """How a renewal ended: `error` is empty on success."""

    error: str = ""


class Renewal:
    """At most one child at a time; nothing here waits."""

    def __init__(self, state: Path) -> None:
        self._argv = [sys.executable, "-P", "-m", "agent.enrolment", "renew", "--state", str(state)]
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def running(self) -> bool:
        """Whether a child is under way."""
        return self._child is not None

    def start(self, now: float) -> Ended | None:
        """Start the child at monotonic time `now`; the answer says why that failed."""
        try:
            self._child = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            return Ended(error=f"the renewal cannot be started: {error.strerror}")
        self._started = now
        return None

    def poll(self, now: float) -> Ended | None:
        """Return how the child ended, once it has; one that takes too long is ended."""
        child = self._child
        if child is None:
            return None
        code = child.poll()
        if code is None:
            if now - self._started < MAX_RUN_S:
                return None
            child.kill()
        # The child writes one line at most, which fits the pipe.
        _, said = child.communicate()
        self._child = None
        if child.returncode == 0:
            return Ended()
        line = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return Ended(error=line[:500] or f"the renewal ended with code {child.returncode}")

    def abandon(self) -> None:
        """End the child; an interrupted renewal is taken up by the next one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
