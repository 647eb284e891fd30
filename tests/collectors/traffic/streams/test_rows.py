"""TCP packets as arrays."""

import struct
from typing import Any

import numpy as np
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.streams.rows import Rows, rows_of


def rows(packets: list[bytes]) -> Rows:
    """Return the TCP rows of packets."""
    block = from_packets(packets)
    table = Decoder(DecodeOptions()).decode(block)
    return rows_of(block, table, FlowTable(FlowOptions(), bytes(64)).update(block, table))


def segment(port: int, **fields: Any) -> bytes:
    """Return a TCP packet."""
    return bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=port, dport=80, **fields) / b"data")


def test_packets_stand_by_flow_and_in_order_with_their_options() -> None:
    made = rows(
        [
            segment(1, seq=1, flags="S", options=[("MSS", 1460), ("WScale", 9), ("Timestamp", (5, 6))]),
            bytes(Ether() / IP() / UDP()),
            segment(2, seq=2, flags="A"),
            segment(1, seq=3, flags="PA", options=[("NOP", None), ("NOP", None), ("Timestamp", (7, 8))]),
        ]
    )
    assert len(made) == 3
    first = int(np.flatnonzero(made.seq == 1)[0])
    assert made.seq[first : first + 2].tolist() == [1, 3]
    assert made.stamp[first : first + 2].tolist() == [5, 7]
    assert made.echo[first : first + 2].tolist() == [6, 8]
    assert made.scale[first : first + 2].tolist() == [9, -1]
    assert not made.odd.any()
    rest = made.rest(np.array([int(made.group[first])]), np.array([first + 1]))
    assert (rest.seq.tolist(), rest.starts.tolist(), rest.ends.tolist(), rest.new.tolist()) == ([3], [0], [1], [False])


def test_what_is_out_of_the_ordinary_is_marked() -> None:
    assert rows([segment(1, flags="U")]).odd.all()
    assert rows([segment(1, flags="A", options=[(19, bytes(16))])]).odd.all()
    wrong = bytearray(segment(1, flags="A"))
    wrong[-1] ^= 1
    assert rows([bytes(wrong)]).odd.all()
    assert rows([segment(1, flags="A", options=[("SAck", (1, 2))])]).odd.tolist() == [False]


def test_no_tcp_is_no_rows() -> None:
    assert len(rows([bytes(Ether() / IP() / UDP())])) == 0
    assert struct.calcsize(">I") == 4
