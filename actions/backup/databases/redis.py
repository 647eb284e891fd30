"""Redis and Valkey: the dataset as an RDB file, asked for as a replica asks, so that it needs no access to the server's directory.

Source: Redis' replication protocol (src/replication.c). The server forks and sends what its child writes; `rdb-only` (7.0) makes
it end there.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from actions.backup.databases.options import RedisOptions
from actions.backup.databases.password import read_password
from actions.backup.databases.pipe import NotWhole
from actions.backup.databases.rdb import Rdb
from actions.backup.databases.source import Dump, DumpFailed, Listing, Reading
from actions.backup.stream import Pieces
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Host

FILE = b"dump.rdb"
_MARK_SIZE = 40
_MAX_LINE = 64 << 10
_CHUNK = 256 << 10


class Redis:
    """`Source` of one server."""

    product = "redis"

    def __init__(self, options: RedisOptions) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """What its options call it."""
        return self.options.name

    def dumps(self, host: Host) -> Listing:
        """One dump."""
        password = read_password(host, self.options.password) if self.options.password is not None else ""

        @contextmanager
        def open() -> Iterator[Reading]:
            with connected(self.options, password, self.name) as connection:
                yield _Reading(connection, self.name)

        return Listing([Dump(FILE, open)])

    def unreadable(self, host: Host) -> list[Blind]:
        """What the user may not do of what a dump takes; the server is not made to save anything. DumpFailed, Unavailable."""
        password = read_password(host, self.options.password) if self.options.password is not None else ""
        found = []
        with connected(self.options, password, self.name) as connection:
            # An offset that is no number: refused before anything begins, and after the server has asked what the user may.
            for words in (("REPLCONF", "capa", "eof"), ("PSYNC", "?", "x")):
                said = connection.ask(*words)
                if said.startswith(("-NOPERM", "-NOAUTH")):
                    fix = f"As an administrator: {acl_statement(self.options.user or 'backup')}"
                    found.append(
                        Blind(
                            what=f"the dataset of {self.name}",
                            why=Why.PERMISSION,
                            detail=f"{words[0]}: {said}",
                            fix=fix,
                        )
                    )
        return found


def acl_statement(user: str) -> str:
    """The command that makes the user to dump with; it reads the dataset as a replica does, and nothing else."""
    return f"ACL SETUSER {user} on >PASSWORD resetkeys resetchannels -@all +psync +sync +replconf +ping"


class Connection:
    """One conversation with a server, in its own protocol; errors are DumpFailed or, for lack of an answer, Unavailable."""

    def __init__(self, link: socket.socket, what: str, deadline: float) -> None:
        self._link = link
        self._what = what
        self._deadline = deadline
        self._held = b""

    def ask(self, *words: str) -> str:
        """Give a command and return the line it answers."""
        self.send(*words)
        return self.line()

    def send(self, *words: str) -> None:
        """Give a command."""
        parts = [word.encode("utf-8", "surrogateescape") for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self._wait()
            self._link.sendall(request)
        except OSError as error:
            raise self._broken(error) from error

    def line(self) -> str:
        """The next line that is not empty: while it forks, a server sends line ends to show that it lives."""
        while True:
            while b"\n" not in self._held:
                more = self.receive(4096)
                if not more:
                    raise DumpFailed(self._what, "the server closed the connection", advice="look into its log")
                self._held += more
                if len(self._held) > _MAX_LINE:
                    raise DumpFailed(self._what, "the server does not speak Redis' protocol")
            line, _, self._held = self._held.partition(b"\n")
            if line.strip():
                return line.strip().decode("utf-8", "replace")

    def reply(self, *words: str) -> str:
        """Give a command and return its answer: a line with its mark, or the text of a bulk string."""
        head = self.ask(*words)
        if not head.startswith("$") or not head[1:].isdecimal():
            return head
        want = int(head[1:]) + 2
        while len(self._held) < want:
            more = self.receive(want - len(self._held))
            if not more:
                raise DumpFailed(self._what, "the server closed the connection")
            self._held += more
        text, self._held = self._held[: want - 2], self._held[want:]
        return text.decode("utf-8", "replace")

    def receive(self, count: int) -> bytes:
        """Up to `count` bytes, none when the server has closed the connection."""
        try:
            self._wait()
            return self._link.recv(count)
        except OSError as error:
            raise self._broken(error) from error

    def rest(self) -> bytes:
        """What came behind the last line."""
        held, self._held = self._held, b""
        return held

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._link.settimeout(left)

    def _broken(self, error: OSError) -> DumpFailed | Unavailable:
        if isinstance(error, TimeoutError):
            return Unavailable(
                Why.TIMEOUT, f"{self._what}: the server did not answer in time", advice="raise `timeout`"
            )
        return DumpFailed(
            self._what, f"the connection broke: {error.strerror or error}", advice="look into the server's log"
        )


@contextmanager
def connected(options: RedisOptions, password: str, what: str) -> Iterator[Connection]:
    """A conversation with the server, logged in."""
    place = options.socket or f"{options.host}:{options.port}"
    deadline = time.monotonic() + options.timeout
    link: socket.socket | None = None
    try:
        if options.socket:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(30)
            link.connect(options.socket)
        else:
            link = socket.create_connection((options.host, options.port), timeout=30)
    except OSError as error:
        if link is not None:
            link.close()
        why = Why.PERMISSION if isinstance(error, PermissionError) else Why.NOT_PRESENT
        message = f"{what}: {place} does not answer ({error.strerror or error})"
        raise Unavailable(why, message, advice="check that the server runs, and who may connect") from error
    with link:
        connection = Connection(link, what, deadline)
        if password:
            said = connection.ask("AUTH", *([options.user] if options.user else []), password)
            if said != "+OK":
                raise DumpFailed(what, f"the server refuses the password: {said}", advice="check `user` and `password`")
        yield connection


class _Reading:
    """An RDB file that comes over a connection, either of a stated length or up to a mark of 40 bytes."""

    def __init__(self, connection: Connection, what: str) -> None:
        self._connection = connection
        self._what = what
        self._check = Rdb()
        self._source = Pieces(self._pieces())

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end."""
        count = self._source.readinto(buffer)
        try:
            self._check.feed(buffer[:count])
        except NotWhole as error:
            raise self._not_whole(error) from error
        return count

    def finish(self) -> Sequence[Blind]:
        """Judge what came."""
        try:
            return self._check.finish()
        except NotWhole as error:
            raise self._not_whole(error) from error

    def _not_whole(self, error: NotWhole) -> DumpFailed:
        return DumpFailed(self._what, f"what the server sent is not whole: {error.message}")

    def _pieces(self) -> Iterator[bytes]:
        connection = self._connection
        connection.ask("REPLCONF", "capa", "eof")
        connection.ask("REPLCONF", "rdb-only", "1")  # unknown before 7.0, where we hang up behind the file
        head = connection.ask("SYNC")
        if head.startswith("$EOF:") and len(head) == len("$EOF:") + _MARK_SIZE:
            yield from self._up_to(head[len("$EOF:") :].encode())
        elif head.startswith("$") and head[1:].isdecimal():
            yield from self._so_many(int(head[1:]))
        else:
            advice = "give the user what `acl_statement` prints" if "NOPERM" in head else "see what the server says"
            raise DumpFailed(self._what, "the server does not give its dataset away", said=head, advice=advice)

    def _so_many(self, left: int) -> Iterator[bytes]:
        piece = self._connection.rest()[:left]
        while True:
            left -= len(piece)
            if piece:
                yield piece
            if not left:
                return
            piece = self._connection.receive(min(left, _CHUNK))
            if not piece:
                raise DumpFailed(self._what, f"the connection was closed {left} bytes before the end")

    def _up_to(self, mark: bytes) -> Iterator[bytes]:
        held = self._connection.rest()
        while (at := held.find(mark)) < 0:
            if len(held) > _MARK_SIZE:
                yield held[:-_MARK_SIZE]
                held = held[-_MARK_SIZE:]
            more = self._connection.receive(_CHUNK)
            if not more:
                raise DumpFailed(self._what, "the connection was closed before the mark that ends the dataset")
            held += more
        yield held[:at]
