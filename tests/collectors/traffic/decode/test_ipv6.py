"""IPv6: malformed headers, extension headers in every odd combination, and bounds on their chains."""

import struct

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.packet import Packet, Raw

from collectors.traffic.block import LINK_IPV6
from collectors.traffic.decode import table as columns
from tests.collectors.traffic.oracle import decode

BASE = IPv6(src="2001:db8::1", dst="2001:db8::2")
GOOD = bytes(BASE / UDP(sport=1, dport=2))
PAD = [PadN(optdata=b"\1\2\3\4")]


def raw(following: int, body: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(body), following, 64) + GOOD[8:40] + body


HOP = b"\x11\x00\x05\x02\x00\x00\x00\x00"
UDP_BYTES = GOOD[40:]


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (GOOD[:39], "ipv6.pkt_too_small"),
        (b"\x70" + GOOD[1:], "ipv6.wrong_ip_version"),
        (GOOD[:44], "ipv6.trunc_pkt"),
        (raw(0, b"\x11"), "ipv6.trunc_exthdr"),
        (raw(0, b"\x11\x01" + bytes(6)), "ipv6.trunc_exthdr"),
        (raw(44, b"\x11\x00\x00"), "ipv6.trunc_exthdr"),
        (raw(43, b"\x2b\x00" + bytes([9]) + b"\0" * 5 + (b"\x2b\x00\x09" + b"\0" * 5) * 40), "too_many_layers"),
    ],
)
def test_a_malformed_header_ends_decoding(packet: bytes, event: str) -> None:
    table = decode(packet, link=LINK_IPV6)
    assert event in table.event_names(0)
    assert table.flags[0] & columns.INVALID and table.l4[0] == -1


@pytest.mark.parametrize(
    ("packet", "events"),
    [
        (raw(0, HOP + UDP_BYTES), set()),
        (bytes(BASE / IPv6ExtHdrHopByHop(options=PAD) / UDP()), {"ipv6.hopopts_only_padding"}),
        (bytes(BASE / IPv6ExtHdrDestOpt(options=PAD) / UDP()), {"ipv6.dstopts_only_padding"}),
        (raw(60, b"\x11\x00\x01\x00\x05\x02\x00\x00" + UDP_BYTES), {"ipv6.zero_len_padn"}),
        (raw(60, b"\x11\x00\x1e\x04\x00\x00\x00\x00" + UDP_BYTES), {"ipv6.dstopts_unknown_opt"}),
        (raw(0, b"\x11\x00\x05\x09\x00\x00\x00\x00" + UDP_BYTES), {"ipv6.exthdr_invalid_optlen"}),
        (raw(0, b"\x00\x00" + HOP[2:] + HOP + UDP_BYTES), {"ipv6.exthdr_dupl_hh"}),
        (bytes(BASE / IPv6ExtHdrRouting(addresses=["::1"], type=0) / UDP()), {"ipv6.rh_type_0"}),
        (raw(43, (b"\x2b" + b"\x00\x09" + bytes(5)) + b"\x11\x00\x09" + bytes(5) + UDP_BYTES), {"ipv6.exthdr_dupl_rh"}),
        (bytes(BASE / IPv6ExtHdrFragment(id=1) / UDP()), {"ipv6.exthdr_useless_fh"}),
        (raw(44, b"\x11\x07" + bytes(6) + UDP_BYTES), {"ipv6.exthdr_useless_fh", "ipv6.fh_non_zero_reserved_field"}),
        (
            raw(44, b"\x2c" + bytes(7) + b"\x11" + bytes(7) + UDP_BYTES),
            {"ipv6.exthdr_useless_fh", "ipv6.exthdr_dupl_fh"},
        ),
        (raw(51, b"\x11\x01\x00\x01" + bytes(8) + UDP_BYTES), {"ipv6.exthdr_ah_res_not_null"}),
        (raw(51, b"\x33\x01" + bytes(10) + b"\x11\x01" + bytes(10) + UDP_BYTES), {"ipv6.exthdr_dupl_ah"}),
    ],
)
def test_odd_extension_headers_are_named_and_passed(packet: bytes, events: set[str]) -> None:
    table = decode(packet, link=LINK_IPV6)
    assert set(table.event_names(0)) == events
    assert table.protocol[0] == 17 and table.l4[0] > 0


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (raw(59, b"data"), "ipv6.data_after_none_header"),
        (raw(1, bytes(8)), "ipv6.icmpv4"),
        (raw(253, bytes(8)), "ipv6.unknown_next_header"),
    ],
)
def test_what_should_not_follow_is_named(packet: bytes, event: str) -> None:
    assert decode(packet, link=LINK_IPV6).event_names(0) == (event,)


def test_nothing_follows_no_next_header() -> None:
    table = decode(raw(59, b""), link=LINK_IPV6)
    assert (table.payload_len[0], table.event_names(0)) == (0, ())


def test_a_fragment_is_noted_with_its_own_number() -> None:
    packet: Packet = BASE / IPv6ExtHdrFragment(id=0xABCD1234, offset=3, m=1, nh=17) / Raw(bytes(16))
    table = decode(bytes(packet), link=LINK_IPV6)
    assert (int(table.ip_id[0]), table.frag_offset[0], table.payload_len[0]) == (0xABCD1234, 3, 0)
    assert table.flags[0] & columns.FRAGMENT
