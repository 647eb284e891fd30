"""The decoder against scapy: the same fields for what scapy makes, and no exception for what mutation makes of it."""

import random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, UDPerror, fragment
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw

from collectors.traffic.block import CHECKSUM_NOT_READY, VLAN_STRIPPED, from_packets
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from tests.collectors.traffic.oracle import decode, ether, expected, frames, number, row


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(frames(), min_size=1, max_size=6))
def test_decodes_what_scapy_dissects(packets: list[Packet]) -> None:
    wire = [bytes(packet) for packet in packets]
    table = decode(*wire)
    for index, raw in enumerate(wire):
        found = expected(Ether(raw))
        rows = np.flatnonzero(table.packet == index)
        assert len(rows) == len(found)
        for place, wanted in zip(rows.tolist(), found, strict=True):
            assert row(table, place, wanted) == wanted, Ether(raw)
            assert not table.flags[place] & (columns.INVALID | columns.BAD_CHECKSUM | columns.BAD_IP_CHECKSUM), (
                raw.hex()
            )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(frames(), min_size=1, max_size=4), st.integers(0, 2**32))
def test_no_mutation_raises_or_reaches_beyond_its_packet(packets: list[Packet], seed: int) -> None:
    chance = random.Random(seed)
    wire = [mutate(bytes(packet), chance) for packet in packets]
    table = decode(*wire)
    block = from_packets(wire)
    bounded(table, block.offset, block.captured)
    # What a packet decodes to does not depend on its neighbours.
    for index, raw in enumerate(wire):
        alone = decode(raw)
        mine = np.flatnonzero(table.packet == index)
        assert len(alone) == len(mine)
        for name in (
            "family",
            "protocol",
            "sport",
            "dport",
            "flags",
            "payload_len",
            "src_lo",
            "dst_hi",
            "ip_len",
            "seq",
            "depth",
        ):
            assert (getattr(alone, name) == getattr(table, name)[mine]).all(), (name, raw.hex())
        assert (alone.events == table.events[mine]).all(), raw.hex()


def mutate(raw: bytes, chance: random.Random) -> bytes:
    """Return a packet with some bytes changed, cut out or put in, or its end cut off."""
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 6)):
        if not changed:
            break
        at = chance.randrange(len(changed))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            del changed[at : at + chance.randrange(1, 8)]
        elif kind == 2:
            changed[at:at] = chance.randbytes(chance.randrange(1, 8))
        elif chance.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def bounded(table: columns.Table, offset: np.ndarray, captured: np.ndarray) -> None:
    """Check that every position lies inside the row's packet (reassembled rows lie elsewhere)."""
    own = (table.flags & columns.REASSEMBLED) == 0
    start, end = offset[table.packet], (offset + captured)[table.packet]
    for name in ("l2", "l3", "l4", "payload"):
        position = getattr(table, name)
        there = own & (position >= 0)
        assert (position[there] >= start[there]).all() and (position[there] <= end[there]).all(), name
    there = own & (table.payload >= 0)
    assert (table.payload_len[there] >= 0).all()
    assert ((table.payload + table.payload_len)[there] <= end[there]).all()


def test_fragments_come_together_as_a_row_of_their_own() -> None:
    whole = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=1000, dport=2000) / Raw(b"x" * 3000)
    pieces = [bytes(ether() / piece) for piece in fragment(whole, fragsize=800)]
    random.Random(1).shuffle(pieces)
    table = decode(*pieces)
    assert len(table) == len(pieces) + 1
    assert (table.flags[: len(pieces)] & columns.FRAGMENT).all()
    assert not table.payload_len[: len(pieces)].any()  # what a piece carries is of the whole alone
    assert row(table, len(pieces), ("sport", "dport", "payload_len", "ip_id")) == {
        "sport": 1000,
        "dport": 2000,
        "payload_len": 3000,
        "ip_id": 7,
    }
    assert table.flags[len(pieces)] & columns.REASSEMBLED
    assert not table.flags[len(pieces)] & columns.BAD_CHECKSUM
    assert table.packet[len(pieces)] == len(pieces) - 1


def test_fragments_come_together_across_blocks() -> None:
    whole = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=1, dport=2) / Raw(bytes(range(256)) * 8)
    decoder = Decoder(DecodeOptions())
    rows = 0
    for piece in fragment(whole, fragsize=512):
        block = from_packets([bytes(ether() / piece)])
        table = decoder.decode(block)
        rows += len(table)
    at, length = int(table.payload[-1]), int(table.payload_len[-1])
    assert block.data[at : at + length].tobytes() == bytes(range(256)) * 8
    assert rows == len(fragment(whole, fragsize=512)) + 1
    assert len(decoder.fragments) == 0


def test_layers_end_at_a_bound_and_say_so() -> None:
    packet: Packet = UDP(sport=5, dport=6)
    for _ in range(7):
        packet = (
            IP(src="10.0.0.1", dst="10.0.0.2") / GRE() / packet
            if packet.name != "UDP"
            else IP(src="1.1.1.1", dst="2.2.2.2") / packet
        )
    table = decode(bytes(ether() / packet))
    assert table.depth.max() == 4
    assert table.event_names(int(np.argmax(table.depth))) == ("too_many_layers",)


def test_an_error_carries_the_header_that_it_quotes() -> None:
    quoted = IPerror(src="10.0.0.9", dst="10.0.0.1") / UDPerror(sport=1234, dport=53)
    table = decode(bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.9") / ICMP(type=3, code=3) / quoted))
    assert table.quotes.rows.tolist() == [0]
    fields = table.quotes.fields[0]
    assert (fields["sport"], fields["dport"], fields["protocol"]) == (1234, 53, 17)
    assert fields["src_lo"] == number("10.0.0.9")[1]
    assert ICMPerror is not None


def test_offloaded_checksums_are_unknown_not_bad() -> None:
    frame = bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(chksum=0x1234))
    assert decode(frame).flags[0] & columns.BAD_CHECKSUM
    block = from_packets([frame])
    block.flags[:] = CHECKSUM_NOT_READY
    flags = Decoder(DecodeOptions()).decode(block).flags[0]
    assert flags & columns.CHECKSUM_UNKNOWN and not flags & columns.BAD_CHECKSUM
    flags = decode(frame, options=DecodeOptions(verify_checksums=False)).flags[0]
    assert flags & columns.CHECKSUM_UNKNOWN and not flags & columns.BAD_CHECKSUM


def test_a_stripped_tag_counts_as_the_outermost() -> None:
    block = from_packets([bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP())])
    block.flags[:] = VLAN_STRIPPED
    block.vlan[:] = 0x2000 | 42
    table = Decoder(DecodeOptions()).decode(block)
    assert (table.vlan[0], table.vlan_count[0]) == (42, 1)


def test_a_packet_cut_by_the_capture_is_truncated_not_malformed() -> None:
    block = from_packets(
        [bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=7, dport=9) / Raw(b"x" * 500))]
    )
    block.captured[:] = 96
    table = Decoder(DecodeOptions()).decode(block)
    assert table.flags[0] & columns.TRUNCATED and not table.flags[0] & columns.INVALID
    assert (table.sport[0], table.payload_len[0]) == (7, 96 - 14 - 20 - 20)
    assert table.event_names(0) == ("ipv4.trunc_pkt",)


def test_no_packets_make_an_empty_table() -> None:
    assert len(decode()) == 0
