"""The engine: a ruleset held against what decoding, flows, streams and protocols say of each block, packet by packet in time."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from collectors.traffic.block import I64, Block
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import Change, Conversation
from collectors.traffic.rules.engine.addresses import AddressIndex
from collectors.traffic.rules.engine.buffers import BufferFilters
from collectors.traffic.rules.engine.candidates import Candidates
from collectors.traffic.rules.engine.counts import Counts
from collectors.traffic.rules.engine.ending import Ending
from collectors.traffic.rules.engine.evaluate import IN_STREAM, Evaluator
from collectors.traffic.rules.engine.followed import Followed
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.lasting import Lasting
from collectors.traffic.rules.engine.needs import Needs, headers_of
from collectors.traffic.rules.engine.plan import IP_ONLY
from collectors.traffic.rules.engine.prefilters import Prefilters
from collectors.traffic.rules.engine.prepared import Book, Prepared, prepare
from collectors.traffic.rules.engine.rows import Rows, Sessions
from collectors.traffic.rules.engine.spoken import Spoken
from collectors.traffic.rules.engine.verdicts import Alert, Match, Verdicts
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.rules.engine.waiting import Talked, Waiting, Work
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.streams.news import News
from contracts.record import Record


class EngineOptions(Record):
    """How rules act. `inline`: packets wait for the verdict, so that `drop` drops."""

    inline: bool = False


class Engine:
    """A ruleset at work. `feed` takes every block once, in order. `evaluated` counts whole evaluations of rules, by what was looked at."""

    def __init__(self, rules: Iterable[Rule] | Prepared, flows: Columns, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        prepared = rules if isinstance(rules, Prepared) else prepare(rules)
        self.book = Book(prepared)
        listed = AddressIndex(self.book.sets, prepared.listed)
        self._filters = Prefilters(kept=prepared.packets)
        groups = [headers_of(prepared.needs, rules) for rules in self._filters.rules()]
        following, speaking = len(groups), len(groups) + 1
        groups += [headers_of(prepared.needs, np.array(prepared.streaming, np.int64)), *prepared.spoken.values()]
        asked = {*prepared.asked, *_other_sides(self.book, prepared, listed)}
        kinds = HeaderKinds(self.book.sets, asked, groups)
        self._buffers = BufferFilters(kept=(prepared.buffers, prepared.open_buffers))
        needs = Needs(prepared.needs, kinds)
        self._candidates = Candidates(
            needs,
            kinds,
            Spoken(kinds, speaking, list(prepared.spoken)),
            self._filters,
            self._buffers,
            listed,
            [self.book[number] for number in prepared.unlisted],
            len(self.book),
        )
        self.verdicts = Verdicts(self.options.inline)
        self.evaluator = Evaluator(self.book.sets, self.verdicts.memory, prepared.lists)
        self.evaluated: Counter[str] = Counter()
        digested = {one.name.partition(":")[0] for one in prepared.lists}
        self.digests = tuple(name for name in ("md5", "sha1", "sha256") if f"file{name}" in digested)
        """Of files, for whoever parses protocols: the rules look them up."""
        self._listed = [number for number, _ in prepared.listed]
        self._counts = Counts(prepared.counting, prepared.sizing)
        self._sessions = Sessions(len(flows))
        self._waiting = Waiting(self.options.inline, bool(prepared.streaming))
        self._followed = Followed(kinds, following)
        self._talks: dict[int, Conversation] = {}
        again = [self.book[number] for number in prepared.again]
        self._lasting = Lasting(again, needs) if again else None

    @property
    def found(self) -> Counter[str]:
        """How many pairs of packet and rule were found to be worth a look, by the way they were found, and how many were left of them."""
        return self._candidates.counts

    def take_over(self, former: "Engine") -> None:
        """Go on where another ruleset's engine is: its flows, what waits of them, their bits and counters stay; thresholds begin anew.

        What no rule of the former one asked for (counts of packets and bytes, sizes of streams) is counted from now on.
        """
        self._talks, self._sessions = former._talks, former._sessions
        self._waiting.take_over(former._waiting)
        if self._counts.like(former._counts):
            self._counts = former._counts
        self.verdicts.take_over(former.verdicts)
        self.evaluator.memory = self.verdicts.memory
        self.evaluator.lookups.take_over(former.evaluator.lookups)
        if self._lasting is not None and former._lasting is not None:
            self._lasting.take_over(former._lasting)

    def feed(
        self, block: Block, table: Table, batch: Batch, news: News, changes: list[Change], flows: Columns
    ) -> list[Alert]:
        """Return the alerts of a block, in the order of its packets."""
        alerts: list[Alert] = []
        if not len(self.book):
            return alerts
        rows = Rows(block, table, flows, batch, news)
        self._sessions.see(rows, batch, news)
        self._counts.see(rows, batch)
        self._followed.see(rows, batch)
        self._waiting.feed(rows, news, changes, self._followed)
        work = self._waiting.work
        places, rules = self._candidates.find(rows, work)
        self._candidates.transactions(rows, work)
        if self._lasting is not None:
            self._lasting.add(rows, work)
        talks = iter(self._waiting.talks)
        following: Talked | None = next(talks, None)
        for place, numbers, due in _turns(places, rules, work):
            while following is not None and following[0] <= place:
                self._talks[following[1]] = following[2]
                following = next(talks, None)
            alerts += self._turn(rows, int(rows.row_at[place]), numbers, due)
        while following is not None:
            self._talks[following[1]] = following[2]
            following = next(talks, None)
        self._end(block, table, batch, alerts)
        for late in self._waiting.take_late(_let_go(changes)):
            slot = late.direction >> 1
            ending = Ending(block, table, flows, slot, slot, late.direction & 1)
            alerts += self._flow_end(ending, late, [])
        self._waiting.done()
        self._waiting.rest(self._talks)
        return alerts

    def _turn(self, rows: Rows, row: int, numbers: list[int], work: Work | None) -> list[Alert]:
        """Evaluate what is worth a look at one packet."""
        slot = int(rows.slots[row])
        if slot in self.verdicts.left:
            return []
        packet: Packet | None = None
        talk = self._talks.get(slot)
        matched: list[Match] = []
        evaluator, verdicts, known = self.evaluator, self.verdicts, self.book.known
        for number in numbers:
            one = known.get(number) or self.book[number]
            if one.bits and evaluator.asks_in_vain(one, slot):
                continue
            if packet is None:
                packet = self._packet(rows, row)
            self.evaluated["packet"] += 1
            if found := evaluator.packet(one, packet, talk, work, True):
                verdicts.change(one, packet)
                matched.append((one, None, found == IN_STREAM or one.kind == IP_ONLY))
        if work is not None and work.rules and talk is not None:
            if packet is None:
                packet = self._packet(rows, row)
            matched += self._transactions(packet, work, talk, proven=True)
        return verdicts.settle(packet, matched, talk) if packet is not None and matched else []

    def _packet(self, rows: Rows, row: int) -> Packet:
        packet = rows.packet(row)
        self._counts.tell(packet)
        return packet

    def _transactions(self, packet: Packet, work: Work, talk: Conversation, proven: bool) -> Iterator[Match]:
        chunk = work.chunk or work.last
        payload = chunk if packet.protocol == TCP else packet.payload
        for (transaction, progress, across), numbers in zip(work.changes, work.rules, strict=True):
            for number in numbers:
                one = self.book.known.get(number) or self.book[number]
                if (one.literal and one.literal not in payload) or self.verdicts.spoken(packet, one, transaction):
                    continue
                self.evaluated["transaction"] += 1
                reached = (progress, across)
                if self.evaluator.transaction(one, packet, talk, transaction, reached, chunk, proven):
                    if self._lasting is None or not self._lasting.lasts(number, progress):
                        self.verdicts.speak(packet, one, transaction)
                    self.verdicts.change(one, packet)
                    yield one, transaction, True

    def _end(self, block: Block, table: Table, batch: Batch, alerts: list[Alert]) -> None:
        """Look at what the ends of flows released, and forget the flows."""
        for ended in batch.ended:
            slots = ended.slots.tolist()
            for flow, work in self._waiting.end(slots):
                found = self._at_end(work, int(ended.columns.protocol[flow]))
                if found or work.changes:
                    ending = Ending(block, table, ended.columns, flow, slots[flow], work.direction & 1)
                    alerts += self._flow_end(ending, work, found)
            for slot in slots:
                self._talks.pop(slot, None)
            self.verdicts.forget(slots)
            if self._lasting is not None:
                self._lasting.forget(slots)
            self._sessions.end(ended.slots)
            self._followed.end(ended.slots)
            self._counts.end(ended.slots)

    def _at_end(self, work: Work, protocol: int) -> list[int]:
        """Return the rules to evaluate for what the end of a flow released."""
        numbers = [] if self._sessions.begun[work.direction] else list(self._listed)
        found = set(self._candidates.at_end)
        if work.chunk and protocol == TCP:
            streams = self._filters.streams.sides[work.direction & 1]
            found |= streams.rules(streams.find(work.chunk))
        return numbers + sorted(found)

    def _flow_end(self, ending: Ending, work: Work, found: list[int]) -> list[Alert]:
        """Evaluate what the end of a flow released, or what is let go of before it."""
        if ending.slot in self.verdicts.left:
            return []
        ending.sizes = self._counts.sizes(ending.slot)
        talk = self._talks.get(ending.slot)
        matched: list[Match] = []
        for number in found:
            one = self.book[number]
            self.evaluated["end"] += 1
            if stream := self.evaluator.packet(one, ending, talk, work, False):
                self.verdicts.change(one, ending)
                matched.append((one, None, stream == IN_STREAM or one.kind == IP_ONLY))
        if work.changes and talk is not None:
            owner = int(ending.flows.serial[ending.place])
            work.rules = self._buffers.find(
                [(owner, transaction, talk.protocol, ending.to_client) for transaction, _, _ in work.changes]
            )
            matched += self._transactions(ending, work, talk, proven=False)
        return self.verdicts.settle(ending, matched, talk) if matched else []


def _let_go(changes: list[Change]) -> list[int]:
    """Return the flows that go on though what they held is let go of behind this block: their changes come last."""
    slots: list[int] = []
    for change in reversed(changes):
        if change.row >= 0:
            break
        if change.last:
            slots.append(change.conversation.slot)
    return slots


def _turns(places: I64, rules: I64, work: list[Work]) -> Iterator[tuple[int, list[int], Work | None]]:
    """Yield each place with the rules to be evaluated there and the work that came due there, in order; work without rules is left out."""
    due = {one.place: one for one in work}
    first = np.flatnonzero(np.append(True, places[1:] != places[:-1])) if len(places) else places
    where, begins = places[first].tolist(), np.append(first, len(places)).tolist()
    numbers = rules.tolist()
    alone = sorted({one.place for one in work if one.rules and any(one.rules)} - set(where))
    at = 0
    for index, place in enumerate(where):
        while at < len(alone) and alone[at] < place:
            yield alone[at], [], due[alone[at]]
            at += 1
        yield place, numbers[begins[index] : begins[index + 1]], due.get(place)
    for place in alone[at:]:
        yield place, [], due[place]


def _other_sides(book: Book, prepared: Prepared, listed: AddressIndex) -> Iterator[int]:
    """Yield the address sets of rules about addresses that the index has not looked up."""
    for rule, header in prepared.listed:
        if header >= 0:
            source, _, destination, _ = book.sets.headers[header]
            yield from {source, destination} - {listed.found_by.get(rule, -1)}


__all__ = ["Alert", "Engine", "EngineOptions"]
