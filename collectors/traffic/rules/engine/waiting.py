"""What waits to be looked at of each direction of a flow, and with which packet its time comes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from collectors.traffic.protocols.news import Change, Conversation, Transaction
from collectors.traffic.rules.engine.rows import NEVER, Rows
from collectors.traffic.streams.news import News, Run

CHUNK = 2560
"""Bytes of a stream that are looked at together, unless a transaction or the stream ends sooner (Suricata's stock chunk size)."""

PAST = NEVER + 1
"""A place behind everything."""

Talked = tuple[int, int, Conversation]
"""From a place in the block on, what is known of a slot's conversation."""


_NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class Side:
    """What waits of one direction: stream bytes, transactions, and the conversation's own news. `at` is the place of its next packet."""

    data: list[bytes] = field(default_factory=list)
    size: int = 0
    last: bytes = b""
    due: bool = False
    changes: dict[Transaction, int] = field(default_factory=dict)
    step: tuple[int, int] = (-1, -1)
    detected: bool = False
    events: set[str] = field(default_factory=set)
    at: int = NEVER


@dataclass(slots=True)
class Work:
    """What a packet brings to be looked at beside its own payload: a piece of the stream, transactions, news of the conversation.

    `last` is the piece that was looked at last, if need be an earlier one. `changes`: transaction, how far this side of it is, how far
    the other one was by then; `rules` (filled in by `Candidates`) those to be evaluated for each of them. `talk` is the conversation as it
    was then.
    """

    place: int
    direction: int
    chunk: bytes
    last: bytes
    changes: list[tuple[Transaction, int, int]]
    detected: bool
    events: frozenset[str]
    talk: Conversation | None
    rules: list[list[int]] = field(default_factory=list)


class Waiting:
    """All directions of all flows. `feed` takes a block's news; `work` and `talks` are its result, in the order of places."""

    def __init__(self, inline: bool, streams: bool = True) -> None:
        """`streams`: somebody looks at the bytes of streams."""
        self._inline = inline
        self._streams = streams
        self._sides: dict[int, Side] = {}
        self._talks: dict[int, Conversation] = {}
        self._late: set[int] = set()
        self._heap: list[tuple[int, int]] = []
        self.work: list[Work] = []
        self.talks: list[Talked] = []

    def take_over(self, former: "Waiting") -> None:
        """Go on with what waits for another ruleset."""
        self._sides, self._talks, self._late = former._sides, former._talks, former._late

    def feed(self, rows: Rows, news: News, changes: list[Change]) -> None:
        """Take what a block brought, and find the packets with which it is looked at."""
        self.work, self.talks = [], []
        if self._late:
            self._wake(rows)
        later = _placed(rows, changes, [one.conversation.slot * 2 + one.to_client for one in changes])
        later.append((PAST, NEVER, 0, None))
        waiting = iter(later)
        place, following, direction, change = next(waiting)
        if self._streams:
            # A packet's runs come before its changes.
            for when, coming, way, run in _placed(rows, news.runs, [run.slot * 2 + run.to_client for run in news.runs]):
                while place < when:
                    self._change(change, place, following, direction)  # type: ignore[arg-type]
                    place, following, direction, change = next(waiting)
                self._run(run, when, coming, way)  # type: ignore[arg-type]
        while place < PAST:
            self._change(change, place, following, direction)  # type: ignore[arg-type]
            place, following, direction, change = next(waiting)
        while self._heap:
            self._take(heappop(self._heap)[1])

    def _wake(self, rows: Rows) -> None:
        """Find the first packets of directions that have something waiting from an earlier block."""
        late = np.fromiter(self._late, np.int64, len(self._late))
        places = rows.next(late, np.zeros(len(late), np.int64))
        for direction, place in zip(late.tolist(), places.tolist(), strict=True):
            if place != NEVER:
                self._late.discard(direction)
                self._sides[direction].at = place
                heappush(self._heap, (place, direction))

    def _run(self, run: Run, place: int, following: int, direction: int) -> None:
        heap = self._heap
        while heap and heap[0][0] < place:
            self._take(heappop(heap)[1])
        side = self._sides.get(direction)
        if side is None:
            side = self._sides[direction] = Side()
        data = run[3]
        if data:
            side.data.append(data)
            side.size += len(data)
        if side.size >= CHUNK or run[7] or self._inline:
            side.due = True
            if side.at == NEVER:
                self._plan(side, direction, following)

    def _change(self, change: Change, place: int, following: int, direction: int) -> None:
        heap = self._heap
        while heap and heap[0][0] < place:
            self._take(heappop(heap)[1])
        talk, slot, transaction = change.conversation, direction >> 1, change.transaction
        if transaction is None or slot not in self._talks:
            now = self._talks[slot] = _as_it_was(change)
            self.talks.append((place, slot, now))
        side = self._sides.get(direction)
        if side is None:
            side = self._sides[direction] = Side()
        if transaction is None:
            side.detected = True
            side.events.update(talk.events)
        else:
            progress = side.changes[transaction] = change.progress
            step = (transaction.number, progress)
            if step != side.step:
                # More of the same (a body, the lines of a mail) does not end the piece of the stream that waits.
                side.step, side.due = step, True
        if side.at == NEVER:
            self._plan(side, direction, following)

    def _plan(self, side: Side, direction: int, following: int) -> None:
        if following == NEVER:
            self._late.add(direction)
        else:
            side.at = following
            heappush(self._heap, (following, direction))

    def _take(self, direction: int) -> None:
        """Hand over what waits of a direction: its next packet is here."""
        side = self._sides[direction]
        chunk = _chunk(side) if side.due else b""
        changed: list[tuple[Transaction, int, int]] = []
        if side.changes:
            other = self._sides.get(direction ^ 1)
            to_client = bool(direction & 1)
            for transaction, progress in side.changes.items():
                changed.append((transaction, progress, _reached(transaction, other, to_client)))
            side.changes = {}
        if chunk or changed or side.detected or side.events:
            talk = self._talks.get(direction >> 1)
            events = frozenset(side.events) if side.events else _NONE
            self.work.append(Work(side.at, direction, chunk, side.last, changed, side.detected, events, talk))
            side.detected = False
            side.events.clear()
        side.at = NEVER

    def end(self, slots: list[int]) -> Iterator[tuple[int, Work]]:
        """Yield what flows that ended still hold, with the flow's place among them, and forget these flows."""
        for place, slot in enumerate(slots):
            talk = self._talks.pop(slot, None)
            for direction in (slot * 2, slot * 2 + 1):
                side = self._sides.pop(direction, None)
                if side is None:
                    continue
                self._late.discard(direction)
                if side.data or side.changes:
                    changed = [(one, far, one.progress(not direction & 1)) for one, far in side.changes.items()]
                    chunk = _chunk(side)
                    events = frozenset(side.events)
                    yield place, Work(NEVER, direction, chunk, side.last, changed, side.detected, events, talk)


def _as_it_was(change: Change) -> Conversation:
    """Return the conversation as it was at a change: the one that lives on is that of the block's end."""
    talk = change.conversation
    found = Conversation(talk.slot)
    found.protocol, *found.by_side, found.original = change.protocols
    found.transactions, found.events, found.encrypted = talk.transactions, talk.events, talk.encrypted
    return found


def _chunk(side: Side) -> bytes:
    """Take the stream bytes that wait."""
    data = b"".join(side.data) if len(side.data) != 1 else side.data[0]
    side.data, side.size, side.due = [], 0, False
    if data:
        side.last = data
    return data


def _reached(transaction: Transaction, side: Side | None, to_client: bool) -> int:
    """Return how far the other side of a transaction was as of a packet: a block is parsed as a whole, and may be ahead."""
    number, progress = side.step if side is not None else (-1, -1)
    if number == transaction.number:
        return progress
    return transaction.progress(not to_client) if number > transaction.number else -1


def _placed(
    rows: Rows, items: Sequence[Run] | Sequence[Change], directions: list[int]
) -> list[tuple[int, int, int, Run | Change | None]]:
    """Return runs or changes, in time, each with its place, that of its direction's next packet, and the direction."""
    place = np.append(rows.place, NEVER)[np.array([item.row for item in items], np.int64)]
    following = rows.next(np.array(directions, np.int64), place)
    found: list[tuple[int, int, int, Run | Change | None]] = list(
        zip(place.tolist(), following.tolist(), directions, items, strict=True)
    )
    if (place[1:] < place[:-1]).any():
        found.sort(key=lambda one: one[0])
    return found
