"""Every link type leads to the same IP packet; what does not hold is named."""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Loopback
from scapy.layers.ppp import PPP, PPPoE

from collectors.traffic import block as links
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from tests.collectors.traffic.oracle import decode, ether

FOUR = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=8))
SIX = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=7, dport=8))
MPLS = struct.pack("!II", 16 << 12, 17 << 12 | 0x100)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (links.LINK_ETHERNET, bytes(ether()) [:12] + b"\x08\x00" + FOUR),
        (links.LINK_ETHERNET, bytes(ether())[:12] + b"\x88\x47" + MPLS + SIX),
        (links.LINK_ETHERNET, bytes(ether() / Dot1Q(vlan=5) / PPPoE() / PPP(proto=0x57)) [:26] + SIX),
        (links.LINK_ETHERNET, bytes(ether())[:12] + b"\x89\x26" + bytes(4) + b"\x08\0" + FOUR),
        (links.LINK_ETHERNET, bytes(ether())[:12] + b"\x89\x3f" + bytes(6) + b"\x81\0\0\5\x86\xdd" + SIX),
        (links.LINK_ETHERNET, bytes(ether())[:12] + b"\x88\xe7" + bytes(16) + b"\x08\0" + FOUR),
        (links.LINK_SLL, bytes(CookedLinux(proto=0x0800)) + FOUR),
        (links.LINK_SLL, bytes(CookedLinux(proto=0x8100)) + b"\0\x05\x08\0" + FOUR),
        (links.LINK_SLL2, struct.pack("!HHIHBB8s", 0x86DD, 0, 1, 1, 0, 6, b"") + SIX),
        (links.LINK_NULL, bytes(Loopback(type=2)) + FOUR),
        (links.LINK_NULL, b"\0\0\0\x1e" + SIX),
        (links.LINK_LOOP, b"\0\0\0\x18" + SIX),
        (links.LINK_RAW, FOUR),
        (links.LINK_RAW_OLD, SIX),
        (links.LINK_RAW_BSD, SIX),
        (links.LINK_PPP, b"\xff\x03\0\x21" + FOUR),
        (links.LINK_PPP, b"\x57" + SIX),
        (links.LINK_PPP_HDLC, b"\xff\x03\0\x57" + SIX),
        (links.LINK_IPV4, FOUR),
        (links.LINK_IPV6, SIX),
    ],
)  # fmt: skip
def test_every_link_type_leads_to_ip(link: int, frame: bytes) -> None:
    table = decode(frame, link=link)
    assert (table.sport.tolist(), table.dport.tolist()) == ([7], [8])
    assert not table.flags[0] & (columns.INVALID | columns.BAD_CHECKSUM)
    assert not table.events.any()


def tags(*kinds: int) -> bytes:
    return b"".join(struct.pack("!HH", kind, number + 1) for number, kind in enumerate(kinds))


@pytest.mark.parametrize(
    ("link", "frame", "event"),
    [
        (1, b"short", "ethernet.pkt_too_small"),
        (1, bytes(12) + b"\x12\x34" + FOUR, "ethernet.unknown_ethertype"),
        (1, bytes(12) + b"\x81\x00\x00", "vlan.header_too_small"),
        (1, bytes(12) + tags(0x8100) + b"\x12\x34" + FOUR, "vlan.unknown_type"),
        (1, bytes(12) + b"\x89\x26" + bytes(5), "vntag.header_too_small"),
        (1, bytes(12) + b"\x89\x26" + bytes(4) + b"\x12\x34" + FOUR, "vntag.unknown_type"),
        (1, bytes(12) + b"\x89\x3f" + bytes(7), "etag.header_too_small"),
        (1, bytes(12) + b"\x89\x3f" + bytes(6) + b"\x12\x34" + FOUR, "etag.unknown_type"),
        (1, bytes(12) + b"\x88\xe7" + bytes(17), "ieee8021ah.header_too_small"),
        (1, bytes(12) + tags(0x88A8, 0x8100, 0x8100, 0x8100) + b"\x08\0" + FOUR, "vlan.too_many_layers"),
        (1, bytes(12) + b"\x88\x64\x11\x00", "pppoe.pkt_too_small"),
        (1, bytes(12) + b"\x88\x64\x11\x09\0\1\0\x20\0\x21" + FOUR, "pppoe.wrong_code"),
        (1, bytes(12) + b"\x88\x64\x11\x00\0\1\0\x20\xc0\x21" + FOUR, "ppp.unsup_proto"),
        (1, bytes(12) + b"\x88\x47" + b"\0\0\0\0" * 9, "too_many_layers"),
        (1, bytes(12) + b"\x88\x47" + b"\0\0\0", "mpls.header_too_small"),
        (1, bytes(12) + b"\x88\x47" + b"\0\0\1\0" + b"\x77", "mpls.unknown_payload_type"),
        (113, bytes(15), "sll.pkt_too_small"),
        (276, bytes(19), "sll2.pkt_too_small"),
        (0, bytes(3), "ltnull.pkt_too_small"),
        (0, b"\x07\0\0\0" + FOUR, "ltnull.unsupported_type"),
        (101, b"\x77" + FOUR, "ipraw.invalid_ip_version"),
        (101, b"", "ipraw.invalid_ip_version"),
    ],
)
def test_what_does_not_hold_is_named(link: int, frame: bytes, event: str) -> None:
    table = decode(frame, link=link)
    assert table.event_names(0) == (event,)
    assert table.family[0] == 0


def test_an_unknown_link_type_is_counted() -> None:
    decoder = Decoder(DecodeOptions())
    decoder.decode(links.from_packets([FOUR, FOUR], 147))
    assert decoder.counts.unknown_links == {147: 2}


def test_link_types_may_be_mixed_in_a_block() -> None:
    block = links.from_packets([FOUR, bytes(ether() / IP(FOUR)), SIX], links.LINK_RAW)
    block.link[1] = links.LINK_ETHERNET
    assert Decoder(DecodeOptions()).decode(block).family.tolist() == [4, 4, 6]


def test_vlans_are_noted_from_the_outside_in() -> None:
    table = decode(bytes(ether() / Dot1Q(vlan=100) / Dot1Q(vlan=200) / IP(FOUR)))
    assert (int(table.vlan[0]), table.vlan_count[0]) == (100 | 200 << 16, 2)
