import pytest

from collectors.traffic.protocols.news import Transaction
from tests.collectors.traffic.protocols.replay import talk


def requests(*said: bytes, close: bool = True) -> list[Transaction]:
    return talk("http", *((False, data) for data in said), close=close).conversation.transactions


def one(data: bytes) -> Transaction:
    (tx,) = requests(data)
    return tx


def test_a_request_has_its_buffers() -> None:
    tx = one(
        b"GET /a/../b?c=%41 HTTP/1.1\r\nHost: Example.org:80\r\nCookie: k=v\r\nUser-Agent: me\r\nReferer: r\r\nAccept: */*\r\n"
        b"Accept-Language: de\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    expected = {
        "http.uri": b"/b?c=A", "http.uri.raw": b"/a/../b?c=%41", "http.method": b"GET", "http.protocol": b"HTTP/1.1",
        "http.request_line": b"GET /a/../b?c=%41 HTTP/1.1", "http.host": b"example.org", "http.host.raw": b"Example.org:80",
        "http.cookie": b"k=v", "http.user_agent": b"me", "http.referer": b"r", "http.accept": b"*/*", "http.accept_lang": b"de",
        "http.accept_enc": b"gzip", "http.connection": b"close",
        "http.header_names": b"\r\nHost\r\nCookie\r\nUser-Agent\r\nReferer\r\nAccept\r\nAccept-Language\r\n"
        b"Accept-Encoding\r\nConnection\r\n\r\n",
    }  # fmt: skip
    assert {name: tx.buffers(name, False) for name in expected} == {name: [value] for name, value in expected.items()}
    assert b"Cookie" not in tx.buffers("http.header", False)[0]
    assert b"Cookie: k=v" in tx.buffers("http.start", False)[0]
    assert tx.buffers("http.header.raw", False)[0].endswith(b"close\r\n\r\n")
    assert b"Cookie: k=v" in tx.buffers("http.request_header", False)
    assert tx.events == []


def test_buffers_are_there_when_the_request_has_got_so_far() -> None:
    (tx,) = requests(b"GET /x HTTP/1.1\r\nHost: h\r\n", close=False)
    assert (tx.buffers("http.uri", False), tx.buffers("http.host", False), tx.request) == ([b"/x"], [], 1)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_bodies_by_length_and_by_chunks_are_read_in_any_pieces(size: int) -> None:
    data = (
        b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
        b"POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    found = requests(*(data[at : at + size] for at in range(0, len(data), size)))
    assert [tx.buffers("http.uri", False)[0] for tx in found] == [b"/1", b"/2", b"/3"]
    assert [tx.buffers("http.request_body", False) for tx in found] == [[b"hello"], [b"abcde"], []]


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "missing_host_header"),
        (b" GET / HTTP/1.0\r\n\r\n", "request_line_leading_whitespace"),
        (b"GET\t/ HTTP/1.0\r\n\r\n", "method_delim_non_compliant"),
        (b"GET /\tx HTTP/1.0\r\nHost: h\r\n\r\n", "uri_delim_non_compliant"),
        (b"GET / HTTP/1.0\r\njunk\r\n\r\n", "request_field_missing_colon"),
        (b"GET / HTTP/1.0\r\nA b: c\r\n\r\n", "request_header_invalid"),
        (b"GET / HTTP/1.0\r\nA: 1\r\nA: 2\r\n\r\n", "request_header_repetition"),
        (b"GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n", "host_header_ambiguous"),
        (b"GET / HTTP/1.0\r\nHost: a..b\r\n\r\n", "request_header_host_invalid"),
        (b"GET / HTTP/1.0\r\nHost: a:81\r\n\r\n", "request_server_port_tcp_port_mismatch"),
        (b"GET / HTTP/1.0\r\nAuthorization: Odd x\r\n\r\n", "request_auth_unrecognized"),
        (b"POST / HTTP/1.0\r\nContent-Length: x\r\n\r\n", "invalid_content_length_field_in_request"),
        (b"POST / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "duplicate_content_length_field_in_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: odd\r\n\r\n", "invalid_transfer_encoding_value_in_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid_request_chunk_len"),
        (b"GET / HTTP/1.0\r\n\r\nunexpected\r\n", "request_body_unexpected"),
        (b"GET /x\r\nHost: h\r\n\r\n", "request_line_missing_protocol"),
        (b"GET /" + b"a" * 20_000, "request_field_too_long"),
    ],
)  # fmt: skip
def test_what_is_odd_is_told(data: bytes, event: str) -> None:
    assert event in one(data).events


def test_files_of_requests() -> None:
    put = one(b"PUT /dir/f.bin HTTP/1.0\r\nContent-Length: 4\r\n\r\ndata")
    assert (put.buffers("file.name", False), put.buffers("file.data", False)) == ([b"/dir/f.bin"], [b"data"])
    form = b'--B\r\nContent-Disposition: form-data; filename="n"\r\n\r\ninside\r\n--B--\r\n'
    post = one(
        b"POST / HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n" % len(form)
        + form
    )
    assert (post.buffers("file.name", False), post.buffers("file.data", False)) == ([b"n"], [b"inside"])
