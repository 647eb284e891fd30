"""A host that looks as always and only notes what it would change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from contracts.host import Completed, Facts, Host, RulesetChange, Stop, Stream
from contracts.netfilter import Cut, Element, Netfilter
from contracts.record import Record


class Planned(Record):
    """One change that was not made: a command line with its input, or a file with its new content."""

    argv: tuple[str, ...] = ()
    stdin: bytes = b""
    path: str = ""
    content: bytes = b""
    mode: int = 0


class Silence:
    """What a command says that was not run: nothing, with success. `contracts.host.Stream`."""

    pid = 0
    running = False

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv

    def signal(self, number: int) -> None:
        """Do nothing: nothing runs."""

    def readinto(self, buffer: memoryview, /) -> int:  # noqa: ARG002  # nothing comes
        """Return 0."""
        return 0

    def end(self) -> Completed:
        """Return success."""
        return Completed(argv=self._argv, code=0, stdout=b"", stderr=b"")


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
        self.netfilter = DryNetfilter(host.netfilter, self.planned)
        self.nftables = host.nftables
        self.programs = host.programs
        self.trees = host.trees
        self.clamd = host.clamd
        self.openings = host.openings

    @property
    def read_bytes(self) -> int:
        """How many bytes the wrapped host has read."""
        count = getattr(self._host, "read_bytes", 0)
        return count if isinstance(count, int) else 0

    def pieces(self, *argv: str, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Run a read-only command line and yield what it answers."""
        return self._host.pieces(*argv, timeout_s=timeout_s)

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

    def ruleset_changes(self, stop: Stop) -> Iterator[RulesetChange]:
        """Yield every burst of changes of the kernel's nftables ruleset until `stop` is set."""
        return self._host.ruleset_changes(stop)

    def network_changes(self, stop: Stop) -> Iterator[str]:
        """Yield one word per burst of changes of the network until `stop` is set."""
        return self._host.network_changes(stop)

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:  # noqa: ARG002  # it takes no time
        """Note a command line and answer as if it had succeeded without a word."""
        self.planned.append(Planned(argv=argv, stdin=stdin))
        return Completed(argv=argv, code=0, stdout=b"", stderr=b"")

    @contextmanager
    def stream(
        self,
        *argv: str,
        stdin: Iterable[bytes] = (),  # noqa: ARG002  # what would be given is not asked for
        user: str = "",  # noqa: ARG002
        environment: Mapping[str, str] | None = None,  # noqa: ARG002
        files: Mapping[str, bytes] | None = None,  # noqa: ARG002  # secrets are not kept
        timeout_s: float = 3600.0,  # noqa: ARG002
    ) -> Iterator[Stream]:
        """Note a command line."""
        self.planned.append(Planned(argv=argv))
        yield Silence(argv)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the TXT records of a name."""
        return self._host.texts(name)

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Note a file and its new content."""
        self.planned.append(Planned(path=path, content=content, mode=mode))


class DryNetfilter:
    """Reads as always; notes what would change as the command line that does the same."""

    def __init__(self, real: Netfilter, planned: list[Planned]) -> None:
        self._planned = planned
        self.intervals = real.intervals
        self.elements, self.element, self.flows, self.departures = (
            real.elements,
            real.element,
            real.flows,
            real.departures,
        )

    def add(self, table: str, name: str, elements: Sequence[Element]) -> None:
        """Note the elements."""
        self._note("add", table, name, [element.network for element in elements])

    def delete(self, table: str, name: str, networks: Sequence[str]) -> None:
        """Note the networks."""
        self._note("delete", table, name, networks)

    def change(self, table: str, gone: Mapping[str, Sequence[Element]], come: Mapping[str, Sequence[Element]]) -> None:
        """Note the networks of each set."""
        for verb, sets in (("delete", gone), ("add", come)):
            for name, elements in sets.items():
                self._note(verb, table, name, [element.network for element in elements])

    def cut(self, network: str) -> Cut:
        """Note that the flows of `network` would be cut; say how many there are."""
        self._planned.append(Planned(argv=("conntrack", "-D", "-s", network)))
        return Cut(deleted=len(self.flows(network)))

    def _note(self, verb: str, table: str, name: str, networks: Sequence[str]) -> None:
        words = ("nft", verb, "element", "inet", table, name, "{", ", ".join(networks), "}")
        self._planned.append(Planned(argv=words))
