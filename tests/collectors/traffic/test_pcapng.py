"""pcapng: sections, interfaces, packet blocks of three kinds, and what editcap makes of a pcap file."""

import io
import struct
import subprocess
from pathlib import Path

import pytest

from collectors.traffic.pcapng import PcapngSource
from contracts.errors import Malformed
from tests.collectors.traffic.test_pcap import PACKETS, written


def piece(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str) -> bytes:
    return piece(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int = 1, resolution: int = 6, offset_s: int = 0, snap: int = 0) -> bytes:
    options = (
        struct.pack(f"{order}HHB3x", 9, 1, resolution)
        + struct.pack(f"{order}HHq", 14, 8, offset_s)
        + struct.pack(f"{order}HH", 0, 0)
    )
    return piece(order, 1, struct.pack(f"{order}HHI", link, 0, snap) + options)


def enhanced(order: str, packet: bytes, ticks: int, number: int = 0) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet) + 1)
    return piece(order, 6, head + packet)


def read(text: bytes, **limits: int) -> tuple[list[bytes], list[int], list[int], str]:
    source = PcapngSource(io.BytesIO(text), **limits)
    packets, times, links = [], [], []
    for block in source.blocks():
        packets += [block.packet(index) for index in range(len(block))]
        times += block.time_ns.tolist()
        links += block.link.tolist()
    return packets, times, links, source.problem


@pytest.mark.parametrize("order", ["<", ">"])
def test_sections_interfaces_and_resolutions_are_kept_apart(order: str) -> None:
    text = section(order) + interface(order, 1, 6) + interface(order, 101, 9, 100) + interface(order, 113, 0x80 | 10)
    text += (
        enhanced(order, b"micro", 1_500_000)
        + enhanced(order, b"nano!", 7, 1)
        + enhanced(order, b"binary", 1024 + 512, 2)
    )
    text += piece(order, 5, b"statistics") + piece(order, 2, struct.pack(f"{order}HHIIII", 1, 9, 0, 3, 3, 3) + b"old")
    other = "<" if order == ">" else ">"
    text += (
        section(other)
        + interface(other, 276)
        + piece(other, 3, struct.pack(f"{other}I", 6) + b"simple")
        + enhanced(other, b"last", 2)
    )
    packets, times, links, problem = read(text)
    assert packets == [b"micro", b"nano!", b"binary", b"old", b"simple", b"last"]
    assert times == [1_500_000_000, 100_000_000_007, 1_500_000_000, 100_000_000_003, 0, 2000]
    assert links == [1, 101, 113, 101, 276, 276]
    assert problem == ""


def test_every_resolution_that_a_file_can_name_gives_the_time_that_exact_numbers_give() -> None:
    for resolution in range(256):
        units = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        for ticks in (0, 1, 283099365087608, (1 << 63) - 1):
            _, times, _, problem = read(section("<") + interface("<", 1, resolution) + enhanced("<", b"packet", ticks))
            exact = ticks * 1_000_000_000 // units
            assert problem == ""
            assert abs(times[0] - exact) <= 1 + exact // 10**15 or (times[0] >= 1 << 61 and exact > times[0]), (
                resolution
            )


def test_what_editcap_makes_of_a_pcap_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(written("<", True, PACKETS))
    subprocess.run(["editcap", "-F", "pcapng", tmp_path / "a.pcap", tmp_path / "b.pcapng"], check=True)
    packets, times, _, problem = read((tmp_path / "b.pcapng").read_bytes(), block_packets=32)
    assert (packets, problem) == (PACKETS, "")
    assert times == [1_700_000_000 * 10**9 + number for number in range(len(PACKETS))]


def test_a_file_cut_anywhere_gives_what_is_whole_and_says_so() -> None:
    head = section("<") + interface("<")
    text = head + b"".join(enhanced("<", packet, 1) for packet in PACKETS[:4])
    for at in range(28, len(text), 3):
        packets, _, _, problem = read(text[:at])
        assert packets == PACKETS[: len(packets)]
        whole = len(head) + sum(len(enhanced("<", packet, 1)) for packet in packets)
        assert bool(problem) == (at not in (28, whole))


@pytest.mark.parametrize(
    "damage",
    [
        struct.pack("<III", 6, 13, 0),
        struct.pack("<III", 6, 12, 12),
        struct.pack("<III", 6, 0xFFFFFFF0, 0),
        piece("<", 6, struct.pack("<IIIII", 7, 0, 0, 4, 4) + b"none"),
        piece("<", 6, struct.pack("<IIIII", 0, 0, 0, 400, 4) + b"long"),
        piece("<", 0x0A0D0D0A, bytes(16)),
    ],
)
def test_damage_ends_the_file_where_it_stands(damage: bytes) -> None:
    head = section("<") + interface("<") + enhanced("<", b"good", 1)
    packets, _, _, problem = read(head + damage + enhanced("<", b"after", 1))
    assert packets == [b"good"]
    assert problem.startswith(f"damaged at position {len(head)}: ")


def test_a_long_block_without_packets_is_passed_over() -> None:
    text = section("<") + interface("<") + piece("<", 4, bytes(9_000_000)) + enhanced("<", b"behind", 1)
    assert read(text)[0] == [b"behind"]
    assert "ends inside" in read(text[:5_000_000])[3]


def test_other_files_are_refused() -> None:
    with pytest.raises(Malformed, match="not a pcapng file"):
        PcapngSource(io.BytesIO(b"\x7fELF" + bytes(99)))
