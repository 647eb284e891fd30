"""What the service manager is told: READY, RELOADING, STATUS, WATCHDOG, STOPPING (`sd_notify(3)`, protocol spoken directly)."""

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to `$NOTIFY_SOCKET`; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ)
        """How often the manager must hear from us at least, 0 when it does not ask; feed it at half that time."""
        self._held: socket.socket | None = None

    @property
    def present(self) -> bool:
        """Whether a service manager listens."""
        return bool(self._address)

    def hold(self) -> None:
        """Connect now and for good: for a process that will not be able to later."""
        if self._address:
            self._held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._held.connect(self._where())

    def ready(self, status: str = "") -> None:
        """Say that start or reload has ended well."""
        self._send("READY=1", f"STATUS={status}" if status else "")

    def reloading(self) -> None:
        """Say that a reload begins; `Type=notify-reload` wants the time on the monotonic clock with it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, text: str) -> None:
        """Set the one line that `systemctl status` shows."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that an orderly end begins."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # Line feeds would start a new assignment; what people wrote may hold them.
        message = "\n".join(line.replace("\n", " ") for line in lines if line).encode("utf-8", "replace")
        try:
            if self._held is not None:
                self._held.send(message, socket.MSG_NOSIGNAL)
                return
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.sendto(message, socket.MSG_NOSIGNAL, self._where())
        except OSError:  # a manager that is restarting itself: its watchdog clock restarts, too
            return

    def _where(self) -> str:
        return "\0" + self._address[1:] if self._address.startswith("@") else self._address


def _watchdog_s(environ: Mapping[str, str]) -> float:
    meant_for = environ.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return 0.0
    try:
        return int(environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return 0.0
