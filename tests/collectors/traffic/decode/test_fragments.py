"""Fragments: any order, both families, overlaps, timeouts, bounds, and what no system would take."""

import random

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN, fragment6
from scapy.packet import Packet, Raw

from collectors.traffic.block import from_packets
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.decode.fragments import FragmentLimits
from collectors.traffic.decode.overlaps import Policy
from tests.collectors.traffic.oracle import decode, ether

SECOND = 10**9
BODY = bytes(range(256)) * 6


def feed(decoder: Decoder, packets: list[Packet], at_ns: int = 0) -> columns.Table:
    frames = [bytes(ether() / packet) for packet in packets]
    return decoder.decode(from_packets(frames, time_ns=[at_ns] * len(frames)))


@pytest.mark.parametrize("seed", range(5))
def test_ipv6_fragments_come_together_in_any_order(seed: int) -> None:
    whole = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
    pieces = fragment6(whole / IPv6ExtHdrFragment(id=9) / UDP(sport=5, dport=6) / Raw(BODY), 500)
    random.Random(seed).shuffle(pieces)
    table = feed(Decoder(DecodeOptions()), pieces)
    assert len(table) == len(pieces) + 1
    assert (table.protocol[-1], table.sport[-1], table.payload_len[-1]) == (17, 5, len(BODY))
    assert not table.flags[-1] & (columns.INVALID | columns.BAD_CHECKSUM)


def piece(offset: int, body: bytes, more: bool, identifier: int = 1) -> Packet:
    return IP(
        src="10.0.0.1", dst="10.0.0.2", id=identifier, proto=253, frag=offset // 8, flags="MF" if more else 0
    ) / Raw(body)


@pytest.mark.parametrize(
    ("policy", "wanted"), [(Policy.FIRST, b"AAAAAAAABBBBBBBB"), (Policy.LAST, b"CCCCCCCCBBBBBBBB")]
)
def test_overlaps_are_resolved_by_the_policy_and_named(policy: Policy, wanted: bytes) -> None:
    decoder = Decoder(DecodeOptions(fragments=FragmentLimits(ipv4=policy)))
    frames = [
        bytes(ether() / part)
        for part in (piece(0, b"A" * 8, True), piece(0, b"C" * 8, True), piece(8, b"B" * 8, False))
    ]
    block = from_packets(frames)
    table = decoder.decode(block)
    at = int(table.payload[-1])
    assert block.data[at : at + 16].tobytes() == wanted
    assert table.event_names(1) == ("ipv4.frag_overlap",)
    assert decoder.fragments.counts.overlaps == 1


def test_pieces_behind_the_end_are_left_out() -> None:
    table = feed(
        Decoder(DecodeOptions()), [piece(8, b"B" * 8, False), piece(64, b"C" * 8, True), piece(0, b"A" * 8, True)]
    )
    assert table.payload_len[-1] == 16


def test_what_waits_too_long_is_given_up() -> None:
    decoder = Decoder(DecodeOptions())
    feed(decoder, [piece(0, b"A" * 8, True)])
    table = feed(decoder, [piece(8, b"B" * 8, False)], 61 * SECOND)
    assert len(table) == 1 and decoder.fragments.counts.timed_out == 1


def test_datagrams_under_way_are_bounded_in_number_and_memory() -> None:
    limits = FragmentLimits(datagrams=10, memory_bytes=20_000)
    decoder = Decoder(DecodeOptions(fragments=limits))
    feed(decoder, [piece(0, b"A" * 8, True, number) for number in range(100)])
    assert len(decoder.fragments) == 10 and decoder.fragments.counts.evicted == 90
    feed(decoder, [piece(0, b"A" * 1000, True, 200 + number) for number in range(100)])
    assert decoder.fragments.memory_bytes <= 20_000
    feed(decoder, [piece(0, b"A" * 1000, True, 1) for _ in range(100)])
    assert decoder.fragments.memory_bytes <= 20_000


def test_a_datagram_that_would_be_too_large_is_refused_and_named() -> None:
    decoder = Decoder(DecodeOptions())
    table = feed(decoder, [piece(65528, b"A" * 100, False)])
    assert table.event_names(0) == ("ipv4.frag_pkt_too_large",)
    assert decoder.fragments.counts.refused == 1


def test_other_datagrams_are_not_mixed_in() -> None:
    one, other = (
        fragment(IP(src=source, dst="10.0.0.9", id=3) / ICMP() / Raw(BODY), 600) for source in ("10.0.0.1", "10.0.0.2")
    )
    table = decode(*(bytes(ether() / part) for pair in zip(one, other, strict=True) for part in pair))
    assert (table.flags & columns.REASSEMBLED != 0).sum() == 2
    assert not (table.flags & columns.BAD_CHECKSUM).any()
