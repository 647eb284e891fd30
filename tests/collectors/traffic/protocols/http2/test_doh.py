"""DNS over HTTPS: the message is read where a request or an answer says that it is one."""

from base64 import urlsafe_b64encode

import pytest

from collectors.traffic.protocols.http2 import doh
from collectors.traffic.protocols.http2.transaction import Http2Transaction
from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, data, headers
from tests.collectors.traffic.protocols.replay import talk
from tests.collectors.traffic.protocols.seeds import dns_message

QUESTION, ANSWER = dns_message(response=False), dns_message()
TYPE = (b"content-type", doh.TYPE)
PATH = b"/dns-query?dns=" + urlsafe_b64encode(QUESTION).rstrip(b"=")


def _said(request: bytes, response: bytes) -> Http2Transaction:
    parser = talk("http2", (False, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + request), (True, response))
    tx = parser.conversation.transactions[-1]
    assert isinstance(tx, Http2Transaction)
    assert parser.conversation.protocol == tx.protocol == "doh2"
    return tx


def test_a_question_in_the_target_and_its_answer() -> None:
    tx = _said(
        headers(1, Deflater().block(asked(PATH))),
        headers(1, Deflater().block(answered(b"200", TYPE)), 4) + data(1, ANSWER),
    )
    assert tx.buffers("dns.query", False) == [b"www.example.org"]
    assert tx.buffers("dns.answers.rrname", True) == [b"www.example.org"] * 2
    assert (tx.integers("dns.rcode", True), tx.integers("dns.rrtype", False)) == ([0], [1])
    assert tx.buffers("http.uri.raw", False) == [PATH]


def test_a_question_in_a_body() -> None:
    fields = asked(b"/dns-query", b"POST", (b"content-type", b"Application/DNS-message; x=y"))
    tx = _said(headers(1, Deflater().block(fields), 4) + data(1, QUESTION[:9], 0) + data(1, QUESTION[9:]), b"")
    assert tx.buffers("dns.query", False) == [b"www.example.org"]


def test_a_body_longer_than_a_message_can_be_is_told() -> None:
    fields = asked(b"/dns-query", b"POST", TYPE)
    body = b"".join(data(1, b"x" * 16_000, 0) for _ in range(5)) + data(1, b"")
    tx = _said(headers(1, Deflater().block(fields), 4) + body, b"")
    assert tx.events == ["dns_request_too_long"] and tx.dns == []


@pytest.mark.parametrize("path", [b"/x?dns=", b"/x?dns=AAAA", b"/x?dns=A", b"/x?dns=%%%", b"/x?adns=" + PATH[15:]])
def test_what_is_no_message_makes_no_dns_of_it(path: bytes) -> None:
    parser = talk("http2", (False, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + headers(1, Deflater().block(asked(path)))))
    assert parser.conversation.protocol != "doh2"
    assert parser.conversation.transactions[0].buffers("dns.query", False) == []
