"""A host that looks as always and only notes what it would change."""

from collections.abc import Iterator
from datetime import datetime

from contracts.host import Completed, Facts, Host, Stop
from contracts.record import Record


class Planned(Record):
    """One change that was not made: a command line with its input, or a file with its new content."""

    argv: tuple[str, ...] = ()
    stdin: bytes = b""
    path: str = ""
    content: bytes = b""
    mode: int = 0


class DryRun:
    """Wraps a host: everything that reads is passed on, everything that changes goes to `planned` and is said to have succeeded."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.dry = True
        self.state = host.state
        self.planned: list[Planned] = []
        self.files = host.files
        self.commands = host.commands
        self.sockets = host.sockets
        self.processes = host.processes
        self.packages = host.packages

    @property
    def read_bytes(self) -> int:
        """How many bytes the wrapped host has read."""
        count = getattr(self._host, "read_bytes", 0)
        return count if isinstance(count, int) else 0

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return self._host.now()

    def monotonic(self) -> float:
        """Return seconds on the clock that no one sets."""
        return self._host.monotonic()

    def facts(self) -> Facts:
        """Return what this machine is."""
        return self._host.facts()

    def capabilities(self) -> frozenset[str]:
        """Return the effective capabilities of this process."""
        return self._host.capabilities()

    def ruleset_changes(self, stop: Stop) -> Iterator[str]:
        """Yield one word per change of the kernel's nftables ruleset until `stop` is set."""
        return self._host.ruleset_changes(stop)

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:  # noqa: ARG002  # it takes no time
        """Note a command line and answer as if it had succeeded without a word."""
        self.planned.append(Planned(argv=argv, stdin=stdin))
        return Completed(argv=argv, code=0, stdout=b"", stderr=b"")

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Note a file and its new content."""
        self.planned.append(Planned(path=path, content=content, mode=mode))
