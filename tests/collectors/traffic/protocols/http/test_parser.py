"""Both sides of an HTTP/1 connection together."""

import gc

from collectors.traffic.protocols.http.parser import HttpParser
from collectors.traffic.protocols.http.request import RequestHalf
from collectors.traffic.protocols.http.response import ResponseHalf
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits
from collectors.traffic.protocols.registry import parser_of
from tests.collectors.traffic.protocols.replay import talk


def test_pipelined_requests_meet_their_answers_in_order() -> None:
    parser = talk(
        "http",
        (False, b"GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"),
        (True, b"HTTP/1.0 201 A\r\nContent-Length: 0\r\n\r\nHTTP/1.0 202 B\r\nContent-Length: 0\r\n\r\n"),
    )
    found = parser.conversation.transactions
    assert [(tx.buffers("http.uri", False), tx.buffers("http.stat_code", True), tx.done) for tx in found] == [
        ([b"/1"], [b"201"], True),
        ([b"/2"], [b"202"], True),
    ]


def test_an_accepted_connect_and_an_upgrade_hand_over() -> None:
    connect = ((False, b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), (True, b"HTTP/1.1 200 OK\r\n\r\n"))
    assert talk("http", *connect, close=False).next_protocol == "?"
    refused = ((False, b"CONNECT h:443 HTTP/1.1\r\n\r\n"), (True, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    assert talk("http", *refused, close=False).next_protocol == ""
    for word, name in ((b"h2c", "http2"), (b"websocket", "websocket")):
        said = ((False, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (True, b"HTTP/1.1 101 S\r\nUpgrade: %b\r\n\r\n" % word))
        assert talk("http", *said, close=False).next_protocol == name


def test_open_transactions_are_bounded() -> None:
    parser = talk("http", (False, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2000), close=False)
    assert sum(not tx.done for tx in parser.conversation.transactions) <= 512


def test_holes_are_passed_over_in_bodies_alone() -> None:
    parser = talk(
        "http",
        (False, b"GET / HTTP/1.0\r\n\r\n"),
        (True, b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        close=False,
    )
    parser.data(True, b"ij", 5)
    (tx,) = parser.conversation.transactions
    assert tx.done and tx.buffers("http.response_body", True) == [b"abcij"] and tx.files[0].truncated


def _kept() -> set[str]:
    kinds = (HttpParser, RequestHalf, ResponseHalf)
    return {type(one).__name__ for one in gc.get_objects() if type(one) in kinds}


def test_a_parser_that_is_let_go_of_leaves_no_rings() -> None:
    gc.collect()
    gc.disable()
    try:
        parser = parser_of("http", Conversation(0), Facts(1, 80, (0, 1), (0, 2), False), Limits())
        parser.data(False, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 0)
        parser.data(True, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0)
        assert _kept() == {"HttpParser", "RequestHalf", "ResponseHalf"}
        parser.release()
        del parser
        assert not _kept()
    finally:
        gc.enable()
