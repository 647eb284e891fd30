"""Blocks: what was put in comes out, and what is appended finds room."""

import numpy as np

from collectors.traffic.block import LINK_RAW, PAD, ROOM, from_packets


def test_packets_come_out_as_they_were_put_in() -> None:
    block = from_packets([b"one", b"", b"three"], LINK_RAW, [5, 6, 7])
    assert [block.packet(index) for index in range(len(block))] == [b"one", b"", b"three"]
    assert block.time_ns.tolist() == [5, 6, 7]
    assert set(block.link.tolist()) == {LINK_RAW}


def test_appended_pieces_lie_behind_and_may_be_read_past() -> None:
    block = from_packets([b"abc"])
    for size in (10, ROOM, 3 * ROOM):
        at = block.append(b"x" * size)
        assert block.data[at : at + size].tobytes() == b"x" * size
        assert len(block.data) >= block.used + PAD
    assert block.packet(0) == b"abc"
    assert isinstance(block.data, np.ndarray)
