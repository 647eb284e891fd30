"""One packet's options."""

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from collectors.traffic.streams.segment import MAX_SCALE, Segment


def read(options: bytes) -> Segment:
    """Return a segment with options read."""
    segment = Segment(False, 2, 0, 0, 0, b"", 0, 0)
    segment.read_options(options)
    return segment


def built(options: list[tuple[object, object]]) -> bytes:
    """Return options as scapy writes them."""
    return bytes(TCP(options=options))[20:]


def test_options_that_matter_are_read() -> None:
    segment = read(built([("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 9)), ("NOP", None), ("WScale", 15)]))
    assert (segment.stamp, segment.echo, segment.scale, segment.sack_permitted) == (7, 9, MAX_SCALE, True)
    usual = read(built([("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]))
    assert (usual.stamp, usual.echo, usual.scale) == (1, 2, None)
    assert read(built([("SAck", (10, 20, 30, 40))])).sacks == [(10, 20), (30, 40)]
    assert read(bytes([19, 18]) + bytes(16)).signed
    assert read(bytes([34, 2, 1, 1])).fast_open
    assert read(bytes([254, 4, 0xF9, 0x89])).fast_open
    assert not read(bytes([254, 4, 0xF9, 0x88])).fast_open


@given(st.binary(max_size=40))
def test_options_whatever_raise_nothing(options: bytes) -> None:
    read(options)


def test_time_is_whole_seconds() -> None:
    assert Segment(False, 0, 0, 0, 0, b"abc", 5, 2_999_999_999).seconds == 2
