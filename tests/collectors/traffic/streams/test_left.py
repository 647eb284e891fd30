"""Packets that are looked at one by one, as lists."""

import struct

import numpy as np

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.streams.left import Left
from collectors.traffic.streams.rows import rows_of
from tests.collectors.traffic.streams.talk import ACK, PSH, URG, packet

STAMPS = b"\x01\x01\x08\x0a" + struct.pack(">II", 7, 5)
SACK = b"\x01\x01\x05\x0a" + struct.pack(">II", 20, 30)


def left(packets: list[bytes], start: int = 0) -> Left:
    """Return what is left of one flow from a packet on."""
    block = from_packets(packets, time_ns=[number * 1_500_000_000 for number in range(len(packets))])
    table = Decoder(DecodeOptions(verify_checksums=False)).decode(block)
    rows = rows_of(block, table, FlowTable(FlowOptions()).update(block, table))
    return Left(block, table, rows, np.array([start]), rows.ends)


def test_fields_are_those_of_the_packets_from_the_start_on() -> None:
    made = left([packet(False, ACK, 5), packet(True, PSH | ACK, 9, 6, b"data", options=STAMPS)], 1)
    assert (made.way, made.seq, made.ack, made.length, made.stamp) == ([1], [9], [6], [4], [7])
    assert (made.begins, made.ends, made.row, made.seconds) == ([0], [1], [1], [1])
    assert made.data(0) == b"data"


def test_only_packets_without_oddities_are_plain() -> None:
    packets = [
        packet(False, ACK, 5),
        packet(False, ACK, 5, options=STAMPS),
        packet(False, ACK, 5, options=SACK),
        packet(False, ACK | URG, 5, 0, b"now", urgent=2),
    ]
    assert left(packets).plain == [True, True, False, False]


def test_a_segment_has_options_and_the_urgent_pointer() -> None:
    made = left([packet(False, ACK | URG, 5, 0, b"now", urgent=2, options=SACK), packet(True, ACK, 5, options=STAMPS)])
    first, second = made.segment(0), made.segment(1)
    assert (first.urgent, first.sacks, first.data, first.stamp) == (2, [(20, 30)], b"now", None)
    assert (second.to_client, second.stamp, second.echo, second.broken) == (True, 7, 5, False)
