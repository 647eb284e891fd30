"""Keywords beside the payload, each on packets that hold and on packets that do not."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q

from collectors.traffic.rules.engine import tests as keywords
from collectors.traffic.rules.engine.tests import Unsupported, check
from collectors.traffic.rules.language.rule import AppProtocol, EventTest, FieldTest, Number, WordTest
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

ENDS = {"src": "10.0.0.1", "dst": "10.0.0.2"}


def _tcp(flags: str) -> bytes:
    return bytes(ether() / IP(**ENDS) / TCP(sport=1, dport=2, flags=flags))


def _plain(protocol: int) -> bytes:
    return bytes(ether() / IP(**ENDS, proto=protocol) / b"some bytes")


CASES: list[tuple[str, list[bytes], list[int]]] = [
    ("tcp,flags:S", [_tcp("S"), _tcp("SA"), _tcp("A")], [1]),
    ("tcp,flags:S+", [_tcp("S"), _tcp("SA"), _tcp("A")], [1, 2]),
    ("tcp,flags:*SF", [_tcp("S"), _tcp("FA"), _tcp("A")], [1, 2]),
    ("tcp,flags:!S", [_tcp("S"), _tcp("FA")], [2]),
    ("tcp,flags:S,CE", [_tcp("SCE"), _tcp("SA")], [1]),
    ("tcp,flags:0", [_tcp(""), _tcp("A")], [1]),
    ("ip,ip_proto:47", [_plain(250), _plain(47)], [2]),
    ("ip,ip_proto:>200", [_plain(250), _plain(199)], [1]),
    ("ip,ttl:<10; content:|61|", [scene.udp(b"a", ttl=9), scene.udp(b"a", ttl=10)], [1]),
    ("ip,sameip; content:|61|", [scene.udp(b"a", source=scene.SERVER), scene.udp(b"a")], [1]),
    ("udp,fragbits:D; content:|61|", [scene.udp(b"a", flags="DF"), scene.udp(b"a")], [1]),
    ("udp,dsize:2<>5", [scene.udp(b"a" * size) for size in (2, 3, 4, 5)], [2, 3]),
    ("icmp,itype:8; icode:0", [bytes(ether() / IP(**ENDS) / ICMP(type=kind)) for kind in (0, 8)], [2]),
    (
        "ip,ipopts:rr; content:|61|",
        [scene.udp(b"a", options=[IPOption_RR(routers=["1.1.1.1"])]), scene.udp(b"a")],
        [1],
    ),
    (
        "udp,vlan.id:5; content:|61|",
        [bytes(ether() / Dot1Q(vlan=one) / IP(**ENDS) / UDP(sport=7, dport=one) / b"a") for one in (4, 5)],
        [2],
    ),
    (
        "ip,l3_proto:ipv6; content:|61|",
        [bytes(ether() / IPv6(src="::1", dst="::2") / UDP(sport=7, dport=8) / b"a"), scene.udp(b"a")],
        [1],
    ),
]


def _rule(text: str) -> str:
    protocol, _, words = text.partition(",")
    return f"alert {protocol} any any -> any any ({words.replace('|61|', chr(34) + 'a' + chr(34))};)"


@pytest.mark.parametrize(("text", "packets", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_keyword_holds_for_the_packets_it_means(text: str, packets: list[bytes], wanted: list[int]) -> None:
    assert [one.packet.number for one in scene.alerts(packets, _rule(text))] == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("flow:to_server", {"ask"}),
        ("flow:to_client", {"answer"}),
        ("flow:established,to_server", {"ask"}),
        ("flow:not_established", set()),
        ("flow:stateless", {"ask", "answer"}),
    ],
)
def test_flow_names_direction_and_state(words: str, wanted: set[str]) -> None:
    talk = scene.Talk(dport=9999).ask(b"word ask").answer(b"word answer").close()
    lines = [f'alert tcp any any -> any any ({words}; content:"word {one}";)' for one in ("ask", "answer")]
    found = scene.counts(talk.packets, *lines)
    assert {("ask", "answer")[sid - 1] for sid in found} == wanted


def test_a_bad_checksum_is_told_and_a_good_one_is_not() -> None:
    data = bytearray(scene.udp(b"ab"))
    data[-1] ^= 1
    packets = [bytes(data), scene.udp(b"ab", sport=41_000)]
    lines = ["alert udp any any -> any any (udpv4-csum:invalid;)", "alert udp any any -> any any (udpv4-csum:valid;)"]
    found = scene.alerts(packets, *lines)
    assert [(one.rule.sid, one.packet.number) for one in found] == [(1, 1), (2, 2)]


def test_events_of_decoding_and_of_streams_are_told() -> None:
    cut = bytes(ether() / IP(**ENDS, len=10) / b"x")
    assert scene.counts(
        [cut, scene.udp(b"a")], "alert pkthdr any any -> any any (decode-event:ipv4.iplen_smaller_than_hlen;)"
    ) == {1: 1}
    wrong = bytes(
        ether() / IP(src=scene.SERVER, dst=scene.CLIENT) / TCP(sport=9999, dport=40_000, seq=5000, ack=9, flags="SA")
    )
    event = "alert tcp any any -> any any (stream-event:3whs_synack_with_wrong_ack;)"
    assert scene.counts([scene.Talk(dport=9999).packets[0], wrong], event) == {1: 1}
    assert scene.counts(scene.Talk(dport=9999).close().packets, event) == {}


@pytest.mark.parametrize(
    "test",
    [
        FieldTest("no.such.field", Number("=", 1)),
        WordTest("geoip", ("DE",)),
        EventTest("decode", "no.such.event"),
        AppProtocol("http"),
    ],
)
def test_what_cannot_be_evaluated_says_so(test: object) -> None:
    with pytest.raises(Unsupported):
        check(test)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "to_client", "holds"),
    [("", False, True), ("", True, False), ("either", True, True), ("both", False, False), ("to_client", False, False)],
)
def test_the_protocol_of_a_side(side: str, to_client: bool, holds: bool) -> None:
    test = AppProtocol("http", side=side)
    assert keywords.application(test, ("http", "failed"), "http", "http", to_client) == holds


def test_a_protocol_word_stands_for_its_family() -> None:
    assert keywords.same("http2", "http") and not keywords.same("http2", "http1") and keywords.same("tls", "tls")
