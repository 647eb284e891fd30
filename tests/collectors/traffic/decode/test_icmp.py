"""ICMP and ICMPv6: known and unknown types and codes, and the headers that errors quote."""

import pytest
from scapy.layers.inet import ICMP, IP, IPerror, TCPerror
from scapy.layers.inet6 import ICMPv6DestUnreach, IPerror6, IPv6, UDPerror
from scapy.packet import Packet, Raw

from collectors.traffic.block import LINK_IPV4, LINK_RAW
from tests.collectors.traffic.oracle import decode, number

FOUR, SIX = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=64)


def message(six: bool, kind: int, code: int, body: bytes = bytes(44)) -> bytes:
    base = IPv6(src="::1", dst="::2", nh=58) if six else IP(src="10.0.0.1", dst="10.0.0.2", proto=1)
    return bytes(base / Raw(bytes([kind, code]) + bytes(6) + body))


@pytest.mark.parametrize(
    ("packet", "events"),
    [
        (message(False, 8, 0), set()),
        (message(False, 8, 1), {"icmpv4.unknown_code"}),
        (message(False, 200, 0), {"icmpv4.unknown_type"}),
        (message(False, 3, 1, b"\x45" + bytes(10)), {"icmpv4.ipv4_trunc_pkt"}),
        (message(False, 3, 1, b"\x65" + bytes(30)), {"icmpv4.ipv4_unknown_ver"}),
        (message(True, 128, 0), set()),
        (message(True, 128, 1), {"icmpv6.unknown_code"}),
        (message(True, 50, 0), {"icmpv6.unassigned_type"}),
        (message(True, 200, 0), {"icmpv6.experimentation_type"}),
        (message(True, 131, 0), {"icmpv6.mld_message_with_invalid_hl"}),
        (message(True, 1, 0, b"\x60" + bytes(30)), {"icmpv6.ipv6_trunc_pkt"}),
        (message(True, 1, 0, b"\x40" + bytes(50)), {"icmpv6.ipv6_unknown_version"}),
        (bytes(IP(proto=1, src="1.1.1.1", dst="2.2.2.2") / Raw(bytes(7))), {"icmpv4.pkt_too_small"}),
    ],
)
def test_what_is_off_is_named(packet: bytes, events: set[str]) -> None:
    assert set(decode(packet, link=LINK_RAW).event_names(0)) == events


@pytest.mark.parametrize(
    ("packet", "family", "ports"),
    [
        (FOUR / ICMP(type=11) / IPerror(src="10.9.9.9", dst="10.8.8.8") / TCPerror(sport=5, dport=6), 4, (5, 6)),
        (
            SIX / ICMPv6DestUnreach() / IPerror6(src="2001:db8::9", dst="2001:db8::8") / UDPerror(sport=5, dport=6),
            6,
            (5, 6),
        ),
    ],
)
def test_what_an_error_quotes_is_kept(packet: Packet, family: int, ports: tuple[int, int]) -> None:
    table = decode(message(False, 8, 0), bytes(packet), link=LINK_RAW)
    (quote,) = table.quotes.fields
    assert table.quotes.rows.tolist() == [1]
    assert (quote["family"], (quote["sport"], quote["dport"])) == (family, ports)
    source = "10.9.9.9" if family == 4 else "2001:db8::9"
    assert (quote["src_hi"], quote["src_lo"]) == number(source)


def test_a_quote_without_ports_has_none() -> None:
    quote = bytes(IPerror(src="10.9.9.9", dst="10.8.8.8", proto=6, len=40))[:20]
    (found,) = decode(message(False, 3, 1, quote), link=LINK_IPV4).quotes.fields
    assert (found["protocol"], found["sport"], found["dport"]) == (6, 0, 0)
