"""The bytes that became readable by packets that are all as expected: cut into runs for all flows of a block at once."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from collectors.traffic.block import I64, Block, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.streams import news
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.fast import Pair, Prefix
from collectors.traffic.streams.news import Run
from collectors.traffic.streams.options import StreamOptions

_APART: Final = 1 << 44
_NEVER: Final = 1 << 60
_RST: Final = 4


@dataclass(slots=True)
class Held:
    """Bytes that wait to be acknowledged, by `slot * 2 + way`, and how many there are in all."""

    waiting: dict[int, bytes]
    size: int = 0

    def put(self, key: int, data: bytes) -> None:
        """Let bytes wait."""
        self.waiting[key] = data
        self.size += len(data)

    def take(self, key: int) -> bytes:
        """Take out what waits."""
        data = self.waiting.pop(key, b"")
        self.size -= len(data)
        return data


def joined(runs: list[Run]) -> list[Run]:
    """Join the runs of one flow that follow each other without the other side's between them: each is released with its last packet."""
    found: list[Run] = []
    slot, to_client, offset, data, gap, row, time_ns, end = runs[0]
    parts, behind = [data], offset + len(data)
    for run in runs[1:]:
        if run.to_client != to_client or run.gap or run.offset != behind or end:
            found.append(Run(slot, to_client, offset, _whole(parts), gap, row, time_ns, end))
            to_client, offset, gap, parts, behind = run.to_client, run.offset, run.gap, [], run.offset
        parts.append(run.data)
        row, time_ns, end = run.row, run.time_ns, run.end
        behind += len(run.data)
    found.append(Run(slot, to_client, offset, _whole(parts), gap, row, time_ns, end))
    return found


def _whole(parts: list[bytes]) -> bytes:
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Readable:
    """What became readable behind each row of a prefix, for both directions: `upto` (offsets), and where directions `end` and `why`."""

    __slots__ = ("data", "end", "inside", "upto", "why")

    def __init__(self, prefix: Prefix, known: SessionColumns, options: StreamOptions) -> None:
        rows, group, flow = prefix.rows, prefix.rows.group, prefix.rows.flow
        places = np.arange(len(rows))
        self.inside: Bools = (places < prefix.end[group]) & (prefix.stage >= 0)
        reset = self.inside & (prefix.stage == 3) & ((rows.flags & _RST) != 0)
        self.data: Pair = (prefix.sent[0] - prefix.fins[0], prefix.sent[1] - prefix.fins[1])
        upto, ends, whys = [], [], []
        for way in (0, 1):
            kept = np.minimum(self.data[way], options.depth)
            released = known.pairs["released"][way][flow][group]
            given = kept if options.inline else np.minimum(kept, prefix.acks[way])
            given = np.maximum(np.where(reset, kept, given), released)
            upto.append(given)
            over = (prefix.fins[way] > 0) & (given >= self.data[way]) & (prefix.acks[way] >= self.data[way])
            deep = given >= options.depth
            stop = self.inside & (over | deep | reset) & ~known.ended[way][flow][group]
            ends.append(_first(stop, prefix))
            at = np.minimum(ends[way], len(rows) - 1)
            why = np.where(deep[at], news.DEPTH, np.where(over[at], news.FIN, news.RESET))
            whys.append(np.where(ends[way] < len(rows), why, news.OPEN))
        self.upto: Pair = (upto[0], upto[1])
        self.end: Pair = (ends[0], ends[1])
        self.why: Pair = (whys[0], whys[1])


def _first(marks: Bools, prefix: Prefix) -> I64:
    """Return the first row of each group that is marked; the number of rows where none is."""
    count = len(marks)
    return np.asarray(np.minimum.reduceat(np.where(marks, np.arange(count), count), prefix.rows.starts))


@dataclass(slots=True)
class _Cuts:
    """Runs to be made: group, way, first and last offset, and the row (of the prefix) that releases them; `end` why the direction ends."""

    group: I64
    way: I64
    start: I64
    stop: I64
    at: I64
    end: I64


def hand_out(
    block: Block,
    table: Table,
    prefix: Prefix,
    readable: Readable,
    known: SessionColumns,
    held: Held,
    options: StreamOptions,
) -> list[Run]:
    """Return the runs of a prefix, in the order of the rows that release them; and let wait what none releases yet."""
    rows = prefix.rows
    cuts = _cut(prefix, readable, known, options)
    segments = _Segments(block, prefix, readable)
    order = np.argsort(rows.row[cuts.at], kind="stable")
    slots = rows.flow[cuts.group]
    data = segments.pieces(cuts, slots, known, held)
    row = rows.row[cuts.at]
    columns = (
        slots[order].tolist(),
        (cuts.way[order] == 1).tolist(),
        cuts.start[order].tolist(),
        [data[place] for place in order.tolist()],
        [0] * len(order),
        row[order].tolist(),
        block.time_ns[table.packet[row[order]]].tolist(),
        cuts.end[order].tolist(),
    )
    segments.keep(prefix, readable, known, held, options)
    return list(map(partial(tuple.__new__, Run), zip(*columns, strict=True)))


def _cut(prefix: Prefix, readable: Readable, known: SessionColumns, options: StreamOptions) -> _Cuts:
    """Return the runs: where what is readable grows, and goes on growing without the other side's growing between."""
    rows = prefix.rows
    parts: list[tuple[I64, ...]] = []
    for way in (0, 1):
        upto = readable.upto[way]
        before = np.append(0, upto[:-1])
        before[rows.starts] = known.pairs["released"][way][rows.flow]
        at = np.flatnonzero((upto > before) & readable.inside)
        parts.append((at, np.full(len(at), way), before[at], upto[at], np.full(len(at), news.OPEN)))
        ends = np.flatnonzero(readable.end[way] < len(rows))
        at = readable.end[way][ends]
        parts.append((at, np.full(len(at), way), upto[at], upto[at], readable.why[way][ends]))
    at, ways, start, stop, end = (np.concatenate(part) for part in zip(*parts, strict=True))
    # Of one row first the way that its packet goes, and ends behind what they end.
    foreign = ways != rows.way[at]
    order = np.lexsort((end != news.OPEN, foreign, at))
    at, ways, start, stop, end = (part[order] for part in (at, ways, start, stop, end))
    group = rows.group[at]
    together = (group[1:] == group[:-1]) & (ways[1:] == ways[:-1]) & (end[:-1] == news.OPEN)
    if not options.merge:
        together &= at[1:] == at[:-1]
    heads = np.flatnonzero(np.append(True, ~together)) if len(at) else at
    tails = np.append(heads[1:], len(at)) - 1 if len(at) else at
    return _Cuts(group[heads], ways[heads], start[heads], stop[tails], at[tails], end[tails])


class _Segments:
    """The payloads of a prefix, sorted by flow, direction and offset, as places in the block's memory."""

    __slots__ = ("_ends", "_memory", "_places", "keys", "stops")

    def __init__(self, block: Block, prefix: Prefix, readable: Readable) -> None:
        rows = prefix.rows
        place = np.flatnonzero(readable.inside & (rows.length > 0) & ~prefix.passed & ~prefix.again)
        keys = (rows.group[place] * 2 + rows.way[place]) * _APART + prefix.offset[place]
        order = np.argsort(keys, kind="stable")
        place = place[order]
        self.keys: I64 = keys[order]
        self.stops: I64 = self.keys + rows.length[place]
        start = rows.position[place]
        self._memory = block.data.data
        self._places: list[int] = start.tolist()
        self._ends: list[int] = (start + rows.length[place]).tolist()

    def _joined(self, first: int, last: int) -> bytes:
        """Return the bytes of some segments that follow each other."""
        memory, places, ends = self._memory, self._places, self._ends
        if last - first == 1:
            return bytes(memory[places[first] : ends[first]])
        return b"".join([memory[places[index] : ends[index]] for index in range(first, last)])

    def pieces(self, cuts: _Cuts, slots: I64, known: SessionColumns, held: Held) -> list[bytes]:
        """Return the bytes of each run."""
        base = (cuts.group * 2 + cuts.way) * _APART
        start, stop = base + cuts.start, base + cuts.stop
        low = np.searchsorted(self.stops, start, side="right")
        high = np.searchsorted(self.keys, stop, side="left")
        memory, places, stops = self._memory, self._places, self._ends
        lows: list[int] = low.tolist()
        highs: list[int] = high.tolist()
        made: list[bytes] = []
        for place in range(len(lows)):
            at = lows[place]
            if highs[place] - at == 1:
                made.append(bytes(memory[places[at] : stops[at]]))
            else:
                made.append(self._joined(at, highs[place]))
        count = len(self.keys)
        if not count:
            begins, ends = stop, stop
        else:
            begins = np.where(low < high, self.keys[np.minimum(low, count - 1)], stop)
            ends = np.where(low < high, self.stops[np.maximum(high - 1, 0)], stop)
        for number in np.flatnonzero((begins != start) | (ends != stop)).tolist():
            data, first = made[number], int(begins[number])
            if first > int(start[number]):
                data, first = self._with_held(cuts, slots, known, held, number) + data, int(start[number])
            begin = int(start[number]) - first
            made[number] = data[begin : begin + int(stop[number]) - int(start[number])]
        return made

    def _with_held(self, cuts: _Cuts, slots: I64, known: SessionColumns, held: Held, number: int) -> bytes:
        """Return what waited since an earlier block and begins a run."""
        way, slot = int(cuts.way[number]), int(slots[number])
        waited = held.waiting.get(slot * 2 + way, b"")
        return waited[int(cuts.start[number]) - int(known.pairs["released"][way, slot]) :]

    def keep(
        self, prefix: Prefix, readable: Readable, known: SessionColumns, held: Held, options: StreamOptions
    ) -> None:
        """Let wait what has come and is not acknowledged."""
        rows = prefix.rows
        groups = np.flatnonzero(prefix.end > rows.starts)
        last = prefix.end[groups] - 1
        groups, last = groups[prefix.stage[last] >= 0], last[prefix.stage[last] >= 0]
        for way in (0, 1):
            slots = rows.flow[groups]
            released, upto = known.pairs["released"][way][slots], readable.upto[way][last]
            stop = np.minimum(readable.data[way][last], options.depth)
            moved = np.flatnonzero((stop > upto) | (upto > released))
            base = (groups[moved] * 2 + way) * _APART
            low: list[int] = np.searchsorted(self.stops, base + upto[moved], side="right").tolist()
            high: list[int] = np.searchsorted(self.keys, base + stop[moved], side="left").tolist()
            for place, number in enumerate(moved.tolist()):
                first, end = low[place], high[place]
                key = int(slots[number]) * 2 + way
                waited = held.take(key)
                want = int(stop[number] - upto[number])
                if want <= 0:
                    continue
                offset = int(upto[number])
                if waited:
                    waited = waited[offset - int(released[number]) :]
                offset += len(waited)
                data = self._joined(first, end)
                if data:
                    data = data[offset - int(self.keys[first] - (int(groups[number]) * 2 + way) * _APART) :]
                held.put(key, (waited + data)[:want])
