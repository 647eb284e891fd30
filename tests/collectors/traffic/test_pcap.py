"""pcap files as scapy and tcpdump write and read them; every byte order and resolution; cut anywhere."""

import io
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.utils import PcapWriter

from collectors.traffic.block import MAX_CAPTURE
from collectors.traffic.pcap import PcapSource
from contracts.errors import Malformed

PACKETS = [bytes([number % 256]) * (14 + number * 7 % 1400) for number in range(300)]


def written(order: str, nano: bool, packets: list[bytes], link: int = 1) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    text = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, packet in enumerate(packets):
        text += struct.pack(f"{order}IIII", 1_700_000_000, number, len(packet), len(packet) + 3) + packet
    return text


def read(text: bytes, **limits: int) -> tuple[list[bytes], list[int], str]:
    source = PcapSource(io.BytesIO(text), **limits)
    packets, times, first = [], [], 1
    for block in source.blocks():
        assert block.first == first
        first += len(block)
        packets += [block.packet(index) for index in range(len(block))]
        times += block.time_ns.tolist()
    return packets, times, source.problem


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_every_byte_order_and_resolution_is_read(order: str, nano: bool) -> None:
    packets, times, problem = read(written(order, nano, PACKETS), block_packets=64)
    assert (packets, problem) == (PACKETS, "")
    assert times == [1_700_000_000 * 10**9 + number * (1 if nano else 1000) for number in range(len(PACKETS))]


def test_what_scapy_and_tcpdump_write_is_read(tmp_path: Path) -> None:
    path, again = tmp_path / "a.pcap", tmp_path / "b.pcap"
    with PcapWriter(str(path), linktype=1, nano=True) as writer:
        for packet in PACKETS:
            writer.write(packet)
    done = subprocess.run(["tcpdump", "-r", path, "-w", again], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in (path, again):
        packets, _, problem = read(name.read_bytes(), block_bytes=300_000)
        assert (packets, problem) == (PACKETS, "")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(written("<", False, PACKETS[:9]))))
def test_a_file_cut_anywhere_gives_what_is_whole_and_says_so(at: int) -> None:
    text = written("<", False, PACKETS[:9])
    if at < 24:
        with pytest.raises(Malformed):
            read(text[:at])
        return
    packets, _, problem = read(text[:at])
    assert packets == PACKETS[: len(packets)]
    whole = 24 + sum(16 + len(packet) for packet in packets)
    assert bool(problem) == (whole != at)


def test_a_wild_length_ends_the_file_where_it_stands() -> None:
    good = written("<", False, PACKETS[:3])
    for length in (MAX_CAPTURE + 1, 2**31, 2**32 - 1):
        text = good + struct.pack("<IIII", 0, 0, length, 0) + bytes(2_000_000)
        packets, _, problem = read(text)
        assert packets == PACKETS[:3]
        assert problem == f"damaged at position {len(good)}: a packet of {length} bytes"


def test_what_is_appended_to_a_block_does_not_harm_the_next() -> None:
    source = PcapSource(io.BytesIO(written("<", False, PACKETS)), block_packets=50)
    found = []
    for block in source.blocks():
        block.append(b"\xff" * 70_000)
        found += [block.packet(index) for index in range(len(block))]
    assert found == PACKETS


def test_blocks_are_full_as_long_as_the_file_goes_on() -> None:
    packets = [bytes([number % 256]) * 300 for number in range(2100)]
    source = PcapSource(io.BytesIO(written("<", False, packets)), block_bytes=MAX_CAPTURE, block_packets=500)
    found, sizes = [], []
    for block in source.blocks():
        sizes.append(len(block))
        found += [block.packet(index) for index in range(len(block))]
    assert (sizes, found, source.problem) == ([500, 500, 500, 500, 100], packets, "")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from("<>"),
    st.lists(st.integers(0, 90_000), max_size=40),
    st.integers(0, 40),
    st.sampled_from([0, MAX_CAPTURE + 1, 700_000, 2**32 - 1]),
    st.integers(1, 50),
    st.integers(0, 200_000),
)
def test_many_buffers_damaged_or_cut_anywhere_give_what_stands_before(
    order: str, sizes: list[int], at: int, wild: int, most: int, cut: int
) -> None:
    packets = [bytes([number]) * size for number, size in enumerate(sizes)]
    good = packets[:at] if wild else packets
    text = written(order, True, good)
    if wild:
        text += struct.pack(f"{order}IIII", 0, 0, wild, 0) + written(order, True, packets[at:])[24:]
    elif cut and good:
        text = text[: max(24, len(text) - cut)]
        whole, end = 0, 24
        while whole < len(good) and end + 16 + len(good[whole]) <= len(text):
            end += 16 + len(good[whole])
            whole += 1
        good = good[:whole]
    found, times, problem = read(text, block_bytes=1, block_packets=most)
    assert found == good
    assert times == [1_700_000_000 * 10**9 + number for number in range(len(good))]
    if wild:
        assert problem == f"damaged at position {len(written(order, True, good))}: a packet of {wild} bytes"
    else:
        assert bool(problem) == (len(text) != len(written(order, True, good)))
