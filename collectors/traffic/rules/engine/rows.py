"""What rules ask about every packet of a block, as arrays by row: its flow, its side, and what its session says of it."""

import numpy as np

from collectors.traffic.block import I64, Block, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.streams.news import News

FAST_OPEN = 34
"""The number of TCP's option Fast Open (RFC 7413)."""
SYN = 0x02

NEVER = 1 << 40
"""A place behind all packets of a block."""


class Rows:
    """The rows of one block. `slots` (-1: no flow) and `sides` (to client) by row; `place` is each row's turn, as inner packets follow
    the one that they were in; `established`, `accepted`, `streamed` as `Packet` has them; `begins`: the first of its flow's direction;
    `kinds` is filled in by `HeaderKinds`, -1 where nobody has asked.
    """

    __slots__ = (
        "_directions",
        "_first",
        "_places",
        "accepted",
        "begins",
        "block",
        "established",
        "events",
        "flows",
        "kinds",
        "place",
        "row_at",
        "sides",
        "slots",
        "streamed",
        "table",
    )

    def __init__(self, block: Block, table: Table, flows: Columns, batch: Batch, news: News) -> None:
        count = len(table)
        self.block = block
        self.table = table
        self.flows = flows
        self.slots = batch.flow_of_rows(count)
        self.sides: Bools = np.zeros(count, np.bool_)
        self.sides[batch.rows] = batch.to_client
        self.sides[batch.related] = batch.related_to_client
        self.row_at: I64 = np.argsort(table.packet, kind="stable") if count > table.captured else np.arange(count)
        self.place: I64 = np.empty(count, np.int64)
        self.place[self.row_at] = np.arange(count)
        self.kinds: I64 = np.full(count, -1, np.int64)
        self.accepted = news.accepted
        self.established: Bools = news.established
        self.streamed: Bools = news.established
        self.begins: Bools = news.established
        self.events: dict[int, list[str]] = {}
        for event in news.events:
            self.events.setdefault(event.row, []).append(event.name)
        self._directions: I64 = np.zeros(0, np.int64)
        self._places: I64 = self._directions
        self._group()

    def _group(self) -> None:
        """Sort the rows that have a flow by its direction, and find the first of each."""
        row_at = self.row_at[self.slots[self.row_at] >= 0]
        directions = self.slots[row_at] * 2 + self.sides[row_at]
        order = np.argsort(directions, kind="stable")
        self._directions = directions[order]
        self._places = self.place[row_at[order]]
        first = np.ones(len(order), np.bool_)
        first[1:] = self._directions[1:] != self._directions[:-1]
        self._first = np.flatnonzero(first)

    def __len__(self) -> int:
        return len(self.slots)

    def firsts(self) -> tuple[I64, I64]:
        """Return the directions (slot * 2 + to client) that are in the block, and the first row of each."""
        return self._directions[self._first], self.row_at[self._places[self._first]]

    def next(self, directions: I64, places: I64) -> I64:
        """Return the place of the next packet of each direction from a place on (that one included), `NEVER` where there is none."""
        if not len(self._directions) or not len(directions):
            return np.full(len(directions), NEVER, np.int64)
        span = len(self) + 1
        at = np.searchsorted(self._directions * span + self._places, directions * span + places)
        there = at < len(self._directions)
        at[~there] = 0
        there &= self._directions[at] == directions
        return np.where(there, self._places[at], NEVER)

    def places(self, direction: int) -> list[int]:
        """Return the places of a direction's packets, in order."""
        begin, end = np.searchsorted(self._directions, [direction, direction + 1])
        found: list[int] = self._places[begin:end].tolist()
        return found

    def packet(self, row: int) -> Packet:
        """Return one row as the rules see it."""
        packet = Packet(self.block, self.table, self.flows, row, int(self.slots[row]), bool(self.sides[row]))
        packet.established = bool(self.established[row])
        packet.accepted = bool(self.accepted[row])
        packet.streamed = bool(self.streamed[row])
        packet.begins = bool(self.begins[row])
        packet.stream_events = tuple(self.events.get(row, ()))
        return packet


class Sessions:
    """What lasts from block to block: which directions have begun, and which sessions have a stream."""

    def __init__(self, flows: int) -> None:
        """`flows`: so many there may be, to begin with."""
        self.begun: Bools = np.zeros(2 * flows, np.bool_)
        self._streamed: Bools = np.zeros(flows, np.bool_)

    def see(self, rows: Rows, batch: Batch, news: News) -> None:
        """Fill in `established`, `streamed` and `begins` of a block's rows."""
        most = int(rows.slots.max()) + 1 if len(rows) else 0
        if most > len(self._streamed):
            self._streamed = np.concatenate([self._streamed, np.zeros(2 * most, np.bool_)])
            self.begun = np.concatenate([self.begun, np.zeros(4 * most, np.bool_)])
        directions, first = rows.firsts()
        new = ~self.begun[directions]
        rows.begins = np.zeros(len(rows), np.bool_)
        rows.begins[first[new]] = True
        self.begun[directions] = True
        rows.established = _answered(rows, batch, news)
        self._streams(rows, batch, news)

    def _streams(self, rows: Rows, batch: Batch, news: News) -> None:
        table, chosen = rows.table, batch.rows
        is_tcp = table.protocol == TCP
        released = np.zeros(len(rows) + 1, np.bool_)
        released[np.fromiter((run.row for run in news.runs), np.int64, len(news.runs))] = True
        shown = (released[chosen] | rows.established[chosen]) & is_tcp[chosen]
        streamed = np.zeros(len(rows), np.bool_)
        streamed[chosen] = _so_far(shown, batch)
        flowing = is_tcp & (rows.slots >= 0)
        before = np.zeros(len(rows), np.bool_)
        before[flowing] = self._streamed[rows.slots[flowing]]
        streamed |= before
        self._streamed[rows.slots[streamed & flowing]] = True
        # What the session refuses (a bad checksum, say) belongs to the flow all the same, and is looked at by itself.
        refused = flowing & ~rows.established & ~rows.accepted
        rows.established[refused] = streamed[refused]
        rows.streamed = streamed & flowing & rows.accepted
        opens = flowing & ~rows.streamed & rows.accepted & ~rows.sides & (table.payload_len > 0)
        opens &= table.tcp_flags & np.uint8(SYN) != 0
        for row in np.flatnonzero(opens).tolist():
            rows.streamed[row] = FAST_OPEN in rows.packet(row).tcp_options

    def end(self, slots: I64) -> None:
        """Forget flows that ended."""
        slots = slots[slots < len(self._streamed)]
        self._streamed[slots] = False
        self.begun[slots * 2] = False
        self.begun[slots * 2 + 1] = False


def _so_far(marks: Bools, batch: Batch) -> Bools:
    """Return, for the rows of a batch, whether this one or an earlier one of its group is marked."""
    total = np.cumsum(marks)
    before: I64 = (total - marks)[batch.starts]
    found: Bools = total > np.repeat(before, batch.ends - batch.starts)
    return found


def _answered(rows: Rows, batch: Batch, news: News) -> Bools:
    """Return which rows are of an established flow: TCP's by the session's word, others' once the other side has answered."""
    found = news.established.copy()
    chosen = batch.rows
    if not len(chosen):
        return found
    lengths = batch.ends - batch.starts
    way = batch.to_client
    so_far = np.cumsum(way)
    within: I64 = so_far[batch.ends - 1] - (so_far - way)[batch.starts]
    counted = rows.flows.packets_to_client[batch.flow]
    earlier = (counted if batch.later is None else counted - batch.later) > within
    answered = _so_far(way, batch) | np.repeat(earlier, lengths)
    other = rows.table.protocol[chosen] != TCP
    found[chosen[other]] = answered[other]
    return found
