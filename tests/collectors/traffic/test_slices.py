"""Blocks cut by time: nothing lost, nothing doubled, order and numbers kept."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.block import from_packets
from collectors.traffic.slices import slices


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60_000_000_000), max_size=60))
def test_pieces_are_the_block_and_span_no_more_than_allowed(times: list[int]) -> None:
    packets = [bytes([number]) * (number + 14) for number in range(len(times))]
    block = from_packets(packets, time_ns=times)
    pieces = list(slices(block, 5_000_000_000))
    assert [piece.packet(n) for piece in pieces for n in range(len(piece))] == packets
    assert [int(piece.first) for piece in pieces] == np.cumsum([1, *(len(piece) for piece in pieces[:-1])]).tolist()
    ahead = np.maximum.accumulate(block.time_ns) if len(block) else block.time_ns
    at = 0
    for piece in pieces:
        if len(piece):
            assert ahead[at + len(piece) - 1] - ahead[at] <= 5_000_000_000
        at += len(piece)


def test_a_short_block_is_handed_on_as_it_is() -> None:
    block = from_packets([b"x" * 20] * 3)
    assert list(slices(block)) == [block]
