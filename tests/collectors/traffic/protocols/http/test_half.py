import time

from collectors.traffic.protocols.http.half import FIELD_LIMIT
from tests.collectors.traffic.protocols.replay import talk


def test_what_has_no_end_is_given_up_and_not_kept() -> None:
    parser = talk("http", (False, b"GET / HTTP/1.1\r\nX: "), *((False, b"a" * 1000) for _ in range(100)), close=False)
    half = parser._request
    assert half.dead and len(half.buffer) <= FIELD_LIMIT
    assert "request_field_too_long" in parser.conversation.transactions[0].events


def test_too_many_fields_end_the_reading() -> None:
    fields = b"".join(b"X%d: 1\r\n" % number for number in range(3000))
    parser = talk("http", (False, b"GET / HTTP/1.1\r\n" + fields + b"\r\n"), close=False)
    assert "request_too_many_headers" in parser.conversation.transactions[0].events


def test_a_long_field_byte_by_byte_costs_little() -> None:
    begun = time.process_time()
    said = [(False, bytes([byte])) for byte in b"GET / HTTP/1.1\r\n" + b"\n ".join(b"a" * 400 for _ in range(40))]
    talk("http", *said, close=False)
    assert time.process_time() - begun < 5
