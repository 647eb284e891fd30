"""A network namespace of its own per test, and a host whose commands and files are those of that namespace."""

import ctypes
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from collectors.firewall.collector import FirewallCollector, Options
from contracts.collector import Report
from contracts.errors import Unavailable, Why
from contracts.host import Completed, PacketPrograms, RulesetChange
from contracts.snapshot import Snapshot, apply
from contracts.subjects.firewall import Row
from host.nftables import LinuxNftables

T = TypeVar("T")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "firewall"


class Netns:
    """A network namespace: runs commands in it, and is the host a collector sees.

    `broken` maps a tool to how it fails instead, `overlay` a path to content or to why it cannot be read. `wrapper` is put before every
    command that is asked (`setpriv …`).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands = self.files = self.nftables = self.programs = self
        self.kernel = LinuxNftables()
        self.attached: PacketPrograms | Unavailable = PacketPrograms()
        self.broken: dict[str, Completed | Unavailable] = {}
        self.overlay: dict[str, bytes | Unavailable] = {}
        self.wrapper: tuple[str, ...] = ()
        self.asked: list[tuple[str, ...]] = []
        self.notices: list[RulesetChange] = []

    def run(self, *argv: str, stdin: str | bytes = b"") -> str:
        body = stdin.encode() if isinstance(stdin, str) else stdin
        inside = ("nsenter", f"--net=/run/netns/{self.name}", "--", *argv)
        done = subprocess.run(inside, input=body, capture_output=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode(errors="replace")

    def nft(self, program: str) -> None:
        self.run("nft", "-f", "-", stdin=program)

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 256 << 20) -> Completed:
        self.asked.append(argv)
        failure = self.broken.get(argv[0])
        if isinstance(failure, Unavailable):
            raise failure
        if failure is not None:
            return failure
        inside = ("nsenter", f"--net=/run/netns/{self.name}", "--", *self.wrapper, *argv)
        done = subprocess.run(
            inside, capture_output=True, check=False, timeout=timeout_s, env={**os.environ, "LC_ALL": "C"}
        )
        if len(done.stdout) > max_bytes:
            raise Unavailable(Why.TOO_LARGE, f"{argv[0]} answered more than {max_bytes} bytes")
        return Completed(argv=argv, code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        planted = self.overlay.get(path)
        if isinstance(planted, Unavailable):
            raise planted
        if planted is not None:
            return planted
        inside = ("nsenter", f"--net=/run/netns/{self.name}", "--", *self.wrapper, "cat", path)
        done = subprocess.run(inside, capture_output=True, check=False)
        if done.returncode != 0:
            raise Unavailable(
                Why.NOT_PRESENT if b"No such file" in done.stderr else Why.PERMISSION, done.stderr.decode()
            )
        return done.stdout

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def names(self, path: str) -> list[bytes]:
        planted = self.overlay.get(path)
        if isinstance(planted, Unavailable):
            raise planted
        listed = ("nsenter", f"--net=/run/netns/{self.name}", "--", "ls", "-1U", path)
        done = subprocess.run(listed, capture_output=True, check=False)
        if done.returncode != 0:
            raise Unavailable(Why.NOT_PRESENT, done.stderr.decode())
        return done.stdout.splitlines()

    def within(self, call: Callable[[], T]) -> T:
        """Return what `call` returns in a thread that has entered the namespace."""
        answers: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            with Path(f"/run/netns/{self.name}").open() as space:
                assert ctypes.CDLL(None).setns(space.fileno(), 0x40000000) == 0
            try:
                answers.append(call())
            except Exception as error:  # noqa: BLE001  # handed to the caller
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return answers[0]

    def generation(self) -> int:
        return self.within(self.kernel.generation)

    def count(self, family: str, table: str, name: str, at_most: int) -> int:
        return self.within(lambda: self.kernel.count(family, table, name, at_most))

    def ranges(self, family: str, table: str, chain: str, handles: Container[int]) -> dict[int, tuple[int, int]]:
        return self.within(lambda: self.kernel.ranges(family, table, chain, handles))

    def on_packets(self) -> PacketPrograms:
        if isinstance(self.attached, Unavailable):
            raise self.attached
        return self.attached

    def ruleset_changes(self, stop: threading.Event) -> Iterator[RulesetChange]:
        yield from self.notices


class Looks:
    """A collector and its snapshot: `again()` looks, keeps what changed, and returns the report."""

    def __init__(self, host: Netns, options: Options | None = None) -> None:
        self.host = host
        self.collector = FirewallCollector(options or Options())
        self.snapshot: Snapshot[Row] = Snapshot(subject="firewall")

    def again(self) -> Report[Row]:
        report = self.collector.collect(self.host, self.snapshot)  # type: ignore[arg-type]
        rows = apply(self.snapshot.rows, report.changes)
        self.snapshot = Snapshot(subject="firewall", revision=self.snapshot.revision + 1, rows=rows)
        return report

    def kinds(self) -> list[str]:
        return [event.kind.removeprefix("firewall.") for event in self.again().events]

    def rules(self) -> list[str]:
        return [row.text for row in self.snapshot.rows.values() if row.what == "rule"]

    @property
    def summary(self):  # type: ignore[no-untyped-def]
        return self.snapshot.rows["summary"].summary


@pytest.fixture
def netns() -> Iterator[Netns]:
    name = f"hf-fw-{uuid.uuid4().hex[:10]}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    try:
        yield Netns(name)
    finally:
        subprocess.run(("ip", "netns", "del", name), check=True)


@pytest.fixture
def looks(netns: Netns) -> Looks:
    return Looks(netns)


@pytest.fixture
def fixtures() -> Path:
    return FIXTURES
