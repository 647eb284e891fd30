"""Bytes that are said again while the first of them still wait: the same ones change nothing, others are a matter for the careful way."""

import numpy as np

from collectors.traffic.block import Block
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.fast import Prefix
from collectors.traffic.streams.runs import Held


def compare(block: Block, prefix: Prefix, known: SessionColumns, held: Held) -> None:
    """End each group of a prefix at the first packet that says other bytes than before."""
    rows = prefix.rows
    said = (rows.length > 0) & ~prefix.passed & ~prefix.again
    for place in np.flatnonzero(prefix.again & (np.arange(len(rows)) < prefix.end[rows.group])).tolist():
        group, way = int(rows.group[place]), int(rows.way[place])
        if place >= prefix.end[group]:
            continue
        start, length, first = int(prefix.at[place]), int(rows.length[place]), int(rows.starts[group])
        before = slice(first, place)
        offset, stop = prefix.offset[before], prefix.offset[before] + rows.length[before]
        mine = said[before] & (rows.way[before] == way) & (offset < start + length) & (stop > start)
        memory = block.data.data
        slot = int(rows.flow[group])
        earlier = _waiting(known, held, slot, way, start, start + length)
        parts = [earlier]
        for index in (np.flatnonzero(mine) + first).tolist():
            low = max(start - int(prefix.offset[index]), 0)
            high = min(start + length - int(prefix.offset[index]), int(rows.length[index]))
            at = int(rows.position[index])
            parts.append(bytes(memory[at + low : at + high]))
        at = int(rows.position[place])
        if b"".join(parts) != memory[at : at + length]:
            prefix.end[group] = place


def _waiting(known: SessionColumns, held: Held, slot: int, way: int, start: int, stop: int) -> bytes:
    """Return what waits since an earlier block between two offsets."""
    waiting = held.waiting.get(slot * 2 + way, b"")
    released = int(known.pairs["released"][way, slot])
    return waiting[max(start - released, 0) : max(stop - released, 0)]
