"""The reassembler: what every block's packets mean to the TCP sessions they belong to, and the bytes that become readable by them."""

from dataclasses import dataclass, field

import numpy as np

from collectors.traffic.block import Block
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch, Ended
from collectors.traffic.streams.news import FIN, OPEN, RESET, TIMEOUT, News, Run
from contracts.record import Record

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP = 6


class StreamOptions(Record):
    """How TCP sessions are followed; the defaults are Suricata's stock configuration."""

    inline: bool = False
    """Bytes are given as they arrive (in-line: what is refused is dropped); else when the receiver has acknowledged them."""
    midstream: bool = False
    """Sessions whose beginning was not seen are picked up."""
    async_oneside: bool = False
    """Sessions of which one side alone is seen are followed."""


@dataclass(slots=True)
class _Side:
    next: int | None = None
    offset: int = 0
    ended: bool = False
    waiting: dict[int, bytes] = field(default_factory=dict)


class Reassembler:
    """All TCP sessions. `feed` takes each block's table and batch in order; time is the packets' own."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._sides: dict[tuple[int, bool], _Side] = {}

    def feed(self, block: Block, table: Table, batch: Batch) -> News:
        """Return what a block brings; the flows that ended in it are dropped."""
        news = News(len(table))
        for number in (
            np.flatnonzero(table.protocol[batch.rows[batch.starts]] == _TCP).tolist() if len(batch.rows) else []
        ):
            slot = int(batch.flow[number])
            if batch.new[number]:
                self._drop(slot)
            for place in range(int(batch.starts[number]), int(batch.ends[number])):
                self._take(block, table, slot, bool(batch.to_client[place]), int(batch.rows[place]), news)
        news.runs.sort(key=lambda run: run.row)
        for ended in batch.ended:
            news.runs += self.finish(ended).runs
        return news

    def finish(self, ended: Ended) -> News:
        """Return what the end of flows brings (`FlowTable.shut_down`); feed does this for the flows that end in a block."""
        news = News(0)
        for slot, time_ns in zip(ended.slots.tolist(), ended.columns.last_ns.tolist(), strict=True):
            for to_client in (False, True):
                side = self._sides.get((slot, to_client))
                if side is not None and side.next is not None and not side.ended:
                    news.runs.append(Run(slot, to_client, side.offset, b"", 0, -1, time_ns, TIMEOUT))
            self._drop(slot)
        return news

    def _drop(self, slot: int) -> None:
        self._sides.pop((slot, False), None)
        self._sides.pop((slot, True), None)

    def _take(self, block: Block, table: Table, slot: int, to_client: bool, row: int, news: News) -> None:
        flags, seq = int(table.tcp_flags[row]), int(table.seq[row])
        time_ns = int(block.time_ns[table.packet[row]])
        side = self._sides.setdefault((slot, to_client), _Side())
        if side.ended:
            return
        if flags & _RST:
            for way in (False, True):
                other = self._sides.setdefault((slot, way), _Side())
                if not other.ended and other.next is not None:
                    news.runs.append(Run(slot, way, other.offset, b"", 0, row, time_ns, RESET))
                other.ended = True
            return
        if flags & _SYN:
            side.next = (seq + 1) & 0xFFFFFFFF
            return
        if side.next is None:
            if not self._options.midstream:
                return
            side.next = seq
        news.established[row] = True
        at = int(table.payload[row])
        data = block.data[at : at + int(table.payload_len[row])].tobytes()
        if data:
            side.waiting.setdefault(seq, data)
        while side.next in side.waiting:
            data = side.waiting.pop(side.next)
            news.runs.append(Run(slot, to_client, side.offset, data, 0, row, time_ns, OPEN))
            side.next = (side.next + len(data)) & 0xFFFFFFFF
            side.offset += len(data)
        if flags & _FIN and (seq + int(table.payload_len[row])) & 0xFFFFFFFF == side.next:
            news.runs.append(Run(slot, to_client, side.offset, b"", 0, row, time_ns, FIN))
            side.ended = True
