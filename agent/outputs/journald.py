"""Events in the systemd journal, in its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/), with structured fields.

`journalctl HOLDFAST_KIND=ports.listener_opened -o json` finds them. A journal that is absent or busy costs the agent nothing: the event
is counted as lost here, and the spool still has it.
"""

import array
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.outputs.rendering import OutputState
from contracts.event import Envelope, Severity

SOCKET = Path("/run/systemd/journal/socket")
MAX_VALUE = 256 << 10
"""A longer value is cut: the journal itself would drop what is larger than it likes."""
_PRIORITIES = {
    Severity.FATAL: 1,
    Severity.CRITICAL: 2,
    Severity.HIGH: 3,
    Severity.MEDIUM: 4,
    Severity.LOW: 5,
    Severity.INFORMATIONAL: 6,
    Severity.UNKNOWN: 6,
}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journal:
    """Sends events of at least the severity `least` to the journal."""

    def __init__(
        self, text: Callable[[Envelope], str], *, least: Severity = Severity.INFORMATIONAL, path: Path = SOCKET
    ) -> None:
        self._text, self._least, self._path = text, least, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._written = self._lost = 0
        self._problem = ""

    def write(self, envelope: Envelope) -> None:
        """Send one event; what goes wrong is counted and shown by `state`."""
        if envelope.event.severity < self._least:
            return
        message = b"".join(encode(name, value) for name, value in fields(envelope, self._text(envelope)))
        try:
            self._send(message)
        except OSError as error:
            self._lost += 1
            self._problem = f"{self._path}: {(error.strerror or str(error)).lower()}"
            return
        self._written += 1
        self._problem = ""

    def state(self) -> OutputState:
        """Say how many events were sent and lost, and what is wrong now."""
        return OutputState(name="journald", written=self._written, lost=self._lost, problem=self._problem)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _send(self, message: bytes) -> None:
        try:
            self._socket.sendto(message, str(self._path))
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_by_descriptor(message)

    def _send_by_descriptor(self, message: bytes) -> None:
        """Pass a message too large for a datagram as a sealed memory file."""
        descriptor = os.memfd_create("holdfast-event", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(message)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
            self._socket.sendmsg([b""], rights, 0, str(self._path))
        finally:
            os.close(descriptor)


def fields(envelope: Envelope, text: str) -> Iterator[tuple[str, str]]:
    """Yield the journal's fields for an event; a list becomes one field per item."""
    event = envelope.event
    yield "MESSAGE", text
    yield "PRIORITY", str(_PRIORITIES[event.severity])
    yield "SYSLOG_IDENTIFIER", "holdfast"
    yield "HOLDFAST_ID", envelope.id
    yield "HOLDFAST_AGENT", envelope.agent
    yield "HOLDFAST_LANE", envelope.lane.value
    yield "HOLDFAST_SEQ", str(envelope.seq)
    yield "HOLDFAST_KIND", event.kind
    yield "HOLDFAST_KEY", event.key
    yield "HOLDFAST_SEVERITY", event.severity.name.lower()
    yield "HOLDFAST_TIME_MS", str(event.observed_ms)
    if event.drill:
        yield "HOLDFAST_DRILL", event.drill
    for name, value in event.fields.items():
        for item in value if isinstance(value, list) else [value]:
            yield f"HOLDFAST_FIELD_{_name(name)}", _plain(item)
    for label, evidence in event.evidence.items():
        yield f"HOLDFAST_EVIDENCE_{_name(label)}", evidence


def encode(name: str, value: str) -> bytes:
    """Return one field as the journal takes it: `NAME=value`, or with its length where the value has more than one line."""
    raw = value.encode("utf-8", "backslashreplace")[:MAX_VALUE]
    if b"\n" not in raw:
        return name.encode() + b"=" + raw + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"


def _name(name: str) -> str:
    """Return `name` as the journal allows it: upper-case ASCII letters, digits and underscores, at most 64 with our prefix."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name.upper())[:40]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
