"""Tunnels: GRE in all its forms, Teredo with its indications, VXLAN; and what only looks like one."""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE
from scapy.packet import Raw

from collectors.traffic.block import LINK_RAW
from collectors.traffic.decode import table as columns
from tests.collectors.traffic.oracle import decode, ether

FOUR = IP(src="10.0.0.1", dst="10.0.0.2")
INNER = IP(src="192.168.0.1", dst="192.168.0.2") / UDP(sport=7, dport=8)
INNER6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=7, dport=8))


def gre(flags: int, protocol: int, body: bytes) -> bytes:
    return bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=47) / Raw(struct.pack("!HH", flags, protocol) + body))


def mirrored(version: int, body: bytes) -> bytes:
    """Return a frame of ERSPAN behind GRE with a sequence number."""
    return gre(0x1000, 0x88BE, bytes(4) + struct.pack("!HHI", version << 12 | 5, 1, 0) + body)


def geneve(head: bytes, body: bytes) -> bytes:
    return bytes(FOUR / UDP(sport=1, dport=6081) / Raw(head + body))


def teredo(body: bytes) -> bytes:
    return bytes(FOUR / UDP(sport=5000, dport=3544) / Raw(body))


@pytest.mark.parametrize(
    "packet",
    [
        bytes(FOUR / GRE() / INNER),
        bytes(FOUR / GRE(chksum_present=1) / INNER),
        bytes(FOUR / GRE(key_present=1, seqnum_present=1) / INNER),
        bytes(FOUR / GRE(proto=0x6558) / ether() / INNER),
        gre(0x4000, 0x0800, bytes(4) + b"\0\x02\0\x04\1\2\3\4" + bytes(4) + bytes(INNER)),
        gre(0x2001, 0x880B, struct.pack("!HH", 0, 1) + b"\xff\x03\0\x21" + bytes(INNER)),
        gre(0x3081, 0x880B, struct.pack("!HHII", 0, 1, 2, 3) + b"\x21" + bytes(INNER)),
        bytes(FOUR / INNER),
        bytes(FOUR / UDP(sport=1, dport=4789) / Raw(b"\x08" + bytes(7)) / ether() / INNER),
        mirrored(1, bytes(ether() / INNER)),
        geneve(b"\0\0\x65\x58" + bytes(4), bytes(ether() / INNER)),
        geneve(b"\x03\0\x86\xdd" + bytes(4) + b"\0\1\2\1" + bytes(4) + b"\0\1\2\0", INNER6),
        teredo(INNER6),
        teredo(b"\0\0" + bytes(6) + INNER6),
        teredo(b"\0\x01\x02\x03" + bytes(5 + 9) + INNER6),
        teredo(b"\0\x01\0\0" + bytes(9) + b"\0\0" + bytes(6) + INNER6),
    ],
)
def test_what_is_inside_is_a_row_of_its_own(packet: bytes) -> None:
    table = decode(packet, link=LINK_RAW)
    assert table.depth.tolist() == [0, 1]
    assert (table.sport[1], table.dport[1], table.packet[1]) == (7, 8, 0)
    assert table.flags[0] & columns.ENCAPSULATES
    assert not table.flags[1] & (columns.INVALID | columns.BAD_CHECKSUM)


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=47) / Raw(b"\0\0\x08")), "gre.pkt_too_small"),
        (gre(0x0002, 0x0800, bytes(INNER)), "gre.wrong_version"),
        (gre(0x0100, 0x0800, bytes(INNER)), "gre.version0_recur"),
        (gre(0x0008, 0x0800, bytes(INNER)), "gre.version0_flags"),
        (gre(0x3000, 0x0800, bytes(4)), "gre.version0_hdr_too_big"),
        (gre(0x4000, 0x0800, bytes(4) + b"\0\x02\0\xff"), "gre.version0_malformed_sre_hdr"),
        (gre(0x4000, 0x0800, bytes(4) + b"\0\x02\0\x00" * 40 + bytes(4)), "gre.version0_malformed_sre_hdr"),
        (gre(0xA001, 0x880B, bytes(8)), "gre.version1_chksum"),
        (gre(0x6001, 0x880B, bytes(8)), "gre.version1_route"),
        (gre(0x0001, 0x880B, bytes(8)), "gre.version1_no_key"),
        (gre(0x2001, 0x0800, bytes(8)), "gre.version1_wrong_protocol"),
        (mirrored(2, bytes(ether() / INNER)), "erspan.unsupported_version"),
        (gre(0x1000, 0x88BE, bytes(4) + b"\x10\0\0\0"), "erspan.header_too_small"),
        (geneve(b"\0\0\x12\x34" + bytes(4), bytes(INNER)), "geneve.unknown_payload_type"),
    ],
)
def test_what_does_not_hold_is_named(packet: bytes, event: str) -> None:
    table = decode(packet, link=LINK_RAW)
    assert len(table) == 1 and event in table.event_names(0)


@pytest.mark.parametrize(
    "packet",
    [
        bytes(FOUR / UDP(sport=1, dport=4789) / Raw(bytes(8)) / ether() / INNER),
        bytes(FOUR / UDP(sport=1, dport=4789) / Raw(b"\x08" + bytes(7))),
        gre(0x0000, 0x88BE, bytes(ether() / INNER)),
        geneve(b"\x40\0\x08\0" + bytes(4), bytes(INNER)),
        geneve(b"\0\1\x08\0" + bytes(4), bytes(INNER)),
        geneve(b"\x02\0\x08\0" + bytes(4) + b"\0\1\2\3" + bytes(4), bytes(INNER)),
        geneve(b"\x3f\0\x08\0" + bytes(4), bytes(INNER)),
        teredo(INNER6[:39]),
        teredo(INNER6[:44]),
        teredo(b"\0\x01\xff\xff" + bytes(20)),
        teredo(b""),
        gre(0x2081, 0x880B, bytes(8)),
    ],
)
def test_what_only_looks_like_a_tunnel_carries_nothing(packet: bytes) -> None:
    table = decode(packet, link=LINK_RAW)
    assert len(table) == 1 and not table.flags[0] & columns.ENCAPSULATES
