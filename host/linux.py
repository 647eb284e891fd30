"""The Linux machine this process runs on, composed from its parts: the one implementation of `contracts.host.Host` that is real."""

import importlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from contracts.errors import Unavailable, Why
from contracts.host import Completed, Facts, RulesetChange, Stop, Stream
from host import allowed, capabilities, dns_txt, facts, network_monitor, replace_file, ruleset_monitor, streams
from host.clamd import LinuxClamd
from host.commands import LinuxCommands, run
from host.files import LinuxFiles
from host.netfilter import LinuxNetfilter
from host.nftables import LinuxNftables
from host.openings import LinuxOpenings
from host.packages import LinuxPackages
from host.packet_programs import LinuxProgramTable
from host.processes import LinuxProcesses
from host.sockets import LinuxSockets
from host.trees import LinuxTrees

_MAX_ANSWER = 16 << 20
_PIECE = 1 << 18


def prepare(processes: bool = True) -> None:
    """Import what is otherwise imported on first use, for whoever cannot read our files by then; psutil only with `processes`."""
    importlib.import_module("subprocess")
    if processes:
        importlib.import_module("psutil")


class LinuxHost:
    """`contracts.host.Host` for Linux.

    `read_bytes` counts what was read from files and commands, for the ledger. `dry` is always false here: `host.dry_run.DryRun` wraps a
    host so that nothing changes. `state` is what systemd or the launcher names in STATE_DIRECTORY (`systemd.exec(5)`).
    """

    def __init__(self) -> None:
        self.dry = False
        self.state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        self.read_bytes = 0
        self.files = LinuxFiles(self._account)
        self.commands = LinuxCommands(self._account)
        self.sockets = LinuxSockets()
        self.processes = LinuxProcesses()
        self.packages = LinuxPackages(self.commands)
        self.netfilter = LinuxNetfilter()
        self.nftables = LinuxNftables()
        self.programs = LinuxProgramTable()
        self.trees = LinuxTrees()
        self.clamd = LinuxClamd()
        self.openings = LinuxOpenings()

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on the clock that no one sets."""
        return time.monotonic()

    def pieces(self, *argv: str, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Run a read-only command line and yield what it answers while it comes; raises `Unavailable`."""
        if not argv or not allowed.allows(argv[0], argv[1:]):
            raise ValueError(f"not a command line that only reads: {' '.join(argv)[:200]!r}")
        buffer = memoryview(bytearray(_PIECE))
        with self.stream(*argv, timeout_s=timeout_s) as running:
            while count := running.readinto(buffer):
                yield bytes(buffer[:count])
            done = running.end()
        if done.code:
            said = done.stderr.decode("utf-8", "replace").strip()[-200:]
            raise Unavailable(Why.OTHER, f"{argv[0]} ended with {done.code}: {said}", advice=f"run {argv[0]} by hand")

    def facts(self) -> Facts:
        """Return what this machine is."""
        return facts.facts()

    def capabilities(self) -> frozenset[str]:
        """Return the effective capabilities of this thread, as `CAP_NET_ADMIN`."""
        return capabilities.effective()

    def ruleset_changes(self, stop: Stop) -> Iterator[RulesetChange]:
        """Yield every burst of changes of the kernel's nftables ruleset until `stop` is set; raises `Unavailable`."""
        return ruleset_monitor.changes(stop)

    def network_changes(self, stop: Stop) -> Iterator[str]:
        """Yield one word per burst of changes of the network until `stop` is set; raises `Unavailable`."""
        return network_monitor.changes(stop)

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        """Run a command that changes the machine."""
        done = run(argv, stdin, timeout_s, _MAX_ANSWER)
        self._account(len(done.stdout) + len(done.stderr))
        return done

    @contextmanager
    def stream(
        self,
        *argv: str,
        stdin: Iterable[bytes] = (),
        user: str = "",
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        timeout_s: float = 3600.0,
    ) -> Iterator[Stream]:
        """Run a command and read its output as it comes."""
        with streams.stream(
            argv, stdin=stdin, user=user, environment=environment, files=files, timeout_s=timeout_s
        ) as running:
            try:
                yield running
            finally:
                self._account(running.read_bytes)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records of a name; raises `Unavailable`."""
        return dns_txt.texts(name)

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Replace a file atomically."""
        replace_file.write(path, content, mode)

    def _account(self, count: int) -> None:
        self.read_bytes += count
