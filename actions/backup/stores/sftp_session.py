"""One SFTP session: requests go out in bulk, answers are put where they belong, and the pipeline is deep enough for the way it goes.

paramiko's own SFTP client waits for each answer or, reading ahead, shifts all that waits with each read; this one copies data once,
from the decrypted packet to its place. A session is used by one thread at a time.
"""

import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from actions.backup.stores import sftp_wire as wire
from actions.backup.stores.sftp_link import LinkBroken
from actions.backup.stores.sftp_wire import Attributes, Code, Entry, Garbled, Limits, Refusal, Reply, Type
from actions.backup.stores.store import Buffer

VERSION = 3
SMALLEST = 32 << 10
"""What every server takes in one read or write; limits@openssh.com says more."""

LARGEST = 1 << 20
WRITES = 16
"""How many writes may be unanswered. OpenSSH opens its window by 2 MiB anyway."""

PIPELINE = 4 << 20
PIPELINE_MAX = 32 << 20
FAST = 400e6
"""Bytes asked for ahead: 4 MiB, and for a long way as much as it holds at 400 MB/s."""

ROOM = 24 << 20
"""How much of the room for reading a session keeps: fresh memory costs as much as decrypting into it."""

_MAX_REPLY = 4 << 20
_HEAD = 9
_DATA_HEAD = 13
_HELLO = -1

Question = tuple[Type, bytes]


class Wire(Protocol):
    """What a session needs of a link."""

    @property
    def is_alive(self) -> bool: ...
    @property
    def idle_s(self) -> float: ...
    def attach(self, sink: Callable[[memoryview], None], ended: Callable[[], None]) -> None: ...
    def send(self, *buffers: Buffer) -> None: ...
    def reopen_window(self) -> None: ...
    def broken(self) -> LinkBroken: ...
    def close(self) -> None: ...


class Session:
    """An SFTP session over a link. What the server refuses is a `Refusal`; a link that ends or stalls is a `LinkBroken`."""

    def __init__(self, link: Wire, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s
        self._state = threading.Condition()
        self._head = bytearray()
        self._room = bytearray()
        self._place: memoryview | None = None
        self._place_number = 0
        self._reads: dict[int, memoryview] = {}
        self._awaited: set[int] = set()
        self._ignored: set[int] = set()
        self._replies: dict[int, Reply] = {}
        self._low = 0
        self._ended = False
        self._number = 0
        link.attach(self._take, self._end)
        self._round_trip_s = 1.0
        self.extensions = self._hello()
        self.limits = self._ask_limits()
        self._read_size = min(max(self.limits.read, SMALLEST), LARGEST)
        self._write_size = min(max(self.limits.write, SMALLEST), LARGEST)

    @property
    def is_usable(self) -> bool:
        """Whether the next thread may have it: alive, and nothing unanswered."""
        return self._link.is_alive and not self._awaited and not self._reads

    @property
    def round_trip_s(self) -> float:
        """How long an answer takes at least."""
        return self._round_trip_s

    @property
    def pipeline(self) -> int:
        """How many bytes are asked for ahead."""
        return int(min(PIPELINE_MAX, PIPELINE + self._round_trip_s * FAST))

    def has(self, extension: str) -> bool:
        """Whether the server advertises an extension."""
        return extension in self.extensions

    def call(self, type: Type, body: bytes, expect: Type = Type.STATUS) -> wire.Reader:
        """One request and its answer; Refusal when it is a no."""
        return self.ask([(type, body)])[0].must_be(expect)

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """Several requests at once, and their answers in the same order. OpenSSH carries them out one after another."""
        numbers = self._send(questions)
        self._wait(0)
        return [self._replies.pop(number) for number in numbers]

    def post(self, questions: Sequence[Question]) -> None:
        """Requests whose answers nobody needs."""
        numbers = self._numbers(len(questions))
        with self._state:
            self._ignored.update(numbers)
        self._send_packets(questions, numbers)

    def attributes(self, path: str) -> Attributes | None:
        """What a path is, links not followed; None when nothing is there."""
        try:
            return self.call(Type.LSTAT, wire.string(path), Type.ATTRS).attributes()
        except Refusal as refusal:
            if refusal.code == Code.NO_SUCH_FILE:
                return None
            raise

    def write(self, handle: bytes, parts: Iterable[Buffer], last: Sequence[Question] = ()) -> int:
        """Write all of `parts` from the beginning of an open file, then ask `last`; returns the bytes. Refusal for the first no."""
        offset = 0
        waiting: deque[int] = deque()
        try:
            for pieces in _cut(parts, self._write_size):
                number = self._numbers(1)[0]
                size = sum(len(piece) for piece in pieces)
                head = wire.write_head(number, handle, offset, size)
                offset += size
                with self._state:
                    self._awaited.add(number)
                waiting.append(number)
                self._link.send(head, *pieces)
                if len(waiting) >= WRITES:
                    self._wait(WRITES // 2)
                    while waiting and waiting[0] in self._replies:
                        self._replies.pop(waiting.popleft()).must_be(Type.STATUS)
            numbers = self._send(last)
            self._wait(0)
        finally:
            self._settle()
            answers = [self._replies.pop(number) for number in waiting if number in self._replies]
        answers += [self._replies.pop(number) for number in numbers]
        for answer in answers:
            answer.must_be(Type.STATUS)
        return offset

    def read(self, handle: bytes, offset: int, size: int) -> bytes:
        """`size` bytes of an open file from `offset`, fewer when it ends before."""
        if len(self._room) < size:
            self._room = bytearray(size)
        try:
            end = self._read_into(memoryview(self._room)[:size], handle, offset, size)
            return bytes(memoryview(self._room)[:end])
        finally:
            if len(self._room) > ROOM:
                self._room = bytearray()

    def _read_into(self, view: memoryview, handle: bytes, offset: int, size: int) -> int:
        todo = deque((start, min(start + self._read_size, size)) for start in range(0, size, self._read_size))
        waiting: dict[int, tuple[int, int]] = {}
        end = size
        try:
            while todo or waiting:
                self._request_reads(handle, offset, view, todo, waiting)
                self._wait(len(waiting) // 2 if todo else 0)
                end = min(end, self._sort_reads(todo, waiting))
        finally:
            self._settle()
            self._reads.clear()
            self._replies.clear()
        return end

    def list_folders(self, paths: Sequence[str]) -> Iterator[list[Entry] | Refusal]:
        """The entries of each folder in turn, or why the server refuses it; some folders at a time are asked at once."""
        count = max(1, min(256, (self.limits.handles or 64) // 2))
        for start in range(0, len(paths), count):
            some = paths[start : start + count]
            opened = self.ask([(Type.OPENDIR, wire.string(path)) for path in some])
            yield from self._read_folders(opened)

    def close(self) -> None:
        """End the session and its link."""
        self._link.close()

    def _hello(self) -> dict[str, bytes]:
        with self._state:
            self._awaited.add(_HELLO)
        began = time.monotonic()
        self._link.send(wire.packet(Type.INIT, VERSION, b""))
        self._wait(0)
        self._round_trip_s = time.monotonic() - began
        reply = self._replies.pop(_HELLO)
        version = int.from_bytes(reply.body[:4], "big")
        if version != VERSION:
            raise Garbled(
                f"the server speaks SFTP version {version}", advice="version 3 is needed, which OpenSSH speaks"
            )
        return wire.Reader(reply.body[4:]).extensions()

    def _ask_limits(self) -> Limits:
        if not self.has(wire.LIMITS):
            return Limits(0, 0, 0, 0)
        began = time.monotonic()
        limits = self.call(Type.EXTENDED, wire.extended(wire.LIMITS, b""), Type.EXTENDED_REPLY).limits()
        self._round_trip_s = min(self._round_trip_s, time.monotonic() - began)
        return limits

    def _numbers(self, count: int) -> list[int]:
        first = self._number + 1
        self._number = (self._number + count) % 0x7FFFFFF0
        return list(range(first, first + count))

    def _send(self, questions: Sequence[Question]) -> list[int]:
        numbers = self._numbers(len(questions))
        with self._state:
            self._awaited.update(numbers)
        self._send_packets(questions, numbers)
        return numbers

    def _send_packets(self, questions: Sequence[Question], numbers: Sequence[int]) -> None:
        pairs = zip(questions, numbers, strict=True)
        self._link.send(b"".join(wire.packet(type, number, body) for (type, body), number in pairs))

    def _request_reads(
        self,
        handle: bytes,
        offset: int,
        view: memoryview,
        todo: deque[tuple[int, int]],
        waiting: dict[int, tuple[int, int]],
    ) -> None:
        """Ask for what is to be read until the pipeline is full."""
        room = max(1, self.pipeline // self._read_size) - len(waiting)
        spans = [todo.popleft() for _ in range(min(room, len(todo)))]
        if not spans:
            return
        numbers = self._numbers(len(spans))
        for number, span in zip(numbers, spans, strict=True):
            waiting[number] = span
            self._reads[number] = view[span[0] : span[1]]
        with self._state:
            self._awaited.update(numbers)
        asked = wire.string(handle)
        self._send_packets(
            [(Type.READ, asked + struct.pack(">QI", offset + start, stop - start)) for start, stop in spans], numbers
        )

    def _sort_reads(self, todo: deque[tuple[int, int]], waiting: dict[int, tuple[int, int]]) -> int:
        """Go through the answers that came; returns where the file ends as far as they show."""
        end = 1 << 63
        for number in [number for number in waiting if number in self._replies]:
            start, stop = waiting.pop(number)
            reply = self._replies.pop(number)
            if reply.type == Type.DATA:
                start += int.from_bytes(reply.body, "big")
                if start < stop:
                    todo.appendleft((start, stop))
                continue
            try:
                reply.must_be(Type.DATA)
            except Refusal as refusal:
                if refusal.code != Code.EOF:
                    raise
                end = min(end, start)
        return end

    def _read_folders(self, opened: list[Reply]) -> Iterator[list[Entry] | Refusal]:
        found: list[list[Entry] | Refusal] = []
        handles: dict[int, bytes] = {}
        for place, reply in enumerate(opened):
            try:
                handles[place] = reply.must_be(Type.HANDLE).string()
                found.append([])
            except Refusal as refusal:
                found.append(refusal)
        left = dict(handles)
        while left:
            each = max(2, 8 // len(left))  # the entries and the end of a small folder in one round trip
            places = [place for place in left for _ in range(each)]
            for place, reply in zip(
                places, self.ask([(Type.READDIR, wire.string(left[place])) for place in places]), strict=True
            ):
                entries = found[place]
                try:
                    got = reply.must_be(Type.NAME).entries()
                    if isinstance(entries, list):
                        entries.extend(got)
                except Refusal as refusal:
                    if refusal.code != Code.EOF and isinstance(entries, list):
                        found[place] = refusal
                    left.pop(place, None)
        self.post([(Type.CLOSE, wire.string(handle)) for handle in handles.values()])
        yield from found

    def _wait(self, low: int) -> None:
        """Until at most `low` requests are unanswered."""
        self._link.reopen_window()
        began = time.monotonic()
        with self._state:
            self._low = low
            while len(self._awaited) > low:
                if self._ended:
                    raise self._link.broken()
                if min(self._link.idle_s, time.monotonic() - began) > self._timeout_s:
                    broken = self._link.broken()
                    self._link.close()
                    raise broken
                self._state.wait(1.0)

    def _settle(self) -> None:
        """Let what is unanswered come in after a failure, so that the session can be used again; a broken link is told elsewhere."""
        try:
            self._wait(0)
        except LinkBroken:
            self._link.close()

    # in the transport's thread

    def _end(self) -> None:
        with self._state:
            self._ended = True
            self._state.notify_all()

    def _take(self, data: memoryview) -> None:
        while len(data):
            if self._place is not None:
                size = min(len(self._place), len(data))
                self._place[:size] = data[:size]
                data = data[size:]
                self._place = self._place[size:]
                if not len(self._place):
                    self._place = None
                    self._done(self._place_number, Reply(Type.DATA, bytes(self._head[9:13])))
                    self._head.clear()
            else:
                size = self._needed() - len(self._head)
                self._head += data[:size]
                data = data[size:]
                if len(self._head) == self._needed():
                    self._whole()

    def _needed(self) -> int:
        """How long the beginning of a packet must be to go on with it."""
        if len(self._head) < _HEAD:
            return _HEAD
        if self._head[4] == Type.DATA:
            return _DATA_HEAD
        length = 4 + int.from_bytes(self._head[:4], "big")
        if not _HEAD <= length <= _MAX_REPLY:
            raise Garbled(f"a packet of {length} bytes")
        return length

    def _whole(self) -> None:
        """A packet is complete, or the data of one begins."""
        length, type, number = struct.unpack_from(">IBI", self._head)
        if type == Type.DATA:
            size = int.from_bytes(self._head[9:13], "big")
            place = self._reads.pop(number, None)
            if place is None or not 0 < size <= len(place) or length != 9 + size:
                raise Garbled(f"{size} bytes of data that nobody asked for")
            self._place, self._place_number = place[:size], number
            return
        body = bytes(self._head[_HEAD:])
        if type == Type.VERSION:
            number, body = _HELLO, bytes(self._head[5:])
        self._head.clear()
        self._reads.pop(number, None)
        self._done(number, Reply(type, body))

    def _done(self, number: int, reply: Reply) -> None:
        with self._state:
            if number in self._ignored:
                self._ignored.remove(number)
                return
            if number not in self._awaited:
                raise Garbled("an answer to something that nobody asked")
            self._awaited.remove(number)
            self._replies[number] = reply
            if len(self._awaited) <= self._low:
                self._state.notify_all()


def _cut(parts: Iterable[Buffer], size: int) -> Iterator[list[memoryview]]:
    """The bytes of all parts in portions of `size`, the last one smaller, each as the pieces it lies in."""
    pieces: list[memoryview] = []
    room = size
    for part in parts:
        left = memoryview(part).cast("B") if len(part) else memoryview(b"")
        while len(left):
            pieces.append(left[:room])
            left = left[room:]
            room -= len(pieces[-1])
            if not room:
                yield pieces
                pieces, room = [], size
    if pieces:
        yield pieces
