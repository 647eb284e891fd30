"""TCP, UDP and SCTP: malformed headers have their events; usual options pass by their shape, others are walked."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from collectors.traffic.block import LINK_IPV4
from collectors.traffic.decode import table as columns
from tests.collectors.traffic.oracle import decode

BASE = IP(src="10.0.0.1", dst="10.0.0.2")
STAMPS = ("Timestamp", (1, 2))


def of(protocol: int, body: bytes) -> bytes:
    return bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=protocol) / Raw(body))


TCP_BYTES, UDP_BYTES = bytes(BASE / TCP())[20:], bytes(BASE / UDP())[20:]


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (of(6, TCP_BYTES[:19]), "tcp.pkt_too_small"),
        (of(6, TCP_BYTES[:12] + b"\x40" + TCP_BYTES[13:]), "tcp.hlen_too_small"),
        (of(6, TCP_BYTES[:12] + b"\xf0" + TCP_BYTES[13:]), "tcp.invalid_optlen"),
        (of(17, UDP_BYTES[:7]), "udp.hlen_too_small"),
        (of(17, UDP_BYTES[:4] + b"\0\x09" + UDP_BYTES[6:]), "udp.pkt_too_small"),
        (of(17, UDP_BYTES[:4] + b"\0\x07" + UDP_BYTES[6:]), "udp.len_invalid"),
        (of(132, bytes(11)), "sctp.pkt_too_small"),
    ],
)
def test_a_malformed_header_ends_decoding(packet: bytes, event: str) -> None:
    table = decode(packet, link=LINK_IPV4)
    assert event in table.event_names(0)
    assert table.flags[0] & columns.INVALID and not table.flags[0] & columns.TRANSPORT


def test_bytes_behind_udps_own_end_are_no_payload() -> None:
    table = decode(of(17, UDP_BYTES + b"behind"), link=LINK_IPV4)
    assert table.event_names(0) == ("udp.hlen_invalid",) and table.payload_len[0] == 0


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ([("NOP", None), ("NOP", None), STAMPS], set()),
        ([("NOP", None), ("NOP", None), STAMPS, ("NOP", None), ("NOP", None), ("SAck", (1, 2))], set()),
        ([("MSS", 1460), ("SAckOK", b""), STAMPS, ("NOP", None), ("WScale", 7)], set()),
        ([("MSS", 1460), ("NOP", None), ("WScale", 7), ("SAckOK", b"")], set()),
        ([("MSS", 1460), ("MSS", 1460)], {"tcp.opt_duplicate"}),
        ([("NOP", None), ("NOP", None), STAMPS, ("NOP", None), ("NOP", None), STAMPS], {"tcp.opt_duplicate"}),
    ],
)
def test_options_in_order_have_no_event(options: list[tuple[str, object]], events: set[str]) -> None:
    packet: Packet = BASE / TCP(options=options) / Raw(b"data")
    table = decode(bytes(packet), link=LINK_IPV4)
    assert set(table.event_names(0)) == events
    assert table.payload_len[0] == 4


@pytest.mark.parametrize(
    "options",
    [b"\x02\x01\x00\x00", b"\x02\x05\x00\x00", b"\x03\x04\x00\x00", b"\x08\x0a\x00\x00", b"\x05\x09" + bytes(10)],
)
def test_options_of_a_wrong_length_are_named(options: bytes) -> None:
    header = TCP_BYTES[:12] + bytes([(20 + len(options)) << 2]) + TCP_BYTES[13:20] + options
    table = decode(of(6, header), link=LINK_IPV4)
    assert table.event_names(0) == ("tcp.opt_invalid_len",)
    assert table.flags[0] & columns.TRANSPORT


def test_an_sctp_payload_begins_with_the_first_chunk() -> None:
    table = decode(bytes(BASE / SCTP(sport=3, dport=4) / Raw(b"chunk")), link=LINK_IPV4)
    assert (table.sport[0], table.dport[0], table.payload_len[0]) == (3, 4, 5)
