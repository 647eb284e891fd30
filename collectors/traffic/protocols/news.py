"""What the protocol parsers hand to the rules: conversations, their transactions, and what changed in them."""

import hashlib
from collections.abc import Callable
from typing import ClassVar, Final

from collectors.traffic.protocols import magic
from collectors.traffic.protocols.packing import Kept

UNKNOWN: Final = ""
FAILED: Final = "failed"
"""A conversation's `protocol` while nothing is known, and when detection gave up."""

TO_SERVER: Final = 0
TO_CLIENT: Final = 1
"""The two sides, as indexes."""

OVERHEAD: Final = 400
"""Bytes that a file takes beside its content."""


class File:
    """One file that a transaction carries: `kept` is its beginning, bounded; `size` counts all its bytes seen.

    `to_client` is the way it went. `closed`: nothing more comes. `truncated`: bytes are missing at its end or in between.
    `cut`: the rest of it is not kept.
    Digests are hexadecimal, of the whole file, and "" unless it was seen whole and `Protocols` was told to hash.
    """

    __slots__ = ("_kind", "_shared", "closed", "cut", "digests", "kept", "name", "size", "to_client", "truncated")

    def __init__(
        self,
        to_client: bool,
        name: bytes = b"",
        limit: int = 102_400,
        digests: tuple["hashlib._Hash", ...] = (),
        kept: Kept | None = None,
    ) -> None:
        """`kept`: the body that the file is, which keeps its bytes; without one it keeps `limit` bytes itself."""
        self.to_client = to_client
        self.name = name
        self.kept = kept if kept is not None else Kept(limit)
        self.size = 0
        self.closed = False
        self.truncated = False
        self.cut = False
        self.digests = digests
        self._shared = kept is not None
        self._kind = b""

    def add(self, data: bytes) -> None:
        """Take bytes that follow what is there."""
        self.size += len(data)
        if not self._shared:
            self.kept.add(data)
        for digest in self.digests:
            digest.update(data)

    def close(self, truncated: bool = False) -> None:
        """Say that nothing more comes."""
        self.closed = True
        self.truncated = self.truncated or truncated

    def leave(self, wire: int) -> None:
        """Take no more memory than the `wire` bytes make fair that the file was decoded from: nothing is added any more."""
        if not self._shared:
            self.kept.leave(wire)

    def held(self) -> int:
        """Return how much memory it takes beside the body that it may be."""
        return OVERHEAD + (0 if self._shared else self.kept.held())

    def shrink(self) -> None:
        """Take little memory until more comes: nothing is lost."""
        if not self._shared:
            self.kept.shrink()

    def stop(self) -> bool:
        """Keep no more than is there; returns whether that is anything."""
        if self._shared or self.cut:
            return False
        self.cut = self.kept.stop()
        return self.cut

    def drop(self) -> None:
        """Forget what is there of a file that was stopped."""
        if self.cut:
            self.kept.drop()

    def content(self) -> bytes:
        """Return what is kept of the file."""
        return self.kept.content()

    def beginning(self) -> bytes:
        """Return as much of it as file(1) would look at."""
        return self.kept.beginning(magic.LOOKED_AT)

    def kind(self, data: bytes | bytearray) -> bytes:
        """Return file(1)'s words for the file, of which `data` is the beginning; b"" while too little of it is there."""
        if not self._kind and (self.closed or len(data) >= magic.LEAST):
            self._kind = magic.describe(bytes(data[: magic.LOOKED_AT]))
        return self._kind

    def digest(self, algorithm: str) -> str:
        """Return the hexadecimal digest by `algorithm` (md5, sha1, sha256), "" when there is none."""
        if not self.closed or self.truncated:
            return ""
        return next((one.hexdigest() for one in self.digests if one.name == algorithm), "")


def leave(files: list[File], wire: int) -> None:
    """Let go of what the files of a request take beyond what the `wire` bytes of its body make fair."""
    for file in files:
        if not file.to_client:
            file.leave(wire // len(files))


DIGESTS: Final = {"file.md5": "md5", "file.sha1": "sha1", "file.sha256": "sha256"}
"""The buffers that are digests of files, and how each is made."""


def begun_digests(algorithms: tuple[str, ...]) -> tuple["hashlib._Hash", ...]:
    """Return digests of nothing yet."""
    return tuple(hashlib.new(name, usedforsecurity=False) for name in algorithms)


def digests_of(files: list[File], buffer: str, to_client: bool) -> list[bytes]:
    """Return what one of `DIGESTS` holds: of each file that went that way and is whole, its digest as bytes."""
    found = (file.digest(DIGESTS[buffer]) for file in files if file.to_client == to_client)
    return [bytes.fromhex(digest) for digest in found if digest]


class Transaction:
    """One request with its answer. What the rules see of it are buffers by sticky-buffer name, numbers by keyword, files and events.

    `number` counts from 0 within the conversation. `request` and `response` say how far each side is (`names.PROGRESS`); `done` when no
    more comes. `events` are app-layer events by Suricata's name without the protocol, in order, each once; `event_sides` which way the
    bytes went that caused it.
    """

    __slots__ = ("done", "event_sides", "events", "files", "number", "protocol", "request", "response")

    overhead: ClassVar[int] = 1_000
    """Bytes that one takes beside what it holds."""

    def __init__(self, number: int, protocol: str) -> None:
        self.number = number
        self.protocol = protocol
        self.request = 0
        self.response = 0
        self.done = False
        self.events: list[str] = []
        self.event_sides: dict[str, bool] = {}
        self.files: list[File] = []

    def event(self, name: str, to_client: bool) -> None:
        """Note an app-layer event, once."""
        if name not in self.event_sides:
            self.events.append(name)
            self.event_sides[name] = to_client

    def progress(self, to_client: bool) -> int:
        """Return how far a side is."""
        return self.response if to_client else self.request

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        """Return the contents of a sticky buffer: none while there is nothing to look at yet, several for multi-buffers."""
        raise NotImplementedError

    def integers(self, name: str, to_client: bool) -> list[int]:
        """Return the numbers that a keyword compares (`dns.opcode`, `tls.version` …), none when there is none."""
        del name, to_client
        return []

    def growing(self, name: str) -> bool:
        """Return whether a buffer may still grow (bodies, file.data): a negated match on it cannot be final yet."""
        del name
        return False

    def held(self) -> int:
        """Return about how much memory the transaction takes."""
        size = self.overhead
        for file in self.files:
            size += file.held()
        return size

    def shrink(self) -> None:
        """Take little memory until more comes: nothing is lost."""
        for file in self.files:
            file.shrink()

    def stop(self, to_client: bool) -> bool:
        """Let rules see what is there of one side's bodies and files, and keep no more of them; returns whether that is anything."""
        there = False
        for file in self.files:
            if file.to_client == to_client and file.stop():
                there = True
        return there

    def drop(self) -> None:
        """Forget what is there of bodies and files that were stopped."""
        for file in self.files:
            file.drop()


class Fields(Transaction):
    """A transaction whose buffers are filled in as they are parsed: what most protocols need.

    `set` and `add` take the name of the sticky buffer; the direction is that of the bytes.
    """

    __slots__ = ("_buffers", "_integers", "_later")

    def __init__(self, number: int, protocol: str) -> None:
        super().__init__(number, protocol)
        self._buffers: dict[tuple[str, bool], list[bytes]] = {}
        self._later: dict[tuple[str, bool], Callable[[], bytes]] = {}
        self._integers: dict[tuple[str, bool], list[int]] = {}

    def set(self, name: str, to_client: bool, value: bytes) -> None:
        """Make `value` the buffer's only content."""
        self._buffers[name, to_client] = [value]

    def set_later(self, name: str, to_client: bool, make: Callable[[], bytes]) -> None:
        """Make the buffer's only content when somebody asks for it."""
        self._later[name, to_client] = make

    def add(self, name: str, to_client: bool, value: bytes, limit: int = 256) -> None:
        """Add one content to a multi-buffer, up to `limit` of them."""
        values = self._buffers.setdefault((name, to_client), [])
        if len(values) < limit:
            values.append(value)

    def number_is(self, name: str, to_client: bool, value: int) -> None:
        """Add a number that a keyword compares (at most 256)."""
        values = self._integers.setdefault((name, to_client), [])
        if len(values) < 256:
            values.append(value)

    def number_becomes(self, name: str, to_client: bool, value: int) -> None:
        """Put a number that a keyword compares in the place of those that were there."""
        self._integers[(name, to_client)] = [value]

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        """Return the contents of a sticky buffer."""
        key = (name, to_client)
        if key in self._later:
            self._buffers[key] = [self._later.pop(key)()]
        found = self._buffers.get(key)
        if found is not None:
            return found
        if not self.files:
            return []
        if name == "file.data":
            return [data for file in self.files if file.to_client == to_client and (data := file.content())]
        if name == "file.name":
            return [file.name for file in self.files if file.to_client == to_client and file.name]
        if name == "file.magic":
            kinds = [file.kind(file.beginning()) for file in self.files if file.to_client == to_client]
            return [kind for kind in kinds if kind]
        return digests_of(self.files, name, to_client) if name in DIGESTS else []

    def integers(self, name: str, to_client: bool) -> list[int]:
        """Return the numbers that a keyword compares."""
        return self._integers.get((name, to_client), [])

    def held(self) -> int:
        """Return about how much memory the transaction takes."""
        size = super().held()
        for values in self._buffers.values():
            for value in values:
                size += len(value) + 40
        return size

    def growing(self, name: str) -> bool:
        """Return whether a file of the transaction is still open."""
        return name == "file.data" and not self.done and (not self.files or any(not file.closed for file in self.files))


class Conversation:
    """What is known of one flow's application protocol.

    `protocol` is Suricata's name, `""` while unknown, `"failed"` when detection gave up. `by_side` is what each side's bytes look like
    (to server, to client); `original` what it was before the protocol changed (STARTTLS, CONNECT, Upgrade), else "".
    `transactions` are those that are not finished, and those that finished with the last `feed`. `events` are `applayer_*` events.
    `encrypted`: from here on nothing can be read. `datagrams`: it is one of datagrams.
    """

    __slots__ = ("by_side", "datagrams", "encrypted", "events", "original", "protocol", "slot", "transactions")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.protocol = UNKNOWN
        self.by_side = [UNKNOWN, UNKNOWN]
        self.original = ""
        self.transactions: list[Transaction] = []
        self.events: list[str] = []
        self.encrypted = False
        self.datagrams = False

    def resting(self) -> bool:
        """Return whether all that is known of it shows anew with its next message: datagrams of DNS, between them."""
        return self.datagrams and self.protocol == "dns" and not self.transactions and not self.events

    def event(self, name: str) -> None:
        """Note an `applayer_*` event, once."""
        if name not in self.events:
            self.events.append(name)


class Change:
    """Something is new in `transaction`, through packet `row`; None: of the conversation itself (its protocol is found, an event).

    `to_client` is the way of the bytes; `row` may be the other side's acknowledgement that released them, or -1 when the flow's end did.
    `last`: what is there is let go of once it was looked at, though the flow goes on (its `row` is -1).
    `progress` is how far that side of the transaction was then: it may be further when the change is read, as a block is parsed as a whole.
    `protocols` is what the conversation was then: its protocol, what its sides looked like (to server, to client), what it was originally.
    """

    __slots__ = ("conversation", "last", "progress", "protocols", "row", "time_ns", "to_client", "transaction")

    def __init__(
        self,
        conversation: Conversation,
        transaction: Transaction | None,
        to_client: bool,
        row: int,
        time_ns: int,
        progress: int = 0,
    ) -> None:
        self.conversation = conversation
        self.transaction = transaction
        self.to_client = to_client
        self.row = row
        self.time_ns = time_ns
        self.progress = progress
        self.last = False
        to_server, back = conversation.by_side
        self.protocols = (conversation.protocol, to_server, back, conversation.original)
