"""The engine: a ruleset held against what decoding, flows, streams and protocols say of each block, packet by packet in time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from collectors.traffic.block import Block, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import Change, Conversation, Transaction
from collectors.traffic.rules.engine.counts import SYN, Counts
from collectors.traffic.rules.engine.evaluate import IN_STREAM, Evaluator
from collectors.traffic.rules.engine.plan import IP_ONLY, PACKET, TRANSACTION, Compiled, order
from collectors.traffic.rules.engine.prefilters import Prefilters
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.verdicts import Alert, Match, Verdicts
from collectors.traffic.rules.engine.view import TCP, UDP, Packet
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.streams.news import News
from contracts.record import Record

CHUNK = 2560
"""Bytes of a stream that are looked at together, unless a transaction or the stream ends sooner (Suricata's stock chunk size)."""

FAST_OPEN = 34
"""The number of TCP's option Fast Open (RFC 7413)."""


class EngineOptions(Record):
    """How rules act. `inline`: packets wait for the verdict, so that `drop` drops."""

    inline: bool = False


@dataclass(slots=True)
class Side:
    """What waits to be looked at of one direction of a flow: stream bytes, transactions, and the conversation's own news."""

    data: list[bytes] = field(default_factory=list)
    size: int = 0
    last: bytes = b""
    due: bool = False
    changes: dict[Transaction, int] = field(default_factory=dict)
    step: tuple[int, int] = (-1, -1)
    detected: bool = False
    events: set[str] = field(default_factory=set)

    def chunk(self) -> bytes:
        """Take the stream bytes that wait."""
        data = b"".join(self.data)
        self.data, self.size, self.due = [], 0, False
        if data:
            self.last = data
        return data


class Engine:
    """A ruleset at work. `feed` takes every block once, in order."""

    def __init__(self, rules: Iterable[Rule], flows: Columns, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        self.sets = HeaderSets()
        self.rules = [Compiled(rule, self.sets, lambda test, whole: Matcher(test, whole.base64)) for rule in rules]
        order(self.rules)
        self.filters = Prefilters(self.rules)
        self.verdicts = Verdicts(self.options.inline)
        self.evaluator = Evaluator(self.sets, self.verdicts.memory)
        self._ip_rules = [one for one in self.rules if one.kind == IP_ONLY]
        self._flows = flows
        self._counts = Counts(self.rules)
        self._sides: dict[tuple[int, bool], Side] = {}
        self._talks: dict[int, Conversation] = {}
        self._ip_done: set[tuple[int, bool]] = set()
        self._tx_rules: dict[tuple[str, int], list[Compiled]] = {}
        self._streamed: set[int] = set()

    def feed(
        self, block: Block, table: Table, batch: Batch, news: News, changes: list[Change], flows: Columns
    ) -> list[Alert]:
        """Return the alerts of a block, in the order of its packets."""
        self._flows = flows
        alerts: list[Alert] = []
        slots = batch.flow_of_rows(len(table))
        sides = np.zeros(len(table), np.bool_)
        sides[batch.rows] = batch.to_client
        sides[batch.related] = batch.related_to_client
        established = self._established(table, batch, news, sides, slots)
        events: dict[int, list[str]] = {}
        for event in news.events:
            events.setdefault(event.row, []).append(event.name)
        waiting = _by_row(news, changes)
        always = self.filters.always_mask(table)
        order_of_rows = np.argsort(table.packet, kind="stable").tolist()
        for row in order_of_rows:
            for item in waiting.get(row, ()):
                self._take(item)
            packet = Packet(block, table, flows, row, int(slots[row]), bool(sides[row]))
            packet.established = bool(established[row])
            packet.accepted = bool(news.accepted[row])
            packet.stream_events = tuple(events.get(row, ()))
            self._counts.see(packet)
            if packet.protocol == TCP and packet.slot >= 0:
                # What the session refuses (a bad checksum, say) belongs to the flow all the same, and is looked at by itself.
                if packet.established:
                    self._streamed.add(packet.slot)
                elif not packet.accepted:
                    packet.established = packet.slot in self._streamed
                packet.streamed = packet.accepted and (packet.slot in self._streamed or _opens_fast(packet))
            alerts += self._packet(packet, always)
        for item in waiting.get(-1, ()):
            self._take(item)
        for ended in batch.ended:
            for slot, flow in zip(ended.slots.tolist(), range(len(ended)), strict=True):
                alerts += self._flow_end(block, table, ended.columns, slot, flow)
        return alerts

    def _established(self, table: Table, batch: Batch, news: News, sides: Bools, slots: object) -> Bools:
        found = news.established.copy()
        for number in range(len(batch.flow)):
            rows = batch.rows[batch.starts[number] : batch.ends[number]]
            if not len(rows) or table.protocol[rows[0]] == TCP:
                continue
            slot = int(batch.flow[number])
            way = sides[rows]
            later = int(self._flows.packets_to_client[slot]) - int(way.sum())
            answered = np.maximum.accumulate(way) | (later > 0)
            found[rows] = answered
        del slots
        return found

    def _take(self, item: object) -> None:
        """Note stream bytes or a change, to be looked at with the direction's next packet."""
        if isinstance(item, Change):
            slot = item.conversation.slot
            if item.transaction is None or slot not in self._talks:
                protocol, to_server, to_client, original = item.protocols
                self._talks[slot] = replace(
                    item.conversation, protocol=protocol, by_side=[to_server, to_client], original=original
                )
            side = self._side(slot, item.to_client)
            if item.transaction is None:
                side.detected = True
                side.events.update(item.conversation.events)
            else:
                side.changes[item.transaction] = item.progress
                step = (item.transaction.number, item.progress)
                if step != side.step:
                    # More of the same (a body, the lines of a mail) does not end the piece of the stream that waits.
                    side.step, side.due = step, True
            return
        run = item
        side = self._side(run.slot, run.to_client)  # type: ignore[attr-defined]
        self._streamed.add(run.slot)  # type: ignore[attr-defined]
        if run.data:  # type: ignore[attr-defined]
            side.data.append(run.data)  # type: ignore[attr-defined]
            side.size += len(run.data)  # type: ignore[attr-defined]
        if side.size >= CHUNK or run.end or self.options.inline:  # type: ignore[attr-defined]
            side.due = True

    def _side(self, slot: int, to_client: bool) -> Side:
        found = self._sides.get((slot, to_client))
        if found is None:
            found = self._sides[slot, to_client] = Side()
        return found

    def _packet(self, packet: Packet, always: dict[int, list[Compiled]]) -> list[Alert]:
        """Hold the rules against one packet, and what waits for its direction."""
        if self.verdicts.skips(packet):
            return []
        matched: list[Match] = []
        side = self._sides.get((packet.slot, packet.to_client)) if packet.slot >= 0 else None
        talk = self._talks.get(packet.slot)
        key = (packet.slot, packet.to_client)
        if packet.slot < 0 or key not in self._ip_done:
            if packet.slot >= 0:
                self._ip_done.add(key)
            for one in self._ip_rules:
                if self.evaluator.packet(one, packet, talk, b"", None):
                    self.verdicts.change(one, packet)
                    matched.append((one, None, True))
        chunk = side.chunk() if side is not None and side.due else b""
        for one in self.filters.packet(packet, chunk, always):
            if found := self.evaluator.packet(one, packet, talk, chunk, side):
                self.verdicts.change(one, packet)
                matched.append((one, None, found == IN_STREAM))
        if side is not None and side.changes:
            matched += self._transactions(packet, side, talk, chunk)
        if side is not None:
            side.detected = False
            side.events.clear()
        return self.verdicts.settle(packet, matched, talk) if matched else []

    def _transactions(self, packet: Packet, side: Side, talk: Conversation | None, chunk: bytes) -> Iterator[Match]:
        changed, side.changes = side.changes, {}
        if talk is None:
            return
        other = self._sides.get((packet.slot, not packet.to_client))
        for transaction, progress in changed.items():
            across = _reached(transaction, other, packet)
            for one in self.filters.transaction(transaction, talk.protocol, packet.to_client, progress):
                if self.verdicts.spoken(packet, one, transaction):
                    continue
                if self.evaluator.transaction(one, packet, talk, transaction, (progress, across), chunk or side.last):
                    self.verdicts.speak(packet, one, transaction)
                    self.verdicts.change(one, packet)
                    yield one, transaction, True

    def _flow_end(self, block: Block, table: Table, ended: Columns, slot: int, flow: int) -> list[Alert]:
        """Look at what a flow's end released, and forget the flow."""
        alerts: list[Alert] = []
        for to_client in (False, True):
            side = self._sides.get((slot, to_client))
            if side is not None and (side.data or side.changes):
                side.due = True
                ending = Ending(block, table, ended, flow, slot, to_client)
                ending.sizes = self._counts.sizes(slot)
                alerts += self._packet(ending, {})
            self._sides.pop((slot, to_client), None)
            self._ip_done.discard((slot, to_client))
        self._talks.pop(slot, None)
        self._streamed.discard(slot)
        self._counts.forget(slot)
        self.verdicts.forget(slot)
        return alerts


class Ending(Packet):
    """The end of a flow in the place of a packet: ends and direction of the flow, no headers and no payload."""

    def __init__(self, block: Block, table: Table, ended: Columns, flow: int, slot: int, to_client: bool) -> None:
        self.block, self.table, self.flows = block, table, ended
        self.row, self.slot, self.place, self.to_client = -1, slot, flow, to_client
        self.established = self.accepted = self.streamed = self.pseudo = True
        self.stream_events = ()
        self.sizes = None
        self.counts = None
        self.begins = False
        self.protocol, self.family, self.flags = int(ended.protocol[flow]), int(ended.family[flow]), 0
        ends = [
            int(getattr(ended, f"{end}_hi")[flow]) << 64 | int(getattr(ended, f"{end}_lo")[flow])
            for end in ("src", "dst")
        ]
        ports = [int(ended.sport[flow]), int(ended.dport[flow])]
        if to_client:
            ends.reverse()
            ports.reverse()
        self.__dict__.update(
            source=ends[0],
            destination=ends[1],
            sport=ports[0],
            dport=ports[1],
            ported=self.protocol in (TCP, UDP),
            time_ns=int(ended.last_ns[flow]),
            number=0,
            payload=b"",
            header3=b"",
            header4=b"",
        )


def _reached(transaction: Transaction, side: Side | None, packet: Packet) -> int:
    """Return how far the other side of a transaction was as of a packet: a block is parsed as a whole, and may be ahead."""
    if packet.pseudo:
        return transaction.progress(not packet.to_client)
    number, progress = side.step if side is not None else (-1, -1)
    if number == transaction.number:
        return progress
    return transaction.progress(not packet.to_client) if number > transaction.number else -1


def _opens_fast(packet: Packet) -> bool:
    """Return whether a packet opens its session with data (TCP Fast Open): the stream looks at that, later."""
    if packet.to_client or not packet.payload or not int(packet.table.tcp_flags[packet.row]) & SYN:
        return False
    return FAST_OPEN in packet.tcp_options


def _by_row(news: News, changes: list[Change]) -> dict[int, list[object]]:
    """Return runs and changes by the packet that released them, runs first."""
    found: dict[int, list[object]] = {}
    for run in news.runs:
        found.setdefault(run.row, []).append(run)
    for change in changes:
        found.setdefault(change.row, []).append(change)
    return found


__all__ = ["PACKET", "TRANSACTION", "Alert", "Engine", "EngineOptions"]
