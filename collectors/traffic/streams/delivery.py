"""Handing on: takes in a packet's bytes, and gives what has become readable, in order, within bounds of memory and depth."""

from typing import Final

from collectors.traffic.streams import news
from collectors.traffic.streams import state as states
from collectors.traffic.streams.both import Both
from collectors.traffic.streams.news import Run, StreamEvent
from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.segment import ACK, FIN, RST, SYN, URG, Segment
from collectors.traffic.streams.segments import MAX_SEGMENTS
from collectors.traffic.streams.side import Side

_HALF: Final = 0x80000000


class Delivery:
    """Where sessions put runs and events; one for all of them. `held` is the bytes that wait, `held_limit` their bound."""

    __slots__ = (
        "depth_reached",
        "events",
        "gaps",
        "held",
        "held_limit",
        "not_kept",
        "overlaps",
        "runs",
        "urgent_bytes",
    )

    def __init__(self, held_limit: int) -> None:
        self.held_limit = held_limit
        self.held = 0
        self.runs: list[Run] = []
        self.events: list[StreamEvent] = []
        self.not_kept = 0
        """Segments not kept for want of memory, or because too many of one direction wait."""
        self.gaps = self.overlaps = self.depth_reached = self.urgent_bytes = 0

    def event(self, row: int, slot: int, name: str) -> None:
        """Note an anomaly of a packet."""
        self.events.append(StreamEvent(row, slot, name))

    def segment(self, session: Both, segment: Segment) -> bool:
        """Take an accepted packet: its acknowledgement releases the other side's bytes, its own wait (in-line: are handed on).

        Returns whether its bytes were taken in.
        """
        sender, receiver = session.sides(segment)
        flags, own, other = segment.flags, False, True
        if session.inline or flags & RST:
            own, other = True, False
        elif flags & FIN and session.state >= states.LAST_ACK:
            own, other = True, bool(flags & ACK)
        elif session.state == states.CLOSED:
            own = True
        if other:
            self.release(session, receiver, segment.row, segment.time_ns)
        # What a reset carries explains it, and is no part of what was said (RFC 9293, 3.5.2).
        taken = False
        if segment.length and not flags & RST and not sender.ended:
            seq = (segment.seq + 1) & MASK if flags & SYN else segment.seq
            if flags & URG:
                self._note_urgent(sender, segment, sender.offset(seq))
            taken = self.insert(session, sender, seq, segment.data, segment.row)
        if own or sender.depth_reached:
            self.release(session, sender, segment.row, segment.time_ns)
        return taken

    def insert(self, session: Both, side: Side, seq: int, data: bytes, row: int) -> bool:
        """Let the bytes of packet `row` wait, those from `seq` on; returns whether any were taken in."""
        released = side.released
        start = released + ((seq - side.base - released + _HALF) & MASK) - _HALF
        if start < released:
            data, start = data[released - start :], released
        room = session.depth - start
        if len(data) >= room:
            side.depth_reached = True
            data = data[: max(room, 0)]
        if not data:
            return False
        segments = side.segments
        full = self.held + len(data) > self.held_limit
        if full or len(segments) >= MAX_SEGMENTS:
            self.not_kept += 1
            self.event(row, session.slot, "reassembly_insert_memcap" if full else "reassembly_insert_limit")
            return False
        before = segments.held
        if segments.insert(start, data, side.policy):
            self.overlaps += 1
            self.event(row, session.slot, "reassembly_overlap_different_data")
        self.held += segments.held - before
        return True

    def _note_urgent(self, side: Side, segment: Segment, start: int) -> None:
        """Note the byte before the urgent pointer: receivers take it out of the stream (RFC 6093)."""
        if 0 < segment.urgent <= segment.length and len(side.urgent) < MAX_SEGMENTS:
            place = start + segment.urgent - 1
            if place >= side.released and place not in side.urgent:
                side.urgent.append(place)

    def release(self, session: Both, side: Side, row: int, time_ns: int) -> None:
        """Hand on what an acknowledgement (in-line: its arrival), packet `row`, has made readable; and the direction's end."""
        if side.ended or (not side.segments.held and side.fin is None and not side.depth_reached):
            return
        if session.state == states.SYN_SENT and not session.inline:
            return
        segments, depth = side.segments, session.depth
        acked = side.released + ((side.last_ack - side.base - side.released + _HALF) & MASK) - _HALF
        end = depth if session.inline else min(acked, depth)
        to_client = side is session.server
        if end <= side.released and side.fin is None and not side.depth_reached:
            return
        while segments.held:
            gap = self._gap(session, side, acked, end) if segments.begins_behind(side.released) else 0
            if gap:
                self.gaps += 1
                self.event(row, session.slot, "reassembly_seq_gap")
            data = self._take(side, side.released + gap, end)
            if not data and not gap:
                break
            self._give(session.slot, side, to_client, data, gap, row, time_ns)
        if side.fin is None and not side.depth_reached:
            return
        why = self._why_ended(session, side, acked)
        if why:
            self.end(session.slot, side, to_client, why, row, time_ns)
            if why == news.DEPTH:
                self.depth_reached += 1
                self.event(row, session.slot, "reassembly_depth_reached")

    def _gap(self, session: Both, side: Side, acked: int, end: int) -> int:
        """Return how many bytes before what waits will never come: they were acknowledged without having been seen."""
        first = side.segments.first()
        if first is None or session.inline:
            return 0
        acked -= session.state >= states.FIN_WAIT1
        if acked <= side.released:
            return 0
        if ahead(side.last_ack, side.next_seq) > 0 and not side.offset(side.next_seq) < first < acked:
            return 0
        return min(first, end) - side.released

    def _why_ended(self, session: Both, side: Side, acked: int) -> int:
        if side.depth_reached and (side.released >= session.depth or session.inline):
            return news.DEPTH
        if side.fin is None or side.released < side.fin:
            return news.OPEN
        return news.FIN if session.inline or acked >= side.fin else news.OPEN

    def _take(self, side: Side, start: int, end: int) -> bytes:
        before = side.segments.held
        data = side.segments.take(start, end)
        self.held += side.segments.held - before
        return data

    def _give(self, slot: int, side: Side, to_client: bool, data: bytes, gap: int, row: int, time_ns: int) -> None:
        """Hand on `data`, which follows what was handed on after `gap` missing bytes."""
        start = side.released + gap
        side.released = start + len(data)
        offset = start - side.removed
        if side.urgent:
            data = self._without_urgent(side, data, start)
        self.runs.append(Run(slot, to_client, offset, data, gap, row, time_ns, news.OPEN))

    def _without_urgent(self, side: Side, data: bytes, start: int) -> bytes:
        kept = bytearray(data)
        for place in sorted(side.urgent, reverse=True):
            if start <= place < start + len(data):
                del kept[place - start]
                side.removed += 1
                self.urgent_bytes += 1
        side.urgent = [place for place in side.urgent if place >= start + len(data)]
        return bytes(kept)

    def end(self, slot: int, side: Side, to_client: bool, why: int, row: int, time_ns: int) -> None:
        """End a direction, and forget what waits in it."""
        if not side.ended:
            side.ended = True
            self.runs.append(Run(slot, to_client, side.released - side.removed, b"", 0, row, time_ns, why))
        self.held -= side.segments.held
        side.segments.clear()

    def finish(self, session: Both, side: Side, why: int, row: int, time_ns: int) -> None:
        """Hand on everything that waits, acknowledged or not, and end the direction."""
        to_client = side is session.server
        while not side.ended and (first := side.segments.first()) is not None:
            gap = max(first - side.released, 0)
            self.gaps += gap > 0
            data = self._take(side, side.released + gap, session.depth)
            if not data and not gap:
                break
            self._give(session.slot, side, to_client, data, gap, row, time_ns)
        if side.fin is not None and side.released >= side.fin:
            why = news.FIN
        self.end(session.slot, side, to_client, why, row, time_ns)
