"""What waits to be looked at of each direction of a flow, and with which packet its time comes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Final

import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.protocols.news import Change, Conversation, Transaction
from collectors.traffic.rules.engine.followed import Followed
from collectors.traffic.rules.engine.rows import NEVER, Rows
from collectors.traffic.streams.news import News, Run

CHUNK = 2640
"""Bytes of a stream that are looked at together, unless a transaction or the stream ends sooner. Suricata draws the number anew at each
start, from 2,432 to 2,688 with its stock configuration; this is one that the run may have drawn which `docs/traffic-verify.md` tells of.
"""

MOST_LATE: Final = 64
"""Transactions of a direction that wait for its next packet; with more of them they are looked at without one."""
TOGETHER: Final = 8
"""Of these, so many at once: there is a bound to the alerts of one packet."""
MOST_BYTES: Final = 32 << 20
"""What finished transactions may hold, of all flows, that wait for their direction's next packet; of more, those that wait longest are
looked at without one."""
MANY: Final = 16_384
"""Directions of datagrams of which nothing waits are forgotten when there are more than these."""

Talked = tuple[int, int, Conversation]
"""From a place in the block on, what is known of a slot's conversation."""


_NONE: frozenset[str] = frozenset()
_place = attrgetter("place")
_since = itemgetter(0)
_NO_STEP = (-1, -1)
"""What a side has reached before anything is known of it: transaction, progress."""


class Side:
    """What waits of one direction: stream bytes, transactions, and the conversation's own news. `at` is the place of its next packet.

    `changes` and `events` are None while there are none: most directions never have any.
    """

    __slots__ = ("at", "changes", "data", "detected", "due", "events", "last", "size", "step")

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.size = 0
        self.last = b""
        self.due = False
        self.changes: dict[Transaction, int] | None = None
        self.step = _NO_STEP
        self.detected = False
        self.events: frozenset[str] = _NONE
        self.at = NEVER

    def idle(self) -> bool:
        """Return whether nothing waits."""
        return self.at == NEVER and not self.data and not self.changes and not self.detected and not self.events


class Work:
    """What a packet brings to be looked at beside its own payload: a piece of the stream, transactions, news of the conversation.

    `last` is the piece that was looked at last, if need be an earlier one. `changes`: transaction, how far this side of it is, how far
    the other one was by then; `rules` (filled in by `Candidates`) those to be evaluated for each of them. `talk` is the conversation of
    `changes` as it was then.
    """

    __slots__ = ("changes", "chunk", "detected", "direction", "events", "last", "place", "rules", "talk")

    def __init__(self, place: int, direction: int, side: Side, chunk: bytes) -> None:
        self.place = place
        self.direction = direction
        self.chunk = chunk
        self.last = side.last
        self.changes: Sequence[tuple[Transaction, int, int]] = ()
        self.detected = side.detected
        self.events = side.events
        self.talk: Conversation | None = None
        self.rules: Sequence[list[int]] = ()


class Waiting:
    """All directions of all flows. `feed` takes a block's news; `work` and `talks` are its result, in the order of places."""

    def __init__(self, inline: bool, streams: bool = True) -> None:
        """`streams`: somebody looks at the bytes of streams."""
        self._in_line = inline
        self._streams = streams
        self._sides: dict[int, Side] = {}
        self._talks: dict[int, Conversation] = {}
        self._late: dict[int, int] = {}
        """Directions of which something waits for a packet that the block did not bring, those that wait longest first; by bytes held."""
        self._late_bytes = 0
        self._fresh: set[int] = set()
        self._crowded: set[int] = set()
        self._most = MANY
        self._past = Past()
        self.work: list[Work] = []
        self.talks: list[Talked] = []

    def take_over(self, former: "Waiting") -> None:
        """Go on with what waits for another ruleset."""
        self._sides, self._talks, self._late = former._sides, former._talks, former._late
        self._late_bytes, self._fresh, self._most = former._late_bytes, former._fresh, former._most

    def feed(self, rows: Rows, news: News, changes: list[Change], followed: Followed | None = None) -> None:
        """Take what a block brought, and find the packets with which it is looked at; what is not `followed` does not wait."""
        self.work, self.talks = [], []
        runs = news.runs if self._streams else []
        arrived = _Arrived(runs, changes)
        count = len(runs)
        numbers = np.arange(count + len(changes))
        if followed is not None and count:
            numbers = np.append(np.flatnonzero(followed.wants(arrived.directions[:count])), numbers[count:])
        directions = arrived.directions[numbers]
        places = np.append(rows.place, len(rows))[arrived.rows[numbers]]
        following = rows.next(directions, places)
        self._note(changes, places[len(places) - len(changes) :].tolist())
        if self._late:
            self._wake(rows)
        # A packet's runs come before its changes.
        turn = places * 2 + (numbers >= count)
        order = np.argsort(directions * (2 * len(rows) + 2) + turn, kind="stable")
        columns = (numbers, directions, places, following)
        items = zip(*(column[order].tolist() for column in columns), strict=True)
        self._follow(items, arrived, changes)
        if self._past.woken:
            for direction in self._past.woken.difference(directions.tolist()):
                self._take(direction, self._sides[direction])
        self.work.sort(key=_place)

    def _note(self, changes: list[Change], places: list[int]) -> None:
        """Note, in time, what is known of conversations and how far sides of transactions are from which place on."""
        self._past = past = Past()
        talks, steps = self._talks, past.steps
        for number in sorted(range(len(places)), key=places.__getitem__):
            change, place = changes[number], places[number]
            slot, transaction = change.conversation.slot, change.transaction
            if transaction is None or slot not in talks:
                if slot not in past.talks:
                    past.talks[slot] = [(-1, talks.get(slot))]
                now = talks[slot] = _as_it_was(change)
                self.talks.append((place, slot, now))
                past.talks[slot].append((place, now))
            if transaction is not None:
                direction = slot * 2 + change.to_client
                known = steps.get(direction)
                if known is None:
                    side = self._sides.get(direction)
                    known = steps[direction] = [(-1, side.step if side is not None else _NO_STEP)]
                known.append((place, (transaction.number, change.progress)))

    def _wake(self, rows: Rows) -> None:
        """Find the first packets of directions that have something waiting from an earlier block."""
        late = np.fromiter(self._late, np.int64, len(self._late))
        places = rows.next(late, np.zeros(len(late), np.int64))
        for direction, place in zip(late.tolist(), places.tolist(), strict=True):
            if place != NEVER:
                self._late_bytes -= self._late.pop(direction)
                self._sides[direction].at = place
                self._past.woken.add(direction)

    def _follow(self, items: Iterable[tuple[int, int, int, int]], arrived: "_Arrived", changes: list[Change]) -> None:
        """Take what came, direction by direction, in time. `items`: runs and changes by their number (changes behind the runs), each with
        its direction, its place, and the place of the direction's next packet.
        """
        sides, in_line = self._sides, self._in_line
        pieces, ends = arrived.pieces, arrived.ends
        count = len(pieces)
        now, side = -1, Side()
        for number, direction, place, behind in items:
            if direction != now:
                if side.at != NEVER:
                    self._take(now, side)
                now, known = direction, sides.get(direction)
                if known is None:
                    known = sides[direction] = Side()
                side = known
            if side.at < place:
                self._take(direction, side)
            if number < count:
                data = pieces[number]
                if data:
                    side.data.append(data)
                    side.size += len(data)
                if side.size < CHUNK and not ends[number] and not in_line:
                    continue
                side.due = True
            else:
                _change(side, changes[number - count])
            if side.at == NEVER:
                side.at = behind
                if behind == NEVER:
                    self._late.setdefault(direction, 0)
                    self._fresh.add(direction)
                    if side.changes is not None and len(side.changes) > MOST_LATE:
                        self._crowded.add(direction)
        if side.at != NEVER:
            self._take(now, side)

    def _take(self, direction: int, side: Side) -> None:
        """Hand over what waits of a direction: its next packet is here."""
        place, changes = side.at, side.changes
        side.at = NEVER
        chunk = _chunk(side) if side.due and side.data else b""
        side.due = False
        if changes:
            work = Work(place, direction, side, chunk)
            work.talk = self._past.talk(direction >> 1, place, self._talks)
            work.changes = self._changes(direction, place, changes)
            side.changes = None
        elif chunk or side.detected or side.events:
            work = Work(place, direction, side, chunk)
        else:
            return
        self.work.append(work)
        side.detected, side.events = False, _NONE

    def _changes(
        self, direction: int, place: int, changes: dict[Transaction, int]
    ) -> list[tuple[Transaction, int, int]]:
        """Return transactions, how far this side of each is, and how far the other one was at a place."""
        other = direction ^ 1
        step = self._past.step(other, place, self._sides.get(other))
        to_client = bool(direction & 1)
        return [
            (transaction, progress, _reached(transaction, step, to_client)) for transaction, progress in changes.items()
        ]

    def done(self) -> None:
        """Forget what was handed over: what it refers to need not stay while the next block is read."""
        self.work, self.talks, self._past = [], [], Past()

    def take_late(self, slots: Iterable[int]) -> Iterator[Work]:
        """Yield the transactions that wait of flows that go on, of directions of which many wait, and of those that wait longest where all
        hold too much; the streams' bytes wait on.
        """
        crowded, self._crowded = self._crowded, set()
        self._weigh()
        if self._late_bytes > MOST_BYTES:
            crowded |= self._oldest(self._late_bytes - MOST_BYTES + MOST_BYTES // 8)
        for direction in sorted({*(slot * 2 for slot in slots), *(slot * 2 + 1 for slot in slots), *crowded}):
            side = self._sides.get(direction)
            if side is None or not side.changes:
                continue
            changes = _as_of_now(side.changes, direction)
            side.changes = None
            if direction in self._late:
                self._late_bytes -= self._late[direction]
                self._late[direction] = 0
            for first in range(0, len(changes), TOGETHER):
                work = Work(NEVER, direction, side, b"")
                work.talk = self._talks.get(direction >> 1)
                work.changes = changes[first : first + TOGETHER]
                yield work

    def _weigh(self) -> None:
        """Add up what those hold that wait since this block; what has not ended is in the account of the protocols."""
        late, sides = self._late, self._sides
        for direction in self._fresh:
            side = sides.get(direction)
            if side is None or direction not in late:
                continue
            size = 0
            if side.changes is not None:
                for transaction in side.changes:
                    if transaction.done:
                        size += transaction.held()
            self._late_bytes += size - late[direction]
            late[direction] = size
        self._fresh.clear()

    def _oldest(self, much: int) -> set[int]:
        """Return the directions that wait longest and hold so much together."""
        found: set[int] = set()
        for direction, size in self._late.items():
            if much <= 0:
                break
            if size:
                found.add(direction)
                much -= size
        return found

    def rest(self, talks: dict[int, Conversation]) -> None:
        """Forget what is known of datagrams of DNS where many have come from everywhere: each of their messages says all of it anew."""
        if len(self._sides) <= self._most:
            return
        for direction in [direction for direction, side in self._sides.items() if side.idle()]:
            slot = direction >> 1
            talk = self._talks.get(slot)
            if talk is not None and talk.resting():
                del self._sides[direction]
                if direction ^ 1 not in self._sides:
                    self._talks.pop(slot, None)
                    talks.pop(slot, None)
        self._most = max(MANY, 2 * len(self._sides))

    def end(self, slots: list[int]) -> Iterator[tuple[int, Work]]:
        """Yield what flows that ended still hold, with the flow's place among them, and forget these flows."""
        sides, talks = self._sides, self._talks
        for place, slot in enumerate(slots):
            talk = talks.pop(slot, None)
            for direction in (slot * 2, slot * 2 + 1):
                side = sides.pop(direction, None)
                if side is None:
                    continue
                self._late_bytes -= self._late.pop(direction, 0)
                if side.data or side.changes:
                    work = Work(NEVER, direction, side, _chunk(side))
                    work.last, work.talk = side.last, talk
                    work.changes = _as_of_now(side.changes or {}, direction)
                    yield place, work


class Past:
    """What was known from which place of a block on: of conversations by slot, of sides of transactions by direction."""

    __slots__ = ("steps", "talks", "woken")

    def __init__(self) -> None:
        self.talks: dict[int, list[tuple[int, Conversation | None]]] = {}
        self.steps: dict[int, list[tuple[int, tuple[int, int]]]] = {}
        self.woken: set[int] = set()

    def talk(self, slot: int, place: int, now: dict[int, Conversation]) -> Conversation | None:
        """Return the conversation of a slot as it was at a place."""
        known = self.talks.get(slot)
        if known is None:
            return now.get(slot)
        return known[bisect_right(known, place, key=_since) - 1][1]

    def step(self, direction: int, place: int, side: Side | None) -> tuple[int, int]:
        """Return the last transaction of a direction (`side`) as of a place, and how far it was."""
        known = self.steps.get(direction)
        if known is None:
            return side.step if side is not None else _NO_STEP
        return known[bisect_right(known, place, key=_since) - 1][1]


class _Arrived:
    """What a block brought: directions (slot * 2 + to client) and rows of runs, then of changes; bytes and ends of the runs."""

    __slots__ = ("directions", "ends", "pieces", "rows")

    def __init__(self, runs: list[Run], changes: list[Change]) -> None:
        pieces: list[bytes] = []
        ends: list[int] = []
        directions: list[int] = []
        rows: list[int] = []
        for run in runs:
            slot, to_client, _, data, _, row, _, end = run
            pieces.append(data)
            ends.append(end)
            directions.append(slot * 2 + to_client)
            rows.append(row)
        for change in changes:
            directions.append(change.conversation.slot * 2 + change.to_client)
            rows.append(change.row)
        self.pieces, self.ends = pieces, ends
        self.directions: I64 = np.array(directions, np.int64)
        self.rows: I64 = np.array(rows, np.int64)


def _change(side: Side, change: Change) -> None:
    """Take a change of a conversation or a transaction."""
    transaction = change.transaction
    if transaction is None:
        side.detected = True
        side.events = side.events.union(change.conversation.events)
        return
    progress = change.progress
    if side.changes is None:
        side.changes = {transaction: progress}
    else:
        side.changes[transaction] = progress
    step = (transaction.number, progress)
    if step != side.step:
        # More of the same (a body, the lines of a mail) does not end the piece of the stream that waits.
        side.step, side.due = step, True


def _as_it_was(change: Change) -> Conversation:
    """Return the conversation as it was at a change: the one that lives on is that of the block's end."""
    talk = change.conversation
    found = Conversation(talk.slot)
    found.protocol, *found.by_side, found.original = change.protocols
    # Its transactions come with the changes: kept here, those of the beginning would stay until the flow ends.
    found.events, found.encrypted = talk.events, talk.encrypted
    found.datagrams = talk.datagrams
    return found


def _chunk(side: Side) -> bytes:
    """Take the stream bytes that wait."""
    data = b"".join(side.data) if len(side.data) != 1 else side.data[0]
    side.data, side.size, side.due = [], 0, False
    if data:
        side.last = data
    return data


def _as_of_now(changes: dict[Transaction, int], direction: int) -> list[tuple[Transaction, int, int]]:
    """Return transactions, how far this side of each is, and how far the other one is now."""
    other = not direction & 1
    return [(transaction, progress, transaction.progress(other)) for transaction, progress in changes.items()]


def _reached(transaction: Transaction, step: tuple[int, int], to_client: bool) -> int:
    """Return how far the other side of a transaction was as of a packet: a block is parsed as a whole, and may be ahead."""
    number, progress = step
    if number == transaction.number:
        return progress
    return transaction.progress(not to_client) if number > transaction.number else -1
