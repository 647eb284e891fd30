"""What waits to be looked at of each direction of a flow, and with which packet its time comes."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.protocols.news import Change, Conversation, Transaction
from collectors.traffic.rules.engine.rows import NEVER, Rows
from collectors.traffic.streams.news import News, Run

CHUNK = 2560
"""Bytes of a stream that are looked at together, unless a transaction or the stream ends sooner (Suricata's stock chunk size)."""

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
        for place, following, item in _merged(rows, news.runs if self._streams else [], changes):
            heap = self._heap
            while heap and heap[0][0] < place:
                self._take(heappop(heap)[1])
            if isinstance(item, Run):
                self._run(item, following)
            else:
                self._change(item, place, following)
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

    def _run(self, run: Run, following: int) -> None:
        direction = run.slot * 2 + run.to_client
        side = self._sides.get(direction)
        if side is None:
            side = self._sides[direction] = Side()
        if run.data:
            side.data.append(run.data)
            side.size += len(run.data)
        if side.size >= CHUNK or run.end or self._inline:
            side.due = True
            if side.at == NEVER:
                self._plan(side, direction, following)

    def _change(self, change: Change, place: int, following: int) -> None:
        talk, slot = change.conversation, change.conversation.slot
        if change.transaction is None or slot not in self._talks:
            now = self._talks[slot] = _as_it_was(change)
            self.talks.append((place, slot, now))
        direction = slot * 2 + change.to_client
        side = self._sides.get(direction)
        if side is None:
            side = self._sides[direction] = Side()
        if change.transaction is None:
            side.detected = True
            side.events.update(talk.events)
        else:
            side.changes[change.transaction] = change.progress
            step = (change.transaction.number, change.progress)
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

    def end(self, slot: int) -> Iterator[Work]:
        """Yield what a flow that ended still holds, and forget the flow."""
        talk = self._talks.pop(slot, None)
        for direction in (slot * 2, slot * 2 + 1):
            side = self._sides.get(direction)
            if side is not None and (side.data or side.changes):
                changed = [(one, far, one.progress(not direction & 1)) for one, far in side.changes.items()]
                chunk = _chunk(side)
                events = frozenset(side.events)
                yield Work(NEVER, direction, chunk, side.last, changed, side.detected, events, talk)
            if side is not None:
                del self._sides[direction]
                self._late.discard(direction)


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


Item = Run | Change


def _merged(rows: Rows, runs: list[Run], changes: list[Change]) -> Iterator[tuple[int, int, Item]]:
    """Yield runs and changes with their place and that of their direction's next packet, in time; a packet's runs before its changes."""
    ran = np.fromiter((run.slot * 2 + run.to_client for run in runs), np.int64, len(runs))
    changed = np.fromiter((one.conversation.slot * 2 + one.to_client for one in changes), np.int64, len(changes))
    return _together(_placed(rows, runs, ran), _placed(rows, changes, changed))


def _placed(rows: Rows, items: Sequence[Item], directions: I64) -> list[tuple[int, int, Item]]:
    place = np.append(rows.place, NEVER)[np.fromiter((item.row for item in items), np.int64, len(items))]
    following = rows.next(directions, place)
    found = list(zip(place.tolist(), following.tolist(), items, strict=True))
    if (place[1:] < place[:-1]).any():
        found.sort(key=lambda one: one[0])
    return found


def _together(one: list[tuple[int, int, Item]], other: list[tuple[int, int, Item]]) -> Iterator[tuple[int, int, Item]]:
    """Merge two lists that are in order; of equal places the first list's go first."""
    at = 0
    places = [item[0] for item in one]
    for item in other:
        until = bisect_right(places, item[0], at)
        yield from one[at:until]
        at = until
        yield item
    yield from one[at:]
