"""A session against a server that is played: answers out of order, short, cut anywhere, unasked for, or none at all."""

import random
import struct
import threading
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.backup.stores import sftp_wire as wire
from actions.backup.stores.sftp_link import LinkBroken
from actions.backup.stores.sftp_session import Session
from actions.backup.stores.sftp_wire import Code, Garbled, Refusal, Type
from actions.backup.stores.store import Buffer

Request = tuple[int, int, bytes]
"""Type, number, body."""


class Played:
    """A link whose other end is a function from the requests of one send to the bytes that come back."""

    def __init__(self, play: Callable[[list[Request]], Iterable[bytes]]) -> None:
        self._play = play
        self._came = b""
        self.is_alive = True
        self.idle_s = 0.0
        self.reason = ""
        self.cuts = random.Random(1)

    def attach(self, sink: Callable[[memoryview], None], ended: Callable[[], None]) -> None:
        self._sink, self._ended = sink, ended

    def send(self, *buffers: Buffer) -> None:
        self._came += b"".join(bytes(buffer) for buffer in buffers)
        requests = []
        while len(self._came) >= 4 and len(self._came) >= 4 + int.from_bytes(self._came[:4], "big"):
            size = 4 + int.from_bytes(self._came[:4], "big")
            requests.append((self._came[4], int.from_bytes(self._came[5:9], "big"), self._came[9:size]))
            self._came = self._came[size:]
        answer = b"".join(self._play(requests))
        try:
            while answer:
                count = self.cuts.randrange(1, 50) if self.cuts.random() < 0.5 else len(answer)
                self._sink(memoryview(answer[:count]))
                answer = answer[count:]
        except Garbled as error:
            self.reason = error.message
            self.close()

    def reopen_window(self) -> None:
        pass

    def broken(self) -> LinkBroken:
        return LinkBroken(f"broken: {self.reason}" if not self.is_alive else "no answer")

    def close(self) -> None:
        self.is_alive = False
        self._ended()


def reply(type: Type, number: int, body: bytes) -> bytes:
    return wire.packet(type, number, body)


def status(number: int, code: Code) -> bytes:
    return reply(Type.STATUS, number, code.to_bytes(4, "big") + wire.string("") + wire.string(""))


HELLO = struct.pack(">IBI", 5, Type.VERSION, 3)


class Files:
    """A server with one file, which answers each batch in any order and gives at most `most` bytes at once."""

    def __init__(self, content: bytes, most: int = 1 << 30, dice: random.Random | None = None) -> None:
        self.content = bytearray(content)
        self.most = most
        self.dice = dice or random.Random(0)
        self.asked: list[Request] = []

    def __call__(self, requests: list[Request]) -> list[bytes]:
        if requests and requests[0][0] == Type.INIT:
            return [HELLO]
        self.asked += requests
        answers = [self.answer(*request) for request in requests]
        self.dice.shuffle(answers)
        return answers

    def answer(self, type: int, number: int, body: bytes) -> bytes:
        if type == Type.READ:
            reader = wire.Reader(body)
            reader.string()
            start, size = reader.long(), reader.number()
            part = bytes(self.content[start : start + min(size, self.most)])
            return reply(Type.DATA, number, wire.string(part)) if part else status(number, Code.EOF)
        if type == Type.WRITE:
            reader = wire.Reader(body)
            reader.string()
            start, data = reader.long(), reader.string()
            self.content[start : start + len(data)] = data
        return status(number, Code.OK)


def session_on(play: Callable[[list[Request]], Iterable[bytes]], timeout_s: float = 5.0) -> Session:
    return Session(Played(play), timeout_s)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 300_000),
    offset=st.integers(0, 1000),
    most=st.integers(700, 400_000),
    seed=st.integers(0, 1 << 32),
)
def test_what_is_read_is_what_is_there_however_the_server_answers(size: int, offset: int, most: int, seed: int) -> None:
    dice = random.Random(seed)
    content = dice.randbytes(size)
    session = session_on(Files(content, most, dice))
    assert session.read(b"h", offset, max(0, size - offset)) == content[offset:]
    assert session.is_usable


def test_a_file_that_ends_before_yields_what_there_is() -> None:
    session = session_on(Files(b"x" * 100_000))
    assert len(session.read(b"h", 0, 300_000)) == 100_000
    assert session.read(b"h", 200_000, 10) == b""
    assert session.is_usable


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 90_000), max_size=8))
def test_what_is_written_in_parts_is_there_whole(sizes: list[int]) -> None:
    parts = [random.Random(size).randbytes(size) for size in sizes]
    server = Files(b"")
    session = session_on(server)
    assert session.write(b"h", parts, [(Type.CLOSE, wire.string(b"h"))]) == sum(sizes)
    assert bytes(server.content) == b"".join(parts)
    assert all(len(body) <= 33_000 for _, _, body in server.asked)


def test_the_first_write_that_is_refused_is_told_and_the_session_goes_on() -> None:
    class Full(Files):
        def answer(self, type: int, number: int, body: bytes) -> bytes:
            if type == Type.WRITE and len(self.asked) > 3:
                return status(number, Code.FAILURE)
            return super().answer(type, number, body)

    session = session_on(Full(b""))
    with pytest.raises(Refusal) as caught:
        session.write(b"h", [bytes(3 << 20)])
    assert caught.value.code == Code.FAILURE
    assert session.is_usable
    session.call(Type.REMOVE, wire.string("x"))


def test_parts_that_cannot_be_read_leave_the_session_usable() -> None:
    def parts() -> Iterable[bytes]:
        yield bytes(100_000)
        raise OSError("gone")

    session = session_on(Files(b""))
    with pytest.raises(OSError, match="gone"):
        session.write(b"h", parts())
    assert session.is_usable


def test_a_refused_read_leaves_the_session_usable() -> None:
    class Broken(Files):
        def answer(self, type: int, number: int, body: bytes) -> bytes:
            return status(number, Code.FAILURE) if type == Type.READ else super().answer(type, number, body)

    session = session_on(Broken(b"x" * 1000))
    with pytest.raises(Refusal):
        session.read(b"h", 0, 1000)
    assert session.is_usable


@pytest.mark.parametrize(
    "answer",
    [
        lambda number: reply(Type.DATA, number + 7, wire.string(b"x")),
        lambda number: reply(Type.DATA, number, wire.string(b"x" * 2000)),
        lambda number: reply(Type.DATA, number, wire.string(b"")),
        lambda number: reply(Type.DATA, number, (5).to_bytes(4, "big") + b"xx"),
        lambda number: struct.pack(">IBI", 0x7FFFFFFF, Type.NAME, number),
        lambda number: struct.pack(">IBI", 1, Type.NAME, number),
        lambda number: status(number + 1, Code.OK),
        lambda number: b"Welcome to this server!\r\n" * 3,
    ],
)
def test_what_nobody_asked_for_ends_the_link(answer: Callable[[int], bytes]) -> None:
    def play(requests: list[Request]) -> list[bytes]:
        if requests and requests[0][0] == Type.INIT:
            return [HELLO]
        return [answer(number) for _, number, _ in requests]

    session = session_on(play)
    with pytest.raises(LinkBroken):
        session.read(b"h", 0, 1000)
    assert not session.is_usable


def test_a_server_of_another_version_is_refused() -> None:
    with pytest.raises(Garbled, match="version 2"):
        session_on(lambda _: [struct.pack(">IBI", 5, Type.VERSION, 2)])


def test_no_answer_is_a_broken_link_after_the_time_limit() -> None:
    link = Played(lambda requests: [HELLO] if requests and requests[0][0] == Type.INIT else [])
    session = Session(link, 0.2)
    link.idle_s = 100.0
    with pytest.raises(LinkBroken, match="no answer"):
        session.call(Type.REMOVE, wire.string("x"))
    assert not link.is_alive


def test_the_end_of_the_link_wakes_who_waits() -> None:
    link = Played(lambda requests: [HELLO] if requests and requests[0][0] == Type.INIT else [])
    session = Session(link, 60)
    threading.Timer(0.1, link.close).start()
    with pytest.raises(LinkBroken):
        session.call(Type.REMOVE, wire.string("x"))


def test_a_long_way_makes_a_deep_pipeline() -> None:
    session = session_on(Files(b""))
    session._round_trip_s = 0.0001
    near = session.pipeline
    session._round_trip_s = 0.04
    assert near < 5 << 20 < 16 << 20 < session.pipeline
    session._round_trip_s = 3.0
    assert session.pipeline == 32 << 20


def test_listing_goes_on_where_one_folder_is_refused() -> None:
    left = {b"a": 150, b"c": 1}

    class Folders(Files):
        def answer(self, type: int, number: int, body: bytes) -> bytes:
            name = wire.Reader(body).string()
            if type == Type.OPENDIR:
                if name == b"b":
                    return status(number, Code.PERMISSION_DENIED)
                return reply(Type.HANDLE, number, wire.string(name))
            if type == Type.READDIR:
                if not left[name]:
                    return status(number, Code.EOF)
                count = min(100, left[name])
                left[name] -= count
                entry = wire.string("f") + wire.string("") + wire.attributes(size=1, mode=0o100400)
                return reply(Type.NAME, number, count.to_bytes(4, "big") + entry * count)
            return status(number, Code.OK)

    found = list(session_on(Folders(b"")).list_folders(["a", "b", "c"]))
    assert [len(entries) if isinstance(entries, list) else entries.code for entries in found] == [150, 3, 1]
