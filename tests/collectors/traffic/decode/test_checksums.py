"""Sums against RFC 1071 done word by word, wherever the range begins and ends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from collectors.traffic.block import CHECKSUM_VALID, PAD, from_packets
from collectors.traffic.decode import table as columns
from collectors.traffic.decode.checksums import Sums
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from tests.collectors.traffic.oracle import decode, ether


def slowly(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    return sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)) % 65535


@given(
    st.binary(min_size=1, max_size=300),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=5),
)
def test_sums_are_those_of_the_rfc(data: bytes, ranges: list[tuple[int, int]]) -> None:
    array = np.zeros(len(data) + PAD, np.uint8)
    array[: len(data)] = np.frombuffer(data, np.uint8)
    array[len(data) :] = 0xA5
    sums = Sums()
    sums.load(array, len(data))
    pairs = [tuple(sorted((min(one, len(data)), min(other, len(data))))) for one, other in ranges]
    found = sums.over(np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs]))
    assert found.tolist() == [slowly(data[start:end]) for start, end in pairs]


def test_one_flipped_bit_is_found_in_every_header_and_payload() -> None:
    frame = bytes(ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / Raw(b"payload"))
    for at in range(14, len(frame)):
        if at in (14, 16, 17, 20, 21, 23, 46):
            continue  # version, lengths, fragment field, protocol and data offset make another packet of it
        changed = bytearray(frame)
        changed[at] ^= 4
        flags = decode(bytes(changed)).flags[0]
        assert bool(flags & columns.BAD_IP_CHECKSUM) == (at < 34), at
        assert bool(flags & columns.BAD_CHECKSUM) == (at >= 26), at


def test_udp_without_a_checksum_is_unknown_and_a_card_is_believed() -> None:
    assert decode(bytes(ether() / IP(src="1.1.1.1", dst="2.2.2.2") / UDP(chksum=0))).flags[0] & columns.CHECKSUM_UNKNOWN
    block = from_packets([bytes(ether() / IP(src="1.1.1.1", dst="2.2.2.2") / TCP(chksum=1))])
    block.flags[:] = CHECKSUM_VALID
    flags = Decoder(DecodeOptions()).decode(block).flags[0]
    assert not flags & (columns.CHECKSUM_UNKNOWN | columns.BAD_CHECKSUM)
