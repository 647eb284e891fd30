"""What a collector or action may ask of the machine. `host/` implements it for Linux; tests root a fake at a fixture folder.

Every method raises `contracts.errors.Unavailable` when it cannot look. An empty answer means "looked, and there is none". A
partial answer carries `Blind` entries that say what is missing.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from contracts.clamd import Clamd
from contracts.coverage import Blind
from contracts.netfilter import Netfilter, NetfilterReader
from contracts.openings import Openings
from contracts.record import Record
from contracts.trees import Trees


class Facts(Record):
    """What this machine is. `machine_id` and `boot_id` are lower-case hex without dashes."""

    hostname: str
    machine_id: str
    boot_id: str
    kernel: str
    os_name: str
    architecture: str
    cpus: int
    memory_bytes: int


class Completed(Record):
    """What a command answered. `stderr` is cut to 64 KiB."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes


class FileStat(Record):
    """The part of `lstat` that looks need; times in nanoseconds."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


class Files(Protocol):
    """Reading files, never following more than the kernel would for the path given."""

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        """Return the content; raises `Unavailable` (`NOT_PRESENT`, `PERMISSION`, `TOO_LARGE`)."""

    def end(self, path: str, max_bytes: int) -> tuple[int, bytes]:
        """Return the last `max_bytes` of a regular file (less where it is shorter), and before them how much was left out.

        Raises as `read` does, but for `TOO_LARGE`.
        """

    def head(self, path: str, max_bytes: int) -> bytes:
        """Return the first `max_bytes` of a regular file (less where it is shorter); raises as `end` does."""

    def part(self, path: str, begin: int, max_bytes: int) -> tuple[FileStat, bytes]:
        """Return a regular file's metadata and its content from `begin` on, `max_bytes` at most. Raises as `end` does."""

    def names(self, path: str) -> list[bytes]:
        """Return the names in a directory, unsorted, as bytes."""

    def stat(self, path: str) -> FileStat:
        """Return the metadata without following a final symbolic link."""

    def link(self, path: str) -> bytes:
        """Return what a symbolic link holds."""


class Commands(Protocol):
    """Asking a tool. Only tools listed in `host/` as read-only are run, by absolute path, with `LC_ALL=C` and no shell."""

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 256 << 20) -> Completed:
        """Run a read-only command line and return what it answered, whatever its exit code.

        Raises `Unavailable`: `TOOL_MISSING`, `TIMEOUT`, `TOO_LARGE`, `PERMISSION` (may not be executed).
        """

    def configured(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 1 << 20) -> Completed:
        """Run a command line that the configuration names, whatever it is, without any capability of this worker; else as `ask`."""

    def present(self, tool: str) -> bool:
        """Say whether `tool` is installed."""


class Socket(Record):
    """One listening or bound socket.

    `protocol` is tcp, udp, sctp (dccp, udplite as the kernel names them); `family` 4 or 6; `address` in canonical text;
    `v6only` None where the kernel does not say; `interface` a device it is bound to or ""; `inode` the socket's; `netns`
    the inode number of its network namespace, `uid` the owner of the socket; `pids` the processes that hold it, empty
    when not known (see `Sockets.blind`).
    """

    protocol: str
    family: int
    address: str
    port: int
    interface: str = ""
    v6only: bool | None = None
    inode: int = 0
    netns: int = 0
    uid: int = 0
    backlog: int = 0
    pids: tuple[int, ...] = ()


class Sockets(Record):
    """The listening sockets and what could not be seen of them.

    `home` is the inode number of this host's own network namespace, 0 when not known, `namespaces` those that were looked into. Where
    `all_namespaces` is false there are others, so that a socket missing from this list may well be there. Where `owners_seen` is false
    some processes could not be looked into; where it is true, a socket without `pids` belongs to the kernel or to nobody any more.
    """

    sockets: tuple[Socket, ...]
    blind: tuple[Blind, ...] = ()
    home: int = 0
    namespaces: tuple[int, ...] = ()
    all_namespaces: bool = True
    owners_seen: bool = True


class Sender(Record):
    """One TCP connection of this network namespace: both ends, what the peer has acknowledged, and the processes that hold it."""

    protocol: str
    address: str
    port: int
    peer: str
    peer_port: int
    bytes_sent: int = 0
    uid: int = 0
    inode: int = 0
    pids: tuple[int, ...] = ()


class Senders(Record):
    """Connections over which much has been sent, `left_out` more than were asked for.

    Where `owners_seen` is true, a connection without `pids` is held by no process any more.
    """

    connections: tuple[Sender, ...]
    blind: tuple[Blind, ...] = ()
    owners_seen: bool = True
    left_out: int = 0


class SocketTable(Protocol):
    """Sockets of the kernel."""

    def sending(self, at_least: int, most: int) -> Senders:
        """Return the TCP connections of this network namespace that have sent so many bytes, those with the most first."""

    def listening(self, owners: bool = True, ports: Collection[int] = ()) -> Sockets:
        """Return every listening (tcp, sctp) or bound unconnected (udp) socket of every network namespace that may be seen.

        With `ports`, only those that are bound to one of them; cheap when they are few.
        """

    def fingerprint(self, ephemeral_udp: bool = True) -> bytes:
        """Return a digest that changes when a socket starts or stops listening in this network namespace; cheap.

        Without `ephemeral_udp`, UDP sockets on the ports that the kernel hands out to clients do not count.
        """


class Process(Record):
    """One process as ports and judges need it. Names in `contracts.text.escape` form.

    `executable` is "" when it cannot be read; `deleted` when the file behind it is gone. `unit` is the systemd unit, `container` a short
    id with its engine (`docker:0123456789ab`) or "". `package` is filled in by the collector.
    """

    pid: int
    name: str
    executable: str = ""
    deleted: bool = False
    uid: int = -1
    user: str = ""
    command_line: str = ""
    unit: str = ""
    container: str = ""
    started_ms: int = 0
    parent: int = 0


class Processes(Record):
    """Processes by id, and what could not be seen of them."""

    by_pid: Mapping[int, Process]
    blind: tuple[Blind, ...] = ()


class ProcessTable(Protocol):
    """Processes of the kernel."""

    def describe(self, pids: Sequence[int]) -> Processes:
        """Describe the processes of `pids`; one that has ended meanwhile is left out without a blind spot."""


class PackageIndex(Protocol):
    """The distribution's package database (dpkg, rpm)."""

    def owner(self, path: str) -> str:
        """Return the package that ships `path`, or "" when none does; raises `Unavailable` without a package database."""

    def owners(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the same for many paths at once, in one pass over the database."""


class Nftables(Protocol):
    """What the kernel says of nftables by itself; cheap. Raises `Unavailable` without CAP_NET_ADMIN."""

    def generation(self) -> int:
        """Return the number of the ruleset's present state; every commit raises it."""

    def count(self, family: str, table: str, name: str, at_most: int) -> int:
        """Return how many elements a set or map holds, `at_most` + 1 when there are more: counting ends there.

        Names are in `contracts.text.escape` form. Raises `Unavailable` (`NOT_PRESENT` when there is no such set any more).
        """

    def ranges(self, family: str, table: str, chain: str, handles: Container[int]) -> dict[int, tuple[int, int]]:
        """Return for each rule of these handles how many ranges it really compares with: as being within one, and as not being so.

        nft lists some comparisons that only look like a range as one. Names as above. Raises `Unavailable`.
        """


class PacketProgram(Record):
    """BPF programs that see packets at one place.

    `kind` is cgroup, tcx or sk_lookup (for the lookup of sockets of the whole network namespace), `place` the cgroup's path or the
    interface, `direction` ingress or egress, `ids` the kernel's numbers.
    `unit` is the systemd unit (or scope of a container) whose cgroup it is, "" for one that holds several.
    """

    kind: str
    place: str
    direction: str
    ids: tuple[int, ...]
    unit: str = ""


class PacketPrograms(Record):
    """The programs that see packets, and what could not be seen of them."""

    programs: tuple[PacketProgram, ...] = ()
    blind: tuple[Blind, ...] = ()


class Committer(Record):
    """Who changed the ruleset, as the kernel names it, and as far as that process was still there to be asked.

    `process` is the name of the thread that committed, `command` the program of its process. `user` is whom it ran as, `login` who logged
    in (the audit login id, which survives sudo and su), `unit` its systemd unit, `parents` the names of the processes above it, nearest
    first, up to its session or service. What is not known is empty. `own` when it is this worker or a command that it ran.
    """

    pid: int
    process: str
    command: str = ""
    user: str = ""
    login: str = ""
    unit: str = ""
    container: str = ""
    parents: tuple[str, ...] = ()
    own: bool = False


class RulesetChange(Record):
    """One burst of changes of the ruleset: `word` is `changed`, or `overflow` when notices were missed; `committers` whom they named.

    `elements` when nothing but elements of sets and maps came or went, as with every ban.
    """

    word: str
    committers: tuple[Committer, ...] = ()
    elements: bool = False


class ProgramTable(Protocol):
    """BPF programs of the kernel."""

    def on_packets(self) -> PacketPrograms:
        """Return the programs of cgroups and tcx that see packets; raises `Unavailable` where bpf(2) may not be asked."""


class ReadOnlyHost(Protocol):
    """Everything a collector may use. Time comes from here, too, so that a collector is a function of the host."""

    files: Files
    commands: Commands
    sockets: SocketTable
    processes: ProcessTable
    packages: PackageIndex
    nftables: Nftables
    programs: ProgramTable
    trees: Trees
    clamd: Clamd
    openings: Openings

    @property
    def netfilter(self) -> NetfilterReader:
        """Sets and tracked connections of the kernel, asked without a tool."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds on the clock that no one sets."""

    def pieces(self, *argv: str, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Run a read-only command line and yield what it answers while it comes, for answers that are too long to hold.

        Raises `Unavailable` as `Commands.ask` does, and where it ends with another code than 0.
        """

    def facts(self) -> Facts:
        """Return what this machine is."""

    def capabilities(self) -> frozenset[str]:
        """Return the effective capabilities of this process, as `CAP_NET_ADMIN`."""

    def ruleset_changes(self, stop: "Stop") -> Iterator[RulesetChange]:
        """Yield once per burst of changes of the kernel's nftables ruleset, until `stop` is set.

        Yields promptly (under 50 ms) and collapses bursts. Raises `Unavailable` where netlink does not allow it.
        """

    def network_changes(self, stop: "Stop") -> Iterator[str]:
        """Yield one word per burst of changes of links, addresses, routes, routing rules, switches and filters of tc, until `stop` is set.

        The word is `changed`, or `overflow` when notices were missed. Prompt and collapsed as above. Raises `Unavailable`.
        """


class Stream(Protocol):
    """A command that is running, whose output is read while it comes. For one thread."""

    @property
    def pid(self) -> int:
        """The id of its process, which leads a process group of its own; 0 when nothing runs."""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""

    def signal(self, number: int) -> None:
        """Send a signal to its process, unless it has ended."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end; raises `Unavailable` (`TIMEOUT`)."""

    def end(self) -> Completed:
        """Pass over what was not read, wait for the end and return the exit code; `stdout` is empty, `stderr` its last 64 KiB."""


class Host(ReadOnlyHost, Protocol):
    """Everything an action may use besides."""

    dry: bool
    """Whether changes are only described (see `host.dry_run`)."""
    state: str
    """A folder that this worker's user owns and nobody else may enter, kept across restarts and boots; "" when there is none."""

    @property
    def netfilter(self) -> Netfilter:
        """The same, to be changed."""

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        """Run a command that changes the machine; under dry run it is recorded and answers as if it had succeeded."""

    def stream(
        self,
        *argv: str,
        stdin: Iterable[bytes] = (),
        user: str = "",
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        timeout_s: float = 3600.0,
    ) -> AbstractContextManager[Stream]:
        """Run a command, by absolute path or found among the system's tools, and read its output as it comes; a context manager.

        It runs as `user` (only root can choose) with umask 077, in the C locale and without a shell; `environment` is added. `files` are
        for secrets, which belong neither on a command line nor on a disk: each lies in memory, readable by the command's user, and its
        path stands wherever `{file:NAME}` is written in `argv` or `environment`. What goes on in the context ends with it: the whole
        process group is killed when the command has not ended by itself. Under dry run it is noted, says nothing and answers 0. Raises
        `Unavailable`: `TOOL_MISSING`, `PERMISSION`, `NOT_PRESENT` (no such user), and while reading `TIMEOUT`.
        """

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records of a name, as the system's name servers say; raises `Unavailable`."""

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Replace a file atomically (temporary name in the same directory, fsync, rename, fsync of the directory)."""


class Stop(Protocol):
    """How a watcher learns that it should end."""

    def is_set(self) -> bool:
        """Say whether to stop."""

    def wait(self, timeout_s: float) -> bool:
        """Sleep for at most `timeout_s`; return whether to stop."""

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when it is time to stop, for `select`."""
