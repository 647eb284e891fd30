"""Numbers of packets: each keyword reads the field it is named after, and narrowing a block agrees with asking packet by packet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Dot1Q

from collectors.traffic.rules.engine.fields import COLUMNS, FIELDS, compare, narrow
from collectors.traffic.rules.language.rule import FieldTest, Number
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene

V4 = IP(src="10.0.0.1", dst="10.0.0.2", ttl=33, tos=8, id=777)
PACKETS = [
    bytes(ether() / V4 / TCP(seq=11, ack=12, window=13, options=[("MSS", 1400), ("WScale", 5)]) / b"abc"),
    bytes(ether() / V4 / UDP(sport=7, dport=8) / b"abcde"),
    bytes(ether() / V4 / ICMP(type=8, code=0, id=21, seq=22)),
    bytes(ether() / V4 / ICMP(type=3, code=1)),
    bytes(ether() / IPv6(src="::1", dst="::2", hlim=44) / ICMPv6PacketTooBig(mtu=1280)),
    bytes(ether() / Dot1Q(vlan=5) / V4 / UDP(sport=7, dport=8)),
]
WANTED: dict[str, list[int | None]] = {
    "ttl": [33, 33, 33, 33, 44, 33],
    "tos": [8, 8, 8, 8, 0, 8],
    "id": [777, 777, 777, 777, None, 777],
    "fragoffset": [0, 0, 0, 0, 0, 0],
    "tcp.seq": [11, None, None, None, None, None],
    "tcp.ack": [12, None, None, None, None, None],
    "tcp.window": [13, None, None, None, None, None],
    "tcp.mss": [1400, None, None, None, None, None],
    "tcp.wscale": [5, None, None, None, None, None],
    "itype": [None, None, 8, 3, 2, None],
    "icode": [None, None, 0, 1, 0, None],
    "icmp_id": [None, None, 21, None, None, None],
    "icmp_seq": [None, None, 22, None, None, None],
    "icmpv6.mtu": [None, None, None, None, 1280, None],
    "vlan.layers": [0, 0, 0, 0, 0, 1],
    "flow.age": [0, 0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("name", WANTED)
def test_a_keyword_reads_its_field(name: str) -> None:
    assert [FIELDS[name](packet) for packet in scene.seen(*PACKETS)] == WANTED[name]


def test_the_size_of_the_payload() -> None:
    assert [FIELDS["dsize"](packet) for packet in scene.seen(*PACKETS)][:2] == [3, 5]


def test_every_keyword_is_tested() -> None:
    assert set(FIELDS) == {*WANTED, "dsize"}


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">=", "in", "!in"])
@given(st.integers(0, 12), st.integers(0, 12))
def test_comparing_many_is_comparing_each(op: str, low: int, high: int) -> None:
    number, values = Number(op, low, high), range(13)
    found = compare(number, np.array(values, np.int64))
    assert found is not None and found.tolist() == [number.holds(value) for value in values]


@given(st.sampled_from(sorted(COLUMNS)), st.sampled_from(["=", "<", ">=", "!="]), st.sampled_from([0, 3, 8, 11, 33]))
def test_narrowing_never_loses_a_packet(name: str, op: str, value: int) -> None:
    packets = scene.seen(*PACKETS)
    number = Number(op, value)
    rows = narrow(FieldTest(name, number), packets[0].table)
    assert rows is not None
    for packet in packets:
        have = FIELDS[name](packet)
        assert rows[packet.row] or have is None or not number.holds(have)


def test_comparisons_of_bits_and_unknown_fields_are_left_open() -> None:
    table = scene.seen(*PACKETS)[0].table
    assert narrow(FieldTest("ttl", Number("&", 1)), table) is None
    assert narrow(FieldTest("tcp.mss", Number("=", 1)), table) is None
