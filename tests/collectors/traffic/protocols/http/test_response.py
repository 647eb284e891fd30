import gzip

import pytest

from collectors.traffic.protocols.news import Transaction
from tests.collectors.traffic.protocols.replay import talk

GET = (False, b"GET /f.txt HTTP/1.1\r\nHost: h\r\n\r\n")


def answer(data: bytes, request: tuple[bool, bytes] = GET) -> Transaction:
    return talk("http", request, (True, data)).conversation.transactions[0]


def test_a_response_has_its_buffers() -> None:
    tx = answer(
        b"HTTP/1.1 200 All Right\r\nServer: s\r\nLocation: l\r\nSet-Cookie: c\r\nContent-Type: t\r\nContent-Length: 2\r\n\r\nok"
    )
    expected = {
        "http.stat_code": b"200", "http.stat_msg": b"All Right", "http.protocol": b"HTTP/1.1", "http.server": b"s", "http.location": b"l",
        "http.cookie": b"c", "http.content_type": b"t", "http.content_len": b"2", "http.response_line": b"HTTP/1.1 200 All Right",
        "http.response_body": b"ok", "file.data": b"ok", "file.name": b"/f.txt",
    }  # fmt: skip
    assert {name: tx.buffers(name, True) for name in expected} == {name: [value] for name, value in expected.items()}
    assert tx.done and not tx.growing("file.data") and tx.events == []


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplain body", b"plain body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.0 200 OK\n\nto the end", b"to the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcmore", b"abcmore"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"squeezed"), b"squeezed"),
        (b"HTTP/1.1\r\n\r\nno status", b"no status"),
        (b"no status line at all\r\n", b"no status line at all\r\n"),
        (b"HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"junk\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", b"y"),
    ],
)
def test_bodies_are_cut_as_browsers_cut_them(data: bytes, body: bytes) -> None:
    assert answer(data).buffers("http.response_body", True) == [body]


def test_answers_to_head_have_no_body_and_the_next_one_is_the_next_ones() -> None:
    parser = talk(
        "http",
        (False, b"HEAD /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"),
        (True, b"HTTP/1.0 200 A\r\nContent-Length: 9\r\n\r\nHTTP/1.0 201 B\r\nContent-Length: 1\r\n\r\nz"),
    )
    first, second = parser.conversation.transactions
    assert (first.buffers("http.stat_code", True), first.buffers("http.response_body", True)) == ([b"200"], [])
    assert (second.buffers("http.stat_code", True), second.buffers("http.response_body", True)) == ([b"201"], [b"z"])


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "response_invalid_status"),
        (b"HTTP/9.9 200 OK\r\n\r\n", "response_invalid_protocol"),
        (b"HTTP/1.1 200 OK\r\njunk\r\n\r\n", "response_field_missing_colon"),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\n\r\n", "response_header_repetition"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid_content_length_field_in_response"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "response_chunked_old_proto"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n", "response_abnormal_transfer_encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid_response_chunk_len"),
        (b"HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 B\r\n\r\n", "100_continue_already_seen"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip\r\n\r\nx", "too_many_encoding_layers"),
    ],
)  # fmt: skip
def test_what_is_odd_is_told(data: bytes, event: str) -> None:
    assert event in answer(data).events


def test_a_response_without_request_is_one() -> None:
    (tx,) = talk("http", (True, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")).conversation.transactions
    assert tx.events == ["unable_to_match_response_to_request"] and tx.done
