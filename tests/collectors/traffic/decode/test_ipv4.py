"""IPv4: every malformed header has its event; options and fragments are noted."""

import pytest
from scapy.layers.inet import IP, UDP

from collectors.traffic.block import LINK_IPV4
from collectors.traffic.decode import table as columns
from tests.collectors.traffic.oracle import decode

GOOD = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2))


def changed(**bytes_at: int) -> bytes:
    text = bytearray(GOOD)
    for place, value in bytes_at.items():
        text[int(place[1:])] = value
    return bytes(text)


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (GOOD[:19], "ipv4.pkt_too_small"),
        (changed(_0=0x65), "ipv4.wrong_ip_version"),
        (changed(_0=0x44), "ipv4.hlen_too_small"),
        (changed(_3=19), "ipv4.iplen_smaller_than_hlen"),
        (changed(_3=29), "ipv4.trunc_pkt"),
        (changed(_0=0x4F, _3=28), "ipv4.iplen_smaller_than_hlen"),
    ],
)
def test_a_malformed_header_ends_decoding(packet: bytes, event: str) -> None:
    table = decode(packet, link=LINK_IPV4)
    assert table.event_names(0) == (event,)
    assert table.flags[0] & columns.INVALID and table.family[0] == 0


@pytest.mark.parametrize(
    ("options", "events"),
    [
        (b"\x07\x07\x04\x01\x02\x03\x04\x00", set()),
        (b"\x94\x04\x00\x00", {"ipv4.opt_pad_required"}),
        (b"\x07\x01\x04\x00\x00\x00\x00\x00", {"ipv4.opt_invalid_len"}),
        (b"\x07\x27\x04\x00\x00\x00\x00\x00", {"ipv4.opt_invalid_len"}),
        (b"\x94\x05\x00\x00\x00\x00\x00\x00", {"ipv4.opt_invalid"}),
        (b"\x94\x04\x00\x00\x94\x04\x00\x00", {"ipv4.opt_duplicate"}),
        (b"\xfe\x04\x00\x00\x00\x00\x00\x00", {"ipv4.opt_unknown"}),
        (b"\x01\x01\x01\x01\x01\x01\x01\x07", {"ipv4.opt_eol_required"}),
    ],
)
def test_options_are_checked(options: bytes, events: set[str]) -> None:
    header = bytearray(GOOD[:20] + options + GOOD[20:])
    header[0], header[3] = 0x45 + len(options) // 4, len(header)
    table = decode(bytes(header), link=LINK_IPV4)
    assert set(table.event_names(0)) == events
    assert (table.sport[0], table.dport[0]) == (1, 2), "options that are off do not hide what follows"


def test_padding_behind_the_packet_is_not_payload() -> None:
    assert decode(GOOD + bytes(18), link=LINK_IPV4).payload_len[0] == 0


def test_fragments_are_noted_and_not_decoded_further() -> None:
    table = decode(changed(_6=0x20, _7=5), link=LINK_IPV4)
    assert table.flags[0] & (columns.FRAGMENT | columns.MORE_FRAGMENTS) == columns.FRAGMENT | columns.MORE_FRAGMENTS
    assert (table.frag_offset[0], table.l4[0], table.sport[0]) == (5, -1, 0)
    assert decode(changed(_6=0x40), link=LINK_IPV4).flags[0] & columns.DONT_FRAGMENT


def test_icmpv6_does_not_belong_in_ipv4() -> None:
    assert decode(changed(_9=58), link=LINK_IPV4).event_names(0) == ("ipv4.icmpv6",)
