"""A dump that a tool writes to its standard output: read, watched while it passes, and judged at its end."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from actions.backup.databases.source import DumpFailed, Reading
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Why
from contracts.host import Host, Stream

_LAST_LINES = 20


class NotWhole(HoldfastError):
    """What passed is not a whole dump of its kind."""


class Check(Protocol):
    """Watches a dump while it passes. One that has found something wrong says so at the end."""

    def feed(self, data: memoryview) -> None:
        """See the next bytes; NotWhole when they cannot be right."""

    def finish(self) -> Sequence[Blind]:
        """Judge after the last byte: NotWhole, or what was not looked at."""


class Tool(NamedTuple):
    """A command line and how to run it, see `contracts.host.Host.stream`."""

    argv: Sequence[str]
    user: str = ""
    environment: Mapping[str, str] = {}
    files: Mapping[str, bytes] = {}
    timeout_s: float = 3600.0

    def run(self, host: Host, stdin: Iterable[bytes] = ()) -> AbstractContextManager[Stream]:
        """Run it on `host`."""
        return host.stream(
            *self.argv,
            stdin=stdin,
            user=self.user,
            environment=self.environment,
            files=self.files,
            timeout_s=self.timeout_s,
        )


class PipeReading:
    """`Reading` of a command that runs. `what` names the dump in errors."""

    def __init__(self, stream: Stream, check: Check, what: str) -> None:
        self._stream = stream
        self._check = check
        self._what = what
        self._wrong: NotWhole | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end."""
        count = self._stream.readinto(buffer)
        if count and self._wrong is None:
            try:
                self._check.feed(buffer[:count])
            except NotWhole as error:  # the tool's own words, at the end, say more
                self._wrong = error
        return count

    def finish(self) -> Sequence[Blind]:
        """Wait for the command, and judge: its exit status first, then what passed."""
        done = self._stream.end()
        said = last_lines(done.stderr)
        tool = done.argv[0].rpartition("/")[2]
        if done.code:
            ended = f"was killed by signal {-done.code}" if done.code < 0 else f"ended with code {done.code}"
            raise DumpFailed(self._what, f"{tool} {ended}", said=said, advice="mend what it says and run it again")
        try:
            if self._wrong is not None:
                raise self._wrong
            blind = list(self._check.finish())
        except NotWhole as error:
            why = f"{tool} ended well, but its output is not whole: {error.message}"
            raise DumpFailed(
                self._what, why, said=said, advice="look whether something stands in for the tool"
            ) from error
        if said:
            blind.append(Blind(what=f"all of {self._what}", why=Why.OTHER, detail=f"{tool} warns: {said}"))
        return blind


def piped(
    host: Host, tool: Tool, check: Callable[[], Check], what: str
) -> Callable[[], AbstractContextManager[Reading]]:
    """What opens a dump: runs `tool` and watches its output with a new `check`."""

    @contextmanager
    def open() -> Iterator[Reading]:
        with tool.run(host) as stream:
            yield PipeReading(stream, check(), what)

    return open


def answer(host: Host, tool: Tool, what: str, max_bytes: int = 64 << 20) -> bytes:
    """All that a short command says; DumpFailed when it fails or says more than `max_bytes`."""
    with tool.run(host) as stream:
        found = bytearray()
        buffer = memoryview(bytearray(1 << 16))
        while count := stream.readinto(buffer):
            found += buffer[:count]
            if len(found) > max_bytes:
                raise DumpFailed(what, f"{tool.argv[0]} answered with more than {max_bytes} bytes")
        done = stream.end()
    if done.code:
        raise DumpFailed(what, f"{tool.argv[0]} ended with code {done.code}", said=last_lines(done.stderr))
    return bytes(found)


def last_lines(stderr: bytes) -> str:
    """The last lines that a tool said, in one, without what a terminal would obey."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    said = " | ".join([line for line in lines if line][-_LAST_LINES:])
    return "".join(letter if letter.isprintable() else "?" for letter in said)[-2000:]
