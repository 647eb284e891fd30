"""The reassembler: what every block's packets mean to the TCP sessions they belong to, and the bytes that become readable by them.

Two ways lead there: packets that are what is expected are looked at all at once (`fast`), the others one by one (`session`).
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Final

import numpy as np

from collectors.traffic.block import I64, Block, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch, Ended
from collectors.traffic.streams import closing, completion, established, handshake  # noqa: F401 (they are the states)
from collectors.traffic.streams import columns as codes
from collectors.traffic.streams import state as states
from collectors.traffic.streams.bridge import lift, settle
from collectors.traffic.streams.columns import SessionColumns
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.fast import Prefix
from collectors.traffic.streams.left import Left
from collectors.traffic.streams.news import FIN, RESET, TIMEOUT, News, Run, StreamEvent
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.plain import follow
from collectors.traffic.streams.repeats import compare
from collectors.traffic.streams.rows import Rows, rows_of
from collectors.traffic.streams.runs import Held, Readable, hand_out, joined
from collectors.traffic.streams.segment import FIN as FIN_FLAG
from collectors.traffic.streams.segment import RST, Segment
from collectors.traffic.streams.session import Session

_TURNS: Final = 6
"""So often a flow may go on the fast way again inside a block."""
_WORTH: Final = 4000
"""Fewer packets than these are looked at one by one rather than in another turn."""
_FEW: Final = 3

Follow = Callable[[Session, Left, int, int, News], int]

__all__ = ["Reassembler", "StreamOptions"]


class Reassembler:
    """All TCP sessions. `feed` takes each block's table and batch in order; time is the packets' own."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._known = SessionColumns()
        self._sessions: dict[int, Session] = {}
        self._held = Held({})
        self.counts = Delivery(options.memory)
        """What was not kept, gaps, overlaps … (`streams.delivery`)."""
        self.worth = _WORTH
        self.follow: Follow = follow
        """How plain packets are gone through one by one (`plain.follow`)."""
        self.careful = 0
        """Packets that were looked at one by one."""
        self._all_careful = options.async_oneside or options.midstream

    def memory_bytes(self) -> int:
        """Return what waits, and what the columns take."""
        return self._held.size + self.counts.held + self._known.memory_bytes()

    def feed(self, block: Block, table: Table, batch: Batch) -> News:
        """Return what a block brings; the flows that ended in it are dropped."""
        news = News(len(table))
        rows = rows_of(block, table, batch)
        if len(rows):
            self._begin(rows)
            for turn in range(_TURNS):
                prefix = Prefix(rows, self._known, self._options)
                self._restrain(prefix)
                compare(block, prefix, self._known, self._held)
                self._go_fast(block, table, prefix, news)
                fast = len(news.runs)
                groups, places = self._go_carefully(block, table, prefix, news, turn == _TURNS - 1)
                if not len(groups):
                    break
                rows = rows.rest(groups, places)
            if turn or len(news.runs) > fast:
                news.runs.sort(key=itemgetter(5))
            news.events.sort(key=itemgetter(0))
        for ended in batch.ended:
            self._end(ended, news)
        return news

    def finish(self, ended: Ended) -> News:
        """Return what the end of flows brings (`FlowTable.shut_down`); feed does this for the flows that end in a block."""
        news = News(0)
        self._end(ended, news)
        return news

    def _begin(self, rows: Rows) -> None:
        self._known.grow(int(rows.flow.max()) + 1)
        self._known.clear(rows.flow[rows.new])

    def _forget(self, slot: int) -> tuple[bytes, bytes]:
        """Drop what is kept of a slot; returns what waited in both directions."""
        session = self._sessions.pop(slot, None)
        if session is not None:
            self.counts.held -= session.client.segments.held + session.server.segments.held
        return self._held.take(slot * 2), self._held.take(slot * 2 + 1)

    def _restrain(self, prefix: Prefix) -> None:
        """Give to the careful way what the fast one may not have: sessions that are objects, and all when one-sided ones are followed."""
        rows = prefix.rows
        code = self._known.code[rows.flow]
        careful = code == codes.CAREFUL
        if self._all_careful:
            careful |= code < codes.OPEN
        if self._held.size + self.counts.held > self._options.memory // 2:
            # The careful way refuses what there is no memory for.
            careful |= True
        prefix.end[careful] = rows.starts[careful]

    def _go_fast(self, block: Block, table: Table, prefix: Prefix, news: News) -> None:
        known, rows = self._known, prefix.rows
        readable = Readable(prefix, known, self._options)
        news.runs += hand_out(block, table, prefix, readable, known, self._held, self._options)
        open_already = (prefix.stage == 3) | ((prefix.stage == 2) & (rows.length > 0))
        news.established[rows.row[readable.inside & open_already]] = True
        for place in np.flatnonzero(prefix.repeated & readable.inside).tolist():
            slot = int(rows.flow[rows.group[place]])
            news.events.append(StreamEvent(int(rows.row[place]), slot, "pkt_spurious_retransmission"))
        ends = (rows.flags & (FIN_FLAG | RST)) != 0
        for place in np.flatnonzero(ends & (prefix.stage < 0)).tolist():
            group = int(rows.group[place])
            if place < prefix.end[group]:
                name = "rst_but_no_session" if rows.flags[place] & RST else "fin_but_no_session"
                news.events.append(StreamEvent(int(rows.row[place]), int(rows.flow[group]), name))
                news.accepted[rows.row[place]] = False
        groups = np.flatnonzero(prefix.end > rows.starts)
        groups = groups[prefix.stage[prefix.end[groups] - 1] >= 0]
        if len(groups):
            self._store(block, table, prefix, readable, groups)

    def _store(self, block: Block, table: Table, prefix: Prefix, readable: Readable, groups: I64) -> None:
        """Take over into the columns how far the groups have come."""
        known, rows = self._known, prefix.rows
        last, slots = prefix.end[groups] - 1, rows.flow[groups]
        reset = (rows.flags[last] & RST) != 0
        stage = prefix.stage[last]
        code = np.choose(np.minimum(stage, 2), [codes.SYN_SENT, codes.SYN_RECV, codes.OPEN])
        code = np.where(reset, np.where(stage == 1, codes.REFUSED, codes.RESET), code)
        over = (prefix.fins[0][last] > 0) & (prefix.fins[1][last] > 0) & ~reset
        for way in (0, 1):
            over &= prefix.acks[way][last] >= prefix.sent[way][last]
        known.code[slots] = np.where(over, codes.FINISHED, code)
        known.stamped[slots] = prefix.stamped[groups]
        seconds = block.time_ns[table.packet[rows.row[last]]] // 1_000_000_000
        for way in (0, 1):
            pairs = {name: pair[way] for name, pair in known.pairs.items()}
            pairs["base"][slots] = prefix.base[way][groups] & 0xFFFFFFFF
            pairs["next"][slots] = prefix.sent[way][last]
            pairs["acked"][slots] = prefix.acks[way][last]
            pairs["limit"][slots] = prefix.limits[way][last]
            pairs["scale"][slots] = prefix.scale[way][groups]
            pairs["released"][slots] = readable.upto[way][last]
            pairs["fin"][slots] = np.where(prefix.fins[way][last] > 0, readable.data[way][last], -1)
            known.ended[way, slots] |= readable.end[way][groups] < len(rows)
            _last_of(rows, prefix, groups, (rows.way != way) & ~prefix.passed, prefix.windows, pairs["window"])
            stamps = (rows.way == way) & (rows.stamp >= 0) & ~prefix.passed & ((rows.length == 0) | (prefix.stage < 3))
            _last_of(rows, prefix, groups, stamps, rows.stamp, pairs["stamp"])
            pairs["seconds"][slots] = seconds

    def _go_carefully(
        self, block: Block, table: Table, prefix: Prefix, news: News, to_the_end: bool
    ) -> tuple[I64, I64]:
        """Look one by one at what is left of the groups; returns which are in order again, and from which place on."""
        rows = prefix.rows
        which = np.flatnonzero(prefix.end < rows.ends)
        if not len(which):
            return which, which
        starts, ends = prefix.end[which], rows.ends[which]
        to_the_end |= int((ends - starts).sum()) < self.worth
        self.counts.runs, self.counts.events = news.runs, news.events
        left = Left(block, table, rows, starts, ends)
        families = table.family[rows.row[starts]].tolist()
        settled = []
        for number, (slot, family) in enumerate(zip(rows.flow[which].tolist(), families, strict=True)):
            session = self._lifted(slot, family)
            begin, end = left.begins[number], left.ends[number]
            before = len(news.runs)
            place = self._look(session, left, begin, end, news, to_the_end)
            if self._options.merge and len(news.runs) > before + 1:
                news.runs[before:] = joined(news.runs[before:])
            self.careful += place - begin
            if place < end:
                settled.append((number, place - begin))
            elif session.state == states.NONE:
                self._forget(slot)
                self._known.code[slot] = codes.NOTHING
            else:
                self._settled(session)
        numbers, passed = np.array(settled, np.int64).reshape(-1, 2).T
        return which[numbers], starts[numbers] + passed

    def _look(self, session: Session, left: Left, place: int, end: int, news: News, to_the_end: bool) -> int:
        """Look at packets of a session one by one; returns the place from which on it is in order again, or the end."""
        begin, again = place, end if to_the_end else place + 1
        while place < end:
            place = self.follow(session, left, place, again, news)
            if place < again:
                self._take(session, left.segment(place), news)
                place += 1
            if place == again and end - place < _FEW:
                again = end
            elif place == again:
                # Rarer and rarer: what is not in order soon stays so for long.
                again = min(again + place - begin, end)
                if self._settled(session):
                    break
        return place

    def _lifted(self, slot: int, family: int) -> Session:
        session = self._sessions.get(slot)
        if session is None:
            policy = self._options.policy_v4 if family == 4 else self._options.policy_v6
            held = self._forget(slot)
            self.counts.held += len(held[0]) + len(held[1])
            session = lift(self._known, slot, held, self._options, policy, self.counts)
            self._sessions[slot] = session
            self._known.code[slot] = codes.CAREFUL
        return session

    def _settled(self, session: Session) -> bool:
        """Make columns of a session again, if it is in order; returns whether it was."""
        kept = session.client.segments.held + session.server.segments.held
        held = settle(session, self._known)
        if held is None:
            return False
        self.counts.held -= kept
        del self._sessions[session.slot]
        for way in (0, 1):
            if held[way]:
                self._held.put(session.slot * 2 + way, held[way])
        return True

    def _take(self, session: Session, segment: Segment, news: News) -> None:
        row = segment.row
        if segment.broken:
            news.accepted[row] = False
            return
        before = session.state
        if not session.take(segment):
            news.accepted[row] = False
        if session.state >= states.ESTABLISHED:
            news.established[row] = before >= states.ESTABLISHED or segment.length > 0
            if session.closed_by_reset and not (session.client.reset_received or session.server.reset_received):
                for side in session.sides(segment):
                    if not side.ended:
                        self.counts.finish(session, side, RESET, row, segment.time_ns)

    def _end(self, ended: Ended, news: News) -> None:
        """Hand on what flows that ended leave behind."""
        self.counts.runs, self.counts.events = news.runs, news.events
        known = self._known
        inside = ended.slots < len(known.code)
        slots, times = ended.slots[inside], ended.columns.last_ns[inside]
        code = known.code[slots]
        for index in np.flatnonzero(code == codes.CAREFUL).tolist():
            slot = int(slots[index])
            session = self._sessions.get(slot)
            if session is not None:
                self.counts.finish(session, session.client, TIMEOUT, -1, int(times[index]))
                self.counts.finish(session, session.server, TIMEOUT, -1, int(times[index]))
            self._forget(slot)
        for index in np.flatnonzero(code == codes.OPEN).tolist():
            slot = int(slots[index])
            for way, data in enumerate(self._forget(slot)):
                if known.ended[way, slot]:
                    continue
                released, fin = int(known.pairs["released"][way, slot]), int(known.pairs["fin"][way, slot])
                end = FIN if 0 <= fin <= released + len(data) else TIMEOUT
                news.runs.append(Run(slot, bool(way), released, data, 0, -1, int(times[index]), end))
        known.code[slots] = codes.NOTHING


def _last_of(rows: Rows, prefix: Prefix, groups: I64, marks: Bools, values: I64, into: I64) -> None:
    """Write each group's last marked value before its prefix's end into `into`, by slot."""
    places = np.maximum.accumulate(np.where(marks, np.arange(len(rows)), -1))[prefix.end[groups] - 1]
    found = places >= rows.starts[groups]
    into[rows.flow[groups[found]]] = values[places[found]]
