"""Cuts a block that spans long: a capture of a quiet network puts an hour into one block, and detectors count by seconds."""

from collections.abc import Iterator

import numpy as np

from collectors.traffic.block import Block

SPAN_NS = 5_000_000_000


def slices(block: Block, span_ns: int = SPAN_NS) -> Iterator[Block]:
    """Yield a block's packets in blocks of at most `span_ns`. They share its memory: be done with one before asking for the next."""
    if not len(block):
        yield block
        return
    # Packets that are out of order belong to the latest time that was seen.
    times = np.maximum.accumulate(block.time_ns)
    begin = 0
    while begin < len(block):
        end = int(np.searchsorted(times, times[begin] + span_ns, side="right"))
        yield block if not begin and end == len(block) else part(block, begin, end)
        begin = end


def part(block: Block, begin: int, end: int) -> Block:
    """Return the packets from `begin` on and before `end` as a block that shares the memory."""
    return Block(
        block.data,
        block.used,
        block.offset[begin:end],
        block.captured[begin:end],
        block.wire[begin:end],
        block.time_ns[begin:end],
        block.link[begin:end],
        block.first + begin,
        block.interface[begin:end],
        block.flags[begin:end],
        block.vlan[begin:end],
    )
