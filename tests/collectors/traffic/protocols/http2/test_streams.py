"""Streams: so many may be open, so many have bodies; beyond that the oldest one ends, and it is told."""

import gzip

from collectors.traffic.protocols.http2 import frames, streams
from collectors.traffic.protocols.http2.streams import Streams
from collectors.traffic.protocols.parser import MAX_TRANSACTIONS, Parser
from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, data, frame, headers
from tests.collectors.traffic.protocols.replay import talk


def _events(parser: Parser) -> set[str]:
    return {name for tx in parser.conversation.transactions for name in tx.events}


def _opened(count: int, *, fields: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b"") -> Parser:
    writer = Deflater()
    said = b"".join(
        headers(2 * number + 1, writer.block(asked(b"/", b"POST", *fields)), frames.END_HEADERS)
        + (data(2 * number + 1, body, 0) if body else b"")
        for number in range(count)
    )
    return talk("http2", (False, frames.MAGIC + said), close=False)


def test_so_many_streams_are_open_and_no_more() -> None:
    parser = _opened(MAX_TRANSACTIONS + 5)
    assert isinstance(parser, Streams)
    assert len(parser._streams) == MAX_TRANSACTIONS
    assert [tx.events for tx in parser.conversation.transactions[:6]] == [["too_many_streams"]] * 5 + [[]]


def test_so_many_bodies_and_decoders_are_kept_and_no_more() -> None:
    parser = _opened(200, body=b"x" * 50)
    assert isinstance(parser, Streams)
    assert len(parser._sides[0].file) == len(parser._sides[0].bodies) == streams.MAX_BODIES
    parser = _opened(200, fields=((b"content-encoding", b"gzip"),), body=gzip.compress(b"y" * 50)[:20])
    assert isinstance(parser, Streams)
    assert len(parser._sides[0].coded) == streams.MAX_CODED
    assert "too_many_streams" in _events(parser)


def test_ended_streams_leave_nothing_behind_and_their_numbers_are_known() -> None:
    writer, back = Deflater(), Deflater()
    parser = talk("http2", (False, frames.MAGIC), close=False)
    for number in range(1, 41, 2):
        parser.data(False, headers(number, writer.block(asked(b"/")), 4) + data(number, b"question"), 0)
        parser.data(True, headers(number, back.block(answered()), 4) + data(number, b"answer"), 0)
    assert isinstance(parser, Streams)
    assert parser._streams == {} and all(not side.file and not side.bodies for side in parser._sides)
    assert all(tx.done and all(file.closed for file in tx.files) for tx in parser.conversation.transactions)
    parser.data(False, headers(39, writer.block(asked(b"/again"))), 0)
    assert parser.conversation.transactions[-1].events == ["stream_id_reuse"]


def test_a_stream_that_is_reset_ends_and_its_file_is_cut_off() -> None:
    parser = talk(
        "http2",
        (False, frames.MAGIC + headers(1, Deflater().block(asked(b"/", b"PUT")), 4) + data(1, b"half", 0)),
        (True, frame(frames.RST_STREAM, 1, b"\0\0\0\x08")),
    )
    tx = parser.conversation.transactions[0]
    assert tx.done and tx.files[0].truncated and tx.files[0].kept.content() == b"half"
    assert tx.integers("http2.errorcode", True) == [8]
