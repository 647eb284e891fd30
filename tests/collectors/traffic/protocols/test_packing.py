"""What inflates is kept small once no more of it comes, and nothing of it is lost: the same is read, and the same rules speak."""

import gzip
import random

import pytest

from collectors.traffic.protocols import magic
from collectors.traffic.protocols.http.body import Body
from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.http.transaction import HttpTransaction
from collectors.traffic.protocols.http2 import frames
from collectors.traffic.protocols.news import OVERHEAD, Conversation, File
from collectors.traffic.protocols.packing import LEAST, TIMES, packed, unpacked
from collectors.traffic.protocols.parser import Limits, Parser
from collectors.traffic.rules.engine import buffers
from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, data, frame, headers
from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.rules.engine import scene

MANY = 3000
LIMIT = Limits().response_body
SMALL = 300
"""Bytes that a body of zeros of the limit's length may take."""


def _held(conversation: Conversation) -> int:
    """Return the bytes of bodies and files that a conversation's transactions hold."""
    size = 0
    for tx in conversation.transactions:
        assert isinstance(tx, HttpTransaction)
        bodies = (tx.request_message.body, tx.response_message.body)
        size += sum(one.kept.held() for one in bodies)
        size += sum(file.held() - OVERHEAD for file in tx.files)
    return size


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _post(body: bytes, more: bytes = b"") -> bytes:
    head = b"POST /f HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n" + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("seed", range(20))
def test_what_was_packed_comes_back_and_what_is_not_many_times_the_wire_stays(seed: int) -> None:
    chance = random.Random(seed)
    whole = chance.randbytes(chance.randrange(1, 300)) * chance.randrange(1, 300)
    made = packed(whole, chance.randrange(1, 300))
    assert not made or (len(made) < len(whole) and unpacked(made) == whole)
    assert packed(bytes(LEAST), 1) == packed(bytes(TIMES * 1000), 1000) == b""
    assert unpacked(packed(bytes(TIMES * 1000 + 1), 1000)) == bytes(TIMES * 1000 + 1)


def test_thousands_of_answers_that_inflate_in_one_piece_take_little_and_each_is_whole() -> None:
    bodies = [gzip.compress(b"%d " % number + bytes(200_000)) for number in range(10)]
    asks = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 500
    answers = b"".join(map(_answer, bodies * 50))
    found = talk("http", *[(False, asks), (True, answers)] * (MANY // 500), close=False).conversation
    assert len(found.transactions) == MANY and _held(found) < MANY * SMALL
    for number in (0, 1, MANY - 1):
        expected = (b"%d " % (number % 10) + bytes(200_000))[:LIMIT]
        tx = found.transactions[number]
        assert tx.buffers("file.data", True) == tx.buffers("http.response_body", True) == [expected]
        assert tx.buffers("file.magic", True) == [magic.describe(expected[: magic.LOOKED_AT])]


def test_requests_that_inflate_and_wait_for_their_answers_take_little_and_so_do_their_files() -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n' + bytes(60_000) + b"\r\n"
    plain, many = gzip.compress(bytes(90_000)), gzip.compress(form * 10 + b"--b--\r\n")
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
    found = talk("http", (False, (_post(plain) + _post(many, kind)) * 200), close=False).conversation
    assert len(found.transactions) == 400 and not found.transactions[-1].done
    assert _held(found) < 400 * 8 * SMALL
    assert found.transactions[0].buffers("file.data", False) == [bytes(90_000)]
    assert found.transactions[0].buffers("http.request_body", False) == [bytes(90_000)]
    assert found.transactions[1].buffers("file.data", False) == [bytes(60_000)] * 10
    assert found.transactions[1].buffers("file.name", False) == [b"n"] * 10
    assert found.transactions[1].buffers("file.magic", False) == [b"data"] * 10


def _streams(broken_off: bool) -> Parser:
    """Return what was read of streams whose answers inflate; `broken_off`: by the client, before their end is said."""
    body, ask, said = gzip.compress(bytes(90_000)), Deflater(), Deflater()
    found = [(False, frames.MAGIC)]
    for stream in range(1, 601, 2):
        fields = said.block(answered(b"200", (b"content-encoding", b"gzip")))
        answer = headers(stream, fields, frames.END_HEADERS)
        answer += data(stream, body[:60], 0) + data(stream, body[60:], 0 if broken_off else frames.END_STREAM)
        found += [(False, headers(stream, ask.block(asked(b"/")))), (True, answer)]
        if broken_off:
            found.append((False, frame(frames.RST_STREAM, stream, bytes(4))))
    return talk("http2", *found, close=False)


@pytest.mark.parametrize("broken_off", [False, True])
def test_streams_that_inflate_take_little_however_they_end(broken_off: bool) -> None:
    found = _streams(broken_off).conversation
    ended = [tx for tx in found.transactions if tx.buffers("http.stat_code", True)]
    assert len(ended) == 300 and all(tx.done for tx in ended)
    assert _held(found) < 300 * SMALL
    assert all(tx.buffers("file.data", True) == [bytes(90_000)] for tx in ended)


def test_bytes_behind_a_coded_body_are_not_taken_for_more_of_it() -> None:
    body = Body(LIMIT, 32_768, 16_384, False)
    body.codings = Codings(b"gzip", 2, 1 << 20, 2048)
    assert body.add(gzip.compress(bytes(50_000))) == bytes(50_000)
    body.end()
    body.end()
    assert body.add(b"more") == b"" and not body.advance()
    assert (body.seen(), body.beginning(3), body.size, len(body.kept.data)) == (bytes(50_000), bytes(3), 50_000, 0)


def test_a_body_that_was_left_unfinished_shows_no_more_than_before() -> None:
    body = Body(LIMIT, 32_768, 16_384, False)
    body.codings = Codings(b"gzip", 2, 1 << 20, 2048)
    body.add(gzip.compress(bytes(50_000)))
    assert body.seen() == b"" and body.advance() and len(body.seen()) == 50_000
    body.leave()
    assert body.seen() == bytes(50_000) and not body.kept.data
    plain = Body(LIMIT, 32_768, 16_384, False)
    plain.add(bytes(50_000))
    plain.leave()
    assert len(plain.kept.data) == 50_000


def test_a_file_that_is_left_is_what_it_was() -> None:
    file = File(False)
    file.add(b"#!/bin/sh\n" + bytes(50_000))
    file.close()
    for _ in range(2):
        file.leave(100)
        assert not file.kept.data and file.content() == b"#!/bin/sh\n" + bytes(50_000)
    assert b"shell script" in file.kind(file.beginning())


RULES = (
    'alert http any any -> any any (flow:to_client; file.data; content:"needle"; offset:40000;)',
    'alert http any any -> any any (flow:to_client; http.response_body; content:!"needle";)',
    'alert http any any -> any any (flow:to_client; filemagic:"shell script";)',
    'alert http any any -> any any (flow:to_server; http.request_body; content:"needle"; isdataat:!1,relative;)',
    "alert http any any -> any any (flow:to_server; file.data; bsize:70006;)",
    'alert tcp any any -> any any (flow:to_client; content:"HTTP/1.1 200"; flowbits:set,answered;)',
    'alert http any any -> any any (http.stat_code; content:"200"; flowbits:isset,answered; file.data; content:"needle";)',
)


def test_the_same_rules_speak_of_the_same_packets_whether_anything_is_packed_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffers, "AT_ONCE", 1 << 20)
    found = _told(_capture(0))
    assert {sid for sid, _, _ in found} == {*range(1, len(RULES) + 1)} and len(found) > 200
    monkeypatch.setattr(buffers, "AT_ONCE", 1 << 40)
    # With so much beside them on the wire, the same bodies are not many times as long as what came.
    assert found == _told(_capture(4000))


def _capture(beside: int) -> list[bytes]:
    """Return conversations whose bodies are compressed, with so many bytes in the header of each that mean nothing."""
    chance = random.Random(3)
    packets: list[bytes] = []
    for port in range(40_000, 40_006):
        conversation = scene.Talk(sport=port)
        for _ in range(6):
            said = bytes(70_000) + b"needle", b"#!/bin/sh\n" + bytes(chance.randrange(99_000))
            body = _gzip(chance.choice(said), beside)
            ask = _post(body) if chance.random() < 0.5 else scene.request("/")
            number = chance.randrange(1, 12)
            conversation.ask(ask * number).answer(_answer(body) * number)
        packets += conversation.close().packets
    return packets


def _gzip(body: bytes, beside: int) -> bytes:
    """Return a body compressed, with an extra field of so many bytes (RFC 1952, 2.3.1.1)."""
    return b"\x1f\x8b\x08\x04" + bytes(6) + beside.to_bytes(2, "little") + bytes(beside) + gzip.compress(body)[10:]


def _told(packets: list[bytes]) -> list[tuple[int, int, int]]:
    found = scene.alerts(packets, *RULES)
    return [(one.rule.sid, one.packet.number, one.transaction.number if one.transaction else -1) for one in found]
