"""Workers that are taken over: a collector that runs whatever the test says, in a real worker after its privileges were dropped."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.framing import core_codec, read_frame, worker_codec, write_frame
from agent.hosting import Hosting
from agent.launcher import Launcher
from contracts.collector import Report
from contracts.frames import PROTOCOL, Collect, Done, Hello, Ready
from contracts.host import Processes, Sockets
from contracts.options import CollectorOptions
from contracts.record import Record
from contracts.snapshot import Changes
from tests.roomy import ROOMY


class Row(Record):
    value: str


class Bare:
    """A host without anything but the time and empty tables."""

    read_bytes = 0
    dry = False
    state = ""
    files = commands = packages = netfilter = nftables = programs = trees = clamd = openings = change = write = None

    def __init__(self) -> None:
        self.sockets = self.processes = self

    def listening(self, owners=True, ports=()):
        return Sockets(sockets=())

    def fingerprint(self, ephemeral_udp=True):
        return b""

    def describe(self, pids):
        # What the eyes can do is what the worker cannot: prove it by a link of another user's process.
        for pid in pids:
            os.readlink(f"/proc/{pid}/exe")
        return Processes(by_pid={})

    def now(self):
        return datetime.now(UTC)

    def monotonic(self):
        return time.monotonic()

    def capabilities(self):
        return frozenset()


class TakenOver:
    """A worker whose collector obeys the attacker."""

    def __init__(self, launcher: Launcher, name: str) -> None:
        self.name = name
        self._sock = launcher.connect(name)
        self._send(Hello(protocol=PROTOCOL, options={}))
        ready = worker_codec().decode(read_frame(self._sock))
        assert isinstance(ready, Ready)
        self.ready = ready
        self._runs = 0

    def run(self, attack: str) -> str:
        """Return what attack number `attack` came to, in the worker: `ok: …` or `refused: …`."""
        self._runs += 1
        self._send(Collect(id=self._runs, subject=attack, revision=0, deadline_s=10))
        said = ""
        while not isinstance(frame := worker_codec().decode(read_frame(self._sock)), Done):
            said = next(iter(frame.put))
        return said or str(frame.outcome)

    def status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self.ready.pid}/status").read_text().splitlines()
        return {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}

    def _send(self, frame) -> None:
        write_frame(self._sock, core_codec().encode(frame))

    def close(self) -> None:
        self._sock.close()


def collector_of(subject: str, attack: Callable[[object], str]) -> type:
    class Attack:
        name = subject
        kinds = ()
        row = Row
        options = CollectorOptions

        def __init__(self, options):
            pass

        def collect(self, host, before):
            try:
                said = f"ok: {attack(host)}"
            except (OSError, PermissionError, AttributeError) as error:
                said = f"refused: {error}"
            return Report(changes=Changes(put={said: Row(value="x")}))

    return Attack


@pytest.fixture
def take_over():
    """`take_over(attacks, hidden)` returns a function that returns a taken-over worker by name."""
    with contextlib.ExitStack() as stack:

        def prepare(
            attacks: dict[str, Callable[[object], str]],
            hidden: tuple[str, ...] = (),
            folders: dict[str, str] | None = None,
        ):
            def hosting(_name: str) -> Hosting:
                collectors = {name: collector_of(name, attack) for name, attack in attacks.items()}
                return Hosting(collectors=collectors, make_host=Bare, make_dry=lambda host: host)

            assert "uvloop" not in sys.modules, (
                "libuv exchanges descriptors in every fork of a process that has used it"
            )
            launcher = Launcher.start(ROOMY, hosting, hidden=hidden, folders=folders)
            stack.callback(launcher.stop)

            def one(name: str) -> TakenOver:
                worker = TakenOver(launcher, name)
                stack.callback(worker.close)
                return worker

            return one

        yield prepare


@pytest.fixture
def listening(tmp_path):
    """A listening socket such as systemd makes for a worker: only its owner may connect."""
    folder = Path(f"/tmp/holdfast-sock-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o755)
    path = folder / "reader.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen()
        yield path
    path.unlink()
    folder.rmdir()
