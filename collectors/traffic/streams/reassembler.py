"""The reassembler: what every block's packets mean to the TCP sessions they belong to, and the bytes that become readable by them."""

import numpy as np

from collectors.traffic.block import Block
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch, Ended
from collectors.traffic.streams import closing, completion, established, handshake  # noqa: F401 (they are the states)
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.news import RESET, TIMEOUT, News
from collectors.traffic.streams.segment import Segment
from collectors.traffic.streams.session import Session, State, StreamOptions

_TCP = 6


class Reassembler:
    """All TCP sessions. `feed` takes each block's table and batch in order; time is the packets' own."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._sessions: dict[int, Session] = {}
        self._out = Delivery(options.memory)

    def feed(self, block: Block, table: Table, batch: Batch) -> News:
        """Return what a block brings; the flows that ended in it are dropped."""
        news = News(len(table))
        self._out.runs, self._out.events = news.runs, news.events
        if len(batch.rows):
            bad = table.flags[batch.rows] & np.uint16(decoded.BAD_CHECKSUM)
            for number in np.flatnonzero(table.protocol[batch.rows[batch.starts]] == _TCP).tolist():
                start, end = int(batch.starts[number]), int(batch.ends[number])
                if batch.new[number]:
                    self._sessions.pop(int(batch.flow[number]), None)
                for place in range(start, end):
                    row = int(batch.rows[place])
                    if bad[place]:
                        news.accepted[row] = False
                        continue
                    self._take(block, table, int(batch.flow[number]), bool(batch.to_client[place]), row, news)
        news.runs.sort(key=lambda run: run.row)
        news.events.sort()
        for ended in batch.ended:
            self._end(ended)
        return news

    def finish(self, ended: Ended) -> News:
        """Return what the end of flows brings (`FlowTable.shut_down`); feed does this for the flows that end in a block."""
        news = News(0)
        self._out.runs, self._out.events = news.runs, news.events
        self._end(ended)
        return news

    def _end(self, ended: Ended) -> None:
        for slot, time_ns in zip(ended.slots.tolist(), ended.columns.last_ns.tolist(), strict=True):
            session = self._sessions.pop(slot, None)
            if session is not None and session.state is not State.NONE:
                self._out.finish(session, session.client, TIMEOUT, -1, time_ns)
                self._out.finish(session, session.server, TIMEOUT, -1, time_ns)

    def _take(self, block: Block, table: Table, slot: int, to_client: bool, row: int, news: News) -> None:
        session = self._sessions.get(slot)
        if session is None:
            policy = self._options.policy_v4 if table.family[row] == 4 else self._options.policy_v6
            session = self._sessions[slot] = Session(slot, self._options, policy, self._out)
        segment = _segment(block, table, to_client, row)
        news.accepted[row] = session.take(segment)
        news.established[row] = session.state >= State.ESTABLISHED
        doubted = session.client.reset_received or session.server.reset_received
        if session.closed_by_reset and not doubted:
            for side in session.sides(segment):
                self._out.finish(session, side, RESET, row, segment.time_ns)


def _segment(block: Block, table: Table, to_client: bool, row: int) -> Segment:
    at, length, header = int(table.payload[row]), int(table.payload_len[row]), int(table.l4[row])
    data = block.data[at : at + length].tobytes()
    segment = Segment(
        to_client,
        int(table.tcp_flags[row]),
        int(table.seq[row]),
        int(table.ack[row]),
        int(table.window[row]),
        data,
        row,
        int(block.time_ns[table.packet[row]]),
    )
    if segment.flags & 32:
        segment.urgent = int.from_bytes(block.data[header + 18 : header + 20].tobytes())
    if at - header > 20:
        segment.read_options(block.data[header + 20 : at].tobytes())
    return segment
