"""What EVE records say of transactions: what was really said, and nothing of what was not."""

from typing import Any

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP

from collectors.traffic.output.eve_objects import objects
from collectors.traffic.protocols.http2 import frames
from collectors.traffic.protocols.news import Fields
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, headers
from tests.collectors.traffic.rules.engine import scene


def _of(packets: list[bytes], rule: str) -> dict[str, Any]:
    (found,) = scene.alerts(packets, rule)
    assert found.transaction is not None
    return objects(found.transaction)


def test_http() -> None:
    asked = scene.request("/path?x=1", more="User-Agent: probe/1\r\nReferer: http://a.test/\r\n")
    talk = scene.Talk().ask(asked).answer(scene.response(b"body", "404 Not Found")).close().packets
    found = _of(talk, 'alert http any any -> any any (flow:to_client; http.stat_code; content:"404";)')
    assert found == {
        "http": {
            "hostname": "example.test",
            "url": "/path?x=1",
            "http_user_agent": "probe/1",
            "http_content_type": "text/plain",
            "http_refer": "http://a.test/",
            "http_method": "GET",
            "protocol": "HTTP/1.1",
            "status": 404,
        }
    }


def test_http2_is_told_by_the_same_names() -> None:
    question = frames.MAGIC + headers(1, Deflater().block(asked(b"/path?x=1", b"GET", (b"user-agent", b"probe/1"))))
    talk = scene.Talk().ask(question).answer(headers(1, Deflater().block(answered(b"404")))).close().packets
    found = _of(talk, 'alert http any any -> any any (flow:to_client; http.stat_code; content:"404";)')
    assert found == {
        "http": {
            "hostname": "example.test",
            "url": "/path?x=1",
            "http_user_agent": "probe/1",
            "http_method": "GET",
            "protocol": "HTTP/2",
            "status": 404,
        }
    }


def test_an_answer_that_has_not_come_is_left_out() -> None:
    talk = scene.Talk().ask(scene.request("/only")).packets
    found = _of(talk, 'alert http any any -> any any (http.uri; content:"only";)')
    assert found["http"]["url"] == "/only" and not {"status", "http_content_type"} & set(found["http"])


def test_a_byte_that_is_no_text_is_escaped() -> None:
    transaction = Fields(0, "tls")
    transaction.set("tls.sni", False, b"a\xff.test")
    assert objects(transaction) == {"tls": {"sni": "a\\xff.test"}}


def _dns(message: DNS, back: bool = False) -> bytes:
    ends = ("10.0.0.2", "10.0.0.1") if back else ("10.0.0.1", "10.0.0.2")
    ports = (53, 40_000) if back else (40_000, 53)
    return bytes(ether() / IP(src=ends[0], dst=ends[1]) / UDP(sport=ports[0], dport=ports[1]) / message)


def test_dns_question_and_answer() -> None:
    question = DNSQR(qname="example.test", qtype="AAAA")
    answer = DNS(id=7, qr=1, rcode=3, qd=question, an=DNSRR(rrname="example.test", type="A", rdata="10.1.1.1"))
    packets = [_dns(DNS(id=7, qd=question)), _dns(answer, back=True)]
    asked = _of(packets, 'alert dns any any -> any any (dns.query; content:"example";)')
    assert asked == {
        "dns": {
            "version": 3,
            "type": "request",
            "opcode": 0,
            "queries": [{"rrname": "example.test", "rrtype": "AAAA"}],
        }
    }
    answered = _of(packets, "alert dns any any -> any any (flow:to_client; dns.rcode:3;)")
    assert (answered["dns"]["type"], answered["dns"]["rcode"]) == ("response", "NXDOMAIN")
    assert answered["dns"]["queries"] == asked["dns"]["queries"]


def test_tls() -> None:
    transaction = Fields(0, "tls")
    transaction.set("tls.sni", False, b"example.test")
    transaction.set("tls.cert_subject", True, b"CN=example.test")
    transaction.set("ja3.hash", False, b"ab")
    transaction.set("ja3.string", False, b"771,1")
    transaction.number_is("tls.version", True, 0x0303)
    assert objects(transaction) == {
        "tls": {
            "subject": "CN=example.test",
            "sni": "example.test",
            "version": "TLS 1.2",
            "ja3": {"hash": "ab", "string": "771,1"},
        }
    }


def test_protocols_without_an_object_have_none() -> None:
    assert objects(Fields(0, "ssh")) == {} == objects(Fields(0, "tls"))
