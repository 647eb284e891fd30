"""A machine made of a folder, for tests: what it answers is what lies there.

`files/…` holds the file system. `commands.json` maps a command line to `{"stdout": FILE, "code": 0, "stderr": ""}`, where FILE lies in
`commands/`, or to `{"unavailable": WHY, "message": "…"}`; a tool without any entry is not installed. `sockets.json`, `processes.json` and
`facts.json` hold `Sockets`, a `Process` by id and `Facts`, `packages.json` a package by path, `capabilities.json` a list. Everything that
was read may be replaced on the object while a test goes on.
"""

import ipaddress
import json
import os
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from contracts.errors import Unavailable, Why
from contracts.host import (
    Completed,
    Facts,
    PacketPrograms,
    Process,
    Processes,
    RulesetChange,
    Senders,
    Sockets,
    Stop,
    Stream,
)
from contracts.netfilter import Cut, Element, Flow, NoSuchSet, Overlap
from host.clamd import LinuxClamd
from host.dry_run import Planned
from host.files import LinuxFiles
from host.openings import LinuxOpenings
from host.trees import LinuxTrees

T = TypeVar("T")

_FACTS = Facts(
    hostname="fake",
    machine_id="0" * 32,
    boot_id="1" * 32,
    kernel="6.1.0",
    os_name="Fake Linux",
    architecture="x86_64",
    cpus=2,
    memory_bytes=1 << 30,
)


class FakeFiles:
    """Files below a folder, under the errors of the real ones; `denied` lists paths that may not be read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = LinuxFiles()
        self.denied: set[str] = set()

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        """Return the content."""
        return self._real.read(self._inside(path), max_bytes)

    def end(self, path: str, max_bytes: int) -> tuple[int, bytes]:
        """Return how much is left out, and the end of the content."""
        return self._real.end(self._inside(path), max_bytes)

    def head(self, path: str, max_bytes: int) -> bytes:
        """Return the beginning of the content."""
        return self._real.head(self._inside(path), max_bytes)

    def names(self, path: str) -> list[bytes]:
        """Return the names in a directory."""
        return self._real.names(self._inside(path))

    def stat(self, path: str) -> Any:
        """Return the metadata."""
        return self._real.stat(self._inside(path))

    def link(self, path: str) -> bytes:
        """Return what a symbolic link holds."""
        return self._real.link(self._inside(path))

    def _inside(self, path: str) -> str:
        if path in self.denied:
            raise Unavailable(Why.PERMISSION, f"{path} may not be read", advice="run the agent as root")
        return os.fspath(self._root) + os.path.normpath("/" + path)


class FakeCommands:
    """Recorded answers by command line; `asked` lists what was asked."""

    def __init__(self, root: Path) -> None:
        self._root = root / "commands"
        self.answers: dict[str, dict[str, Any]] = _load(root / "commands.json", dict[str, dict[str, Any]], {})
        self.asked: list[tuple[str, ...]] = []

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 256 << 20) -> Completed:  # noqa: ARG002
        """Return the recorded answer."""
        self.asked.append(argv)
        if not self.present(argv[0]):
            raise Unavailable(Why.TOOL_MISSING, f"{argv[0]} is not installed", advice=f"install the package {argv[0]}")
        answer = self.answers[" ".join(argv)]
        if "unavailable" in answer:
            raise Unavailable(Why(answer["unavailable"]), answer.get("message", "not available"), advice="try again")
        stdout = answer.get("stdout", "")
        return Completed(
            argv=argv,
            code=answer.get("code", 0),
            stdout=stdout if isinstance(stdout, bytes) else (self._root / stdout).read_bytes() if stdout else b"",
            stderr=str(answer.get("stderr", "")).encode(),
        )

    def configured(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 1 << 20) -> Completed:  # noqa: ARG002
        """Return the recorded answer."""
        return self.ask(*argv)

    def present(self, tool: str) -> bool:
        """Say whether an answer of `tool` was recorded."""
        return any(line.split(" ")[0] == tool for line in self.answers)


class FakeStream:
    """A recorded answer as a stream; `given` is what was put in."""

    pid = 0
    running = False

    def __init__(self, answer: Completed, stdin: Iterable[bytes]) -> None:
        self._answer = answer
        self._rest = memoryview(answer.stdout)
        self.given = b"".join(stdin)

    def signal(self, number: int) -> None:
        """Do nothing: nothing runs."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer."""
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def end(self) -> Completed:
        """Return the recorded code and errors."""
        return msgspec.structs.replace(self._answer, stdout=b"")


class FakeSockets:
    """Sockets as a test sets them in `found`; an exception there is raised."""

    def __init__(self, found: Sockets) -> None:
        self.found: Sockets | Unavailable = found
        self.senders: Senders | Unavailable = Senders(connections=())

    def listening(self, owners: bool = True, ports: Collection[int] = ()) -> Sockets:
        """Return `found`, without owners if they are not wanted, and if `ports` are given only what is on them."""
        if isinstance(self.found, Unavailable):
            raise self.found
        chosen = tuple(socket for socket in self.found.sockets if not ports or socket.port in ports)
        if owners:
            return msgspec.structs.replace(self.found, sockets=chosen)
        plain = tuple(msgspec.structs.replace(socket, pids=()) for socket in chosen)
        return msgspec.structs.replace(self.found, sockets=plain, owners_seen=False)

    def sending(self, at_least: int, most: int) -> Senders:
        """Return those of `senders` that have sent so much."""
        if isinstance(self.senders, Unavailable):
            raise self.senders
        chosen = [one for one in self.senders.connections if one.bytes_sent >= at_least]
        return msgspec.structs.replace(
            self.senders, connections=tuple(chosen[:most]), left_out=max(0, len(chosen) - most)
        )

    def fingerprint(self, ephemeral_udp: bool = True) -> bytes:
        """Return a digest of `found`; the ephemeral ports are those from 32768 on."""
        sockets = self.listening(owners=False).sockets
        kept = [one for one in sockets if ephemeral_udp or one.protocol != "udp" or one.port < 32768]
        return repr(sorted((one.protocol, one.address, one.port, one.inode) for one in kept)).encode()


class FakeProcesses:
    """Processes by id as a test sets them."""

    def __init__(self, found: Processes) -> None:
        self.found = found

    def describe(self, pids: Sequence[int]) -> Processes:
        """Return those of `pids` there are."""
        by_pid = {pid: self.found.by_pid[pid] for pid in pids if pid in self.found.by_pid}
        return Processes(by_pid=by_pid, blind=self.found.blind)


class FakePackages:
    """Packages by path; None for a machine without a package database."""

    def __init__(self, by_path: dict[str, str] | None) -> None:
        self.by_path = by_path

    def owner(self, path: str) -> str:
        """Return the package that ships `path`, or ""."""
        return self.owners([path])[path]

    def owners(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the same for many paths."""
        if self.by_path is None:
            raise Unavailable(Why.NOT_PRESENT, "this host has no package database", advice="do without")
        return {path: self.by_path.get(path, "") for path in paths}


class FakeNftables:
    """A ruleset's generation and its sets' sizes as a test sets them; a set without a size is not there."""

    def __init__(self) -> None:
        self.number = 1
        self.sizes: dict[tuple[str, str, str], int] = {}
        self.compared: dict[tuple[str, str, str], dict[int, tuple[int, int]]] = {}

    def generation(self) -> int:
        """Return `number`."""
        return self.number

    def count(self, family: str, table: str, name: str, at_most: int) -> int:
        """Return the size, or one more than `at_most`."""
        size = self.sizes.get((family, table, name))
        if size is None:
            raise Unavailable(Why.NOT_PRESENT, "the set is not there any more", advice="look again")
        return min(size, at_most + 1)

    def ranges(self, family: str, table: str, chain: str, handles: Container[int]) -> dict[int, tuple[int, int]]:
        """Return what was set of the rules of this chain."""
        found = self.compared.get((family, table, chain), {})
        return {handle: counts for handle, counts in found.items() if handle in handles}


class FakePrograms:
    """Programs as a test sets them in `found`; an exception there is raised."""

    def __init__(self) -> None:
        self.found: PacketPrograms | Unavailable = PacketPrograms()

    def on_packets(self) -> PacketPrograms:
        """Return `found`."""
        if isinstance(self.found, Unavailable):
            raise self.found
        return self.found


class FakeDepartures:
    """Counts what a test puts into `left`."""

    def __init__(self) -> None:
        self.left = 0

    def count(self) -> int:
        """Return `left`."""
        return self.left

    def close(self) -> None:
        """Do nothing."""


class FakeNetfilter:
    """Sets by table and name in `sets` (absent: not there), flows in `tracked`; `stubborn` flows cannot be cut."""

    def __init__(self) -> None:
        self.sets: dict[tuple[str, str], list[Element]] = {}
        self.tracked: list[Flow] = []
        self.stubborn = False
        self.tap = FakeDepartures()
        self.trouble: Unavailable | None = None

    def elements(self, table: str, name: str) -> list[Element]:
        """Return the elements of a set."""
        if self.trouble is not None:
            raise self.trouble
        if (table, name) not in self.sets:
            raise NoSuchSet(f"there is no set {name} in table inet {table}")
        return list(self.sets[table, name])

    def intervals(self, table: str, name: str) -> list[tuple[int, int]]:
        """Return the elements as numbers."""
        networks = [ipaddress.ip_network(one.network) for one in self.elements(table, name)]
        return sorted((int(one.network_address), int(one.broadcast_address)) for one in networks)

    def element(self, table: str, name: str, address: str) -> Element | None:
        """Return the element that holds `address`."""
        wanted = ipaddress.ip_address(address)
        return next((one for one in self.elements(table, name) if wanted in ipaddress.ip_network(one.network)), None)

    def flows(self, network: str) -> list[Flow]:
        """Return the flows of `network`."""
        wanted = ipaddress.ip_network(network)
        return [flow for flow in self.tracked if ipaddress.ip_address(flow.source) in wanted]

    def add(self, table: str, name: str, elements: Sequence[Element]) -> None:
        """Add all, or none."""
        held = [ipaddress.ip_network(one.network) for one in self.elements(table, name)]
        for one in elements:
            wanted: Any = ipaddress.ip_network(one.network)
            if any(wanted.version == other.version and wanted.overlaps(other) for other in held):
                raise Overlap(f"the set {name} of table inet {table} holds such an address already")
        self.sets[table, name] += elements

    def delete(self, table: str, name: str, networks: Sequence[str]) -> None:
        """Delete all, or none."""
        held = self.elements(table, name)
        if not {one.network for one in held} >= set(networks):
            raise NoSuchSet(f"an element of the set {name} of table inet {table} is not there")
        self.sets[table, name] = [one for one in held if one.network not in networks]

    def change(self, table: str, gone: Mapping[str, Sequence[Element]], come: Mapping[str, Sequence[Element]]) -> None:
        """Delete and add; here one after the other."""
        for name, elements in gone.items():
            self.delete(table, name, [one.network for one in elements])
        for name, elements in come.items():
            self.add(table, name, elements)

    def cut(self, network: str) -> Cut:
        """Forget the flows of `network`, unless they are stubborn."""
        found = self.flows(network)
        if self.stubborn:
            return Cut(kept=tuple(found))
        self.tracked = [flow for flow in self.tracked if flow not in found]
        return Cut(deleted=len(found))

    def departures(self, network: str) -> FakeDepartures:  # noqa: ARG002
        """Return `tap`."""
        return self.tap


class FakeHost:
    """`contracts.host.Host` rooted at a folder; `now` is the time there until `advance` moves it. `planned` lists what was changed."""

    def __init__(self, root: str | os.PathLike[str], now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        folder = Path(root)
        self.dry = False
        self.state = ""
        self.time = now
        self.ticks = 0.0
        self.planned: list[Planned] = []
        self.announcements: list[str | RulesetChange | Unavailable] = []
        self.network_announcements: list[str | Unavailable] = []
        self.files = FakeFiles(folder / "files")
        self.commands = FakeCommands(folder)
        self.sockets = FakeSockets(_load(folder / "sockets.json", Sockets, Sockets(sockets=())))
        by_pid = _load(folder / "processes.json", dict[int, Process], {})
        self.processes = FakeProcesses(Processes(by_pid=by_pid))
        self.packages = FakePackages(_load(folder / "packages.json", dict[str, str], {}))
        self.nftables = FakeNftables()
        self.programs = FakePrograms()
        self.trees = LinuxTrees()
        self.clamd = LinuxClamd()
        self.openings = LinuxOpenings()
        self.records: dict[str, tuple[str, ...]] = {}
        self.netfilter = FakeNetfilter()
        self._facts = _load(folder / "facts.json", Facts, _FACTS)
        self.held = frozenset(_load(folder / "capabilities.json", list[str], []))

    def pieces(self, *argv: str, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Yield the recorded answer."""
        yield self.commands.ask(*argv, timeout_s=timeout_s).stdout

    def now(self) -> datetime:
        """Return the time there."""
        return self.time

    def monotonic(self) -> float:
        """Return how far `advance` has moved."""
        return self.ticks

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)
        self.ticks += seconds

    def facts(self) -> Facts:
        """Return what this machine is said to be."""
        return self._facts

    def capabilities(self) -> frozenset[str]:
        """Return the capabilities it is said to hold."""
        return self.held

    def ruleset_changes(self, stop: Stop) -> Iterator[RulesetChange]:
        """Yield `announcements` one by one, then wait for `stop`; a word stands for a change by nobody known."""
        for change in _heard(self.announcements, stop):
            yield RulesetChange(word=change) if isinstance(change, str) else change

    def network_changes(self, stop: Stop) -> Iterator[str]:
        """Yield `network_announcements` one by one, then wait for `stop`."""
        yield from _heard(self.network_announcements, stop)

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:  # noqa: ARG002
        """Note a command line and answer as if it had succeeded."""
        self.planned.append(Planned(argv=argv, stdin=stdin))
        return Completed(argv=argv, code=0, stdout=b"", stderr=b"")

    @contextmanager
    def stream(
        self,
        *argv: str,
        stdin: Iterable[bytes] = (),
        user: str = "",  # noqa: ARG002
        environment: Mapping[str, str] | None = None,  # noqa: ARG002
        files: Mapping[str, bytes] | None = None,  # noqa: ARG002
        timeout_s: float = 3600.0,  # noqa: ARG002
    ) -> Iterator[Stream]:
        """Answer as recorded for this command line."""
        stream = FakeStream(self.commands.ask(*argv), stdin)
        self.planned.append(Planned(argv=argv, stdin=stream.given))
        yield stream

    def texts(self, name: str) -> tuple[str, ...]:
        """Return what `records` holds."""
        if name not in self.records:
            raise Unavailable(Why.OTHER, f"{name} could not be asked for", advice="check the name servers of this host")
        return self.records[name]

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Note a file and its new content."""
        self.planned.append(Planned(path=path, content=content, mode=mode))


def _heard(said: list[Any], stop: Stop) -> Iterator[Any]:
    """Yield what a test says, and raise what is an exception."""
    while not stop.is_set():
        if not said:
            stop.wait(0.01)
            continue
        word = said.pop(0)
        if isinstance(word, Unavailable):
            raise word
        yield word


def _load(path: Path, kind: type[T], default: T) -> T:
    """Return the JSON in `path` as `kind`, `default` where there is no such file."""
    if not path.exists():
        return default
    return msgspec.convert(json.loads(path.read_text()), kind, strict=False)
