"""What a stream's fields are to rules: the buffers of HTTP/1, by other spellings of the same."""

import tracemalloc

import pytest

from collectors.traffic.protocols.http.transaction import COMPLETE
from collectors.traffic.protocols.http2 import transaction
from collectors.traffic.protocols.http2.transaction import Http2Transaction
from collectors.traffic.protocols.parser import Limits
from tests.collectors.traffic.protocols.http2.wire import Field, answered, asked


def _of(request: list[Field], response: list[Field] | None = None) -> Http2Transaction:
    tx = Http2Transaction(0, 1, Limits())
    tx.add(False, request)
    tx.settle(False)
    tx.request = COMPLETE
    if response is not None:
        tx.add(True, response)
        tx.settle(True)
        tx.response = COMPLETE
    return tx


REQUEST = asked(b"/a/%2e%2e/b?x=%41#f", b"POST", (b"cookie", b"a=1"), (b"user-agent", b" odd "), (b"x-key", b"1"),
                (b"cookie", b"b=2"), (b"x-key", b"2"))  # fmt: skip
ANSWER = answered(b"301", (b"server", b"s"), (b"location", b"/c"), (b"set-cookie", b"d=3"), (b"set-cookie", b"e=4"))


@pytest.mark.parametrize(
    ("name", "to_client", "wanted"),
    [
        ("http.method", False, [b"POST"]),
        ("http.uri", False, [b"/b?x=A#f"]),
        ("http.uri.raw", False, [b"/a/%2e%2e/b?x=%41#f"]),
        ("http.protocol", False, [b"HTTP/2"]),
        ("http.protocol", True, [b"HTTP/2"]),
        ("http.request_line", False, [b"POST /a/%2e%2e/b?x=%41#f HTTP/2\r\n"]),
        ("http.response_line", True, [b"HTTP/2 301\r\n"]),
        ("http.host", False, [b"example.test"]),
        ("http.host.raw", False, [b"example.test"]),
        ("http.user_agent", False, [b"odd"]),
        ("http.cookie", False, [b"a=1; b=2"]),
        ("http.cookie", True, [b"d=3, e=4"]),
        ("http.stat_code", True, [b"301"]),
        ("http.stat_msg", True, []),
        ("http.server", True, [b"s"]),
        ("http.location", True, [b"/c"]),
        ("http.header", True, [b":status: 301\r\nserver: s\r\nlocation: /c\r\n"]),
        ("http.header_names", True, [b"\r\n:status\r\nserver\r\nlocation\r\nset-cookie\r\nset-cookie\r\n\r\n"]),
        ("http.response_header", True, [b":status: 301", b"server: s", b"location: /c", b"set-cookie: d=3", b"set-cookie: e=4"]),
        ("http2.header_name", True, [b":status", b"server", b"location", b"set-cookie", b"set-cookie"]),
        ("http.response_header", False, []),
        ("http.host", True, []),
        ("tls.sni", False, []),
    ],
)  # fmt: skip
def test_buffers(name: str, to_client: bool, wanted: list[bytes]) -> None:
    assert _of(REQUEST, ANSWER).buffers(name, to_client) == wanted


def test_all_fields_but_cookies_are_lines() -> None:
    tx = _of(REQUEST)
    header, raw = tx.buffers("http.header", False)[0], tx.buffers("http.header.raw", False)[0]
    assert header.startswith(b":method: POST\r\n:scheme: http\r\n") and b"user-agent: odd\r\n" in header
    assert b"cookie" not in header and b"cookie: b=2\r\n" in raw and b"user-agent:  odd \r\n" in raw
    assert tx.message(False).headers.get(b"x-key") == b"1, 2"


def test_before_the_fields_are_whole_there_is_nothing() -> None:
    tx = Http2Transaction(0, 1, Limits())
    tx.add(False, asked(b"/"))
    assert tx.buffers("http.header", False) == tx.buffers("http.uri", False) == []


@pytest.mark.parametrize(
    ("fields", "host", "events"),
    [
        ([(b":authority", b"Example.TEST:8080")], b"example.test", []),
        ([(b"host", b"h.test")], b"h.test", []),
        ([(b":authority", b"a.test"), (b"host", b"A.test")], b"a.test", []),
        ([(b":authority", b"a.test"), (b"host", b"b.test")], b"a.test", ["authority_host_mismatch"]),
        ([(b":authority", b"user@a.test")], b"user@a.test", ["userinfo_in_uri"]),
        ([], None, []),
    ],
)
def test_the_host_and_what_is_odd_of_it(fields: list[Field], host: bytes | None, events: list[str]) -> None:
    tx = _of(fields)
    assert (tx.host, tx.events) == (host, events)


def test_a_status_that_is_none_is_kept_as_it_is() -> None:
    tx = _of(asked(b"/"), answered(b"2\xb2x"))
    assert (tx.status, tx.buffers("http.stat_code", True)) == (-1, [b"2\xb2x"])


def test_fields_and_numbers_have_bounds() -> None:
    tx = _of([(b"a", b"x" * 1000)] * 2000)
    assert len(tx.fields[0]) * 1001 <= transaction.MAX_LIST
    assert len(_of([(b"a", b"")] * 5000).fields[0]) == transaction.MAX_FIELDS
    assert tx.number_is("http2.window", False, 7) and not tx.number_is("http2.window", False, 7)
    for number in range(1000):
        tx.number_is("http2.window", False, number)
    assert len(tx.integers("http2.window", False)) == transaction.MAX_NUMBERS


def test_an_answers_file_has_the_name_that_it_is_given_else_the_paths() -> None:
    given = (b"content-disposition", b'attachment; filename="evil.exe"')
    assert _of(asked(b"/dir/x.bin"), answered(b"200", given)).file_name(True) == b"evil.exe"
    assert _of(asked(b"/dir/x.bin"), answered(b"200")).file_name(True) == b"/dir/x.bin"


def test_a_field_that_comes_several_times_is_one_whatever_its_case() -> None:
    fields = [(b"X-a", b"1"), (b"x-a", b"2"), (b"x-b", b"3"), (b"X-a", b" 4 "), (b"content-length", b"5")]
    headers = _of([*fields, (b"Content-Length", b"6")]).request_message.headers
    assert headers.get(b"x-a") == b"1, 4, 2" and headers.get(b"x-b") == b"3"
    assert headers.get(b"content-length") == b"5" and headers.get(b"x-c") is None
    headers.clear()
    assert headers.get(b"x-a") is None and headers.get(b"x-b") is None


def test_long_fields_that_few_bytes_name_are_not_kept_for_each_stream() -> None:
    value = b"v" * 4000
    joined = b", ".join([value] * 15)
    tracemalloc.start()
    streams = [_of(asked(b"/", b"GET", *[(b"user-agent", value)] * 15)) for _ in range(100)]
    for tx in streams:
        assert tx.buffers("http.user_agent", False) == [joined]
        assert tx.buffers("http.header", False)[0].count(value) == 15
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100 * 12_000
