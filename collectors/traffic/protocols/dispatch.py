"""The protocols of a block: which bytes belong to which conversation, what protocol it speaks, and what its parser makes of them."""

import struct
from collections import Counter
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

import numpy as np

from collectors.traffic.block import U8, Block
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch, Ended
from collectors.traffic.protocols.account import Account
from collectors.traffic.protocols.detect import tcp, udp
from collectors.traffic.protocols.holdings import Holdings
from collectors.traffic.protocols.news import FAILED, UNKNOWN, Change, Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser, Recognised
from collectors.traffic.protocols.registry import parser_of
from collectors.traffic.protocols.talk import Ends, Talk
from collectors.traffic.streams.news import News, Run

MAX_EXPECTED: Final = 4096
"""Data connections that were announced and have not come."""
MAX_DATAGRAMS: Final = 4
"""Datagrams of a flow without a known protocol that are looked at."""

_ROW: Final = attrgetter("row")
_NEW: Final = 0
_LEFT: Final = 255
"""Of a flow of datagrams: none was looked at (else how many, while they show nothing); none is to be looked at any more."""

_BROKEN: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)
"""What a defect in a parser would raise: it ends that conversation's parsing, is counted, and nothing else."""


@dataclass(slots=True)
class ProtocolCounts:
    """What happened since the start: conversations by protocol (Suricata's names, "failed" for those that nothing recognised).

    `bytes_encrypted` are those behind the point from which a conversation is encrypted; `bytes_unparsed` those of conversations that no
    parser reads, from where that was known on. No parser is given either.
    """

    conversations: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    encrypted: int = 0
    bytes_encrypted: int = 0
    bytes_unparsed: int = 0
    bytes_seen: int = 0
    parsers_broken: int = 0
    too_many_transactions: int = 0


class Protocols:
    """The conversations of all flows. `feed` takes each block after the streams have; memory is bounded per flow and freed when it ends."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.counts = ProtocolCounts()
        self._talks: dict[int, Talk] = {}
        limits = limits or Limits()
        self.account = Account(limits.memory)
        self._limits = replace(limits, meter=self.account.meter)
        self._holdings = Holdings(self.account, self._talks)
        self._ends = Ends(None, None, [])
        self._datagrams: U8 = np.zeros(4096, np.uint8)
        self._left_now: set[int] = set()
        self._gone: list[int] = []
        self._finished: dict[int, Conversation] = {}
        self._expected: dict[tuple[tuple[int, int], int], tuple[str, tuple[bool, bytes]]] = {}
        self._changes: list[Change] = []
        self._now_ns = 0

    def hash_files(self, algorithms: tuple[str, ...]) -> None:
        """Compute these digests (md5, sha1, sha256) of files, in conversations that begin from now on."""
        self._limits = replace(self._limits, hash_files=algorithms)

    def conversation(self, slot: int) -> Conversation | None:
        """Return what is known of a flow, or None while that is nothing."""
        talk = self._talks.get(slot)
        return talk.conversation if talk is not None else None

    def feed(self, block: Block, table: Table, batch: Batch, news: News) -> list[Change]:
        """Take a block; returns what changed, in the order of packets."""
        self._settle()
        self._changes = []
        if len(block):
            self._now_ns = int(block.time_ns[-1])
        self._ends = Ends(table, batch, batch.ended)
        self._take_runs(news.runs)
        self._take_datagrams(block, table, batch)
        for ended in batch.ended:
            self._gone += ended.slots.tolist()
        if self.account.over or self.account.meter.grown > self.account.room:
            self._holdings.review(self._now_ns, self._gone)
            self._tell_stopped()
        changes = self._changes
        changes.sort(key=_ROW)
        # What the flows' ends brought comes last.
        behind = 0
        while behind < len(changes) and changes[behind].row < 0:
            behind += 1
        return changes[behind:] + changes[:behind] if behind else changes

    def finish(self, news: News, ended: Ended | None = None) -> list[Change]:
        """Take what the end of flows brings when the sensor stops (`Reassembler.finish`); `ended` says whose first bytes come only now."""
        self._settle()
        self._ends = Ends(None, None, [ended] if ended is not None else [])
        self._changes = []
        self._take_runs(news.runs)
        return self._changes

    def _settle(self) -> None:
        """Forget the flows that ended with the block before, and transactions that finished with it."""
        if self._holdings.stopped:
            self._holdings.drop()
        for slot in self._gone:
            talk = self._talks.pop(slot, None)
            if talk is not None:
                self.account.total -= talk.held
                if talk.parser is not None:
                    talk.parser.release()
        if self._gone:
            gone = np.array(self._gone, np.int64)
            self._datagrams[gone[gone < len(self._datagrams)]] = _NEW
            self._gone = []
        for conversation in self._finished.values():
            conversation.transactions = [one for one in conversation.transactions if not one.done]
        self._finished.clear()

    # Streams

    def _take_runs(self, runs: list[Run]) -> None:
        talks, counts, account = self._talks, self.counts, self.account
        meter = account.meter
        seen = encrypted = unparsed = 0
        for run in runs:
            slot, _, _, data, _, _, _, _ = run
            talk = talks.get(slot)
            if talk is None:
                talk = self._begin(run)
                if talk is None:
                    continue
            size = len(data)
            seen += size
            if not talk.left:
                if not talk.marked:
                    self._holdings.mark(talk, run.time_ns)
                self._run(talk, run)
                if meter.grown > account.room:
                    self._holdings.relieve()
            elif talk.conversation.encrypted:
                encrypted += size
            else:
                unparsed += size
        meter.grown += seen
        counts.bytes_seen += seen
        counts.bytes_encrypted += encrypted
        counts.bytes_unparsed += unparsed

    def _tell_stopped(self) -> None:
        """Have rules look for the last time at what is let go of behind this block."""
        for slot, told in self._holdings.stopped.items():
            talk = self._talks.get(slot)
            if talk is None:
                continue
            talked = talk.conversation
            for transaction, to_client in told:
                change = Change(talked, transaction, to_client, -1, self._now_ns, transaction.progress(to_client))
                change.last = True
                self._changes.append(change)
                if transaction.done and self._finished.get(slot) is not talked:
                    self._finished[slot] = talked
            if talk.parser is not None:
                self._collect(talk, False, -1, self._now_ns)
            elif talked.protocol == UNKNOWN:
                talked.protocol = FAILED
                self.counts.conversations[FAILED] += 1
                self._changes.append(Change(talked, None, False, -1, self._now_ns))

    def _begin(self, run: Run) -> Talk | None:
        """Return a new conversation, None when nothing was said, or nobody knows by whom."""
        if not run.data:
            return None
        facts = self._ends.of_ended(run.slot) if run.row < 0 else self._ends.of(run.slot, False)
        return self._enter(run.slot, facts) if facts is not None else None

    def _run(self, talk: Talk, run: Run) -> None:
        """Take bytes that somebody wants."""
        _, side, _, data, gap, row, time_ns, end = run
        if data or gap:
            parser = talk.parser
            if parser is None:
                self._look(talk, run)
            else:
                if not talk.looked[side]:
                    self._other_side(talk, side, data, row, time_ns)
                self._parse(talk, side, data, gap, row, time_ns)
                if type(parser) is Recognised and talk.parser is parser and talk.looked[0] and talk.looked[1]:
                    talk.leave()
        if end and talk.parser is not None:
            self._close(talk, side, row, time_ns)

    def _look(self, talk: Talk, run: Run) -> None:
        """Detect the protocol, with what came before."""
        side, talked = run.to_client, talk.conversation
        if run.gap and not talk.first[side]:
            talk.looked[side] = True
        talk.waiting.append((side, run.data, run.gap))
        if talk.looked[side]:
            self._maybe_fail(talk, run.row, run.time_ns)
            return
        talk.first[side] = (talk.first[side] + run.data)[: tcp.ENOUGH]
        name, more = tcp.detect(talk.first[side], side, talk.facts.server_port)
        if name:
            talk.looked[side] = True
            talked.by_side[side] = name
            self._speak(talk, name, side, run.row, run.time_ns)
            return
        talk.looked[side] = not more
        self._maybe_fail(talk, run.row, run.time_ns)

    def _maybe_fail(self, talk: Talk, row: int, time_ns: int) -> None:
        kept = sum(len(data) for _, data, _ in talk.waiting)
        if not (talk.looked[0] and talk.looked[1]) and kept < 64 * 1024:
            return
        talk.leave()
        talk.conversation.protocol = FAILED
        self.counts.conversations[FAILED] += 1
        self._changes.append(Change(talk.conversation, None, False, row, time_ns))

    def _speak(self, talk: Talk, name: str, side: bool, row: int, time_ns: int) -> None:
        """Begin to parse a protocol that one side has shown."""
        talked = talk.conversation
        talked.protocol = name
        self.counts.conversations[name] += 1
        talk.parser = parser_of(name, talked, talk.facts, self._limits)
        waiting, talk.waiting = talk.waiting, []
        if name in ("http", "tls") and side and waiting[0][0] and not talk.looked[0] and not talk.facts.datagrams:
            talked.event("applayer_wrong_direction_first_data")
        if talk.expected and name != talk.expected:
            talked.event("applayer_no_tls_after_starttls")
        talk.expected = ""
        other = not side
        if talk.looked[other] and not talked.by_side[other] and talk.first[other] and name in ("http", "tls", "ssh"):
            talked.event("applayer_detect_protocol_only_one_direction")
        self._changes.append(Change(talked, None, side, row, time_ns))
        for to_client, data, gap in waiting:
            self._parse(talk, to_client, data, gap, row, time_ns)

    def _other_side(self, talk: Talk, side: bool, data: bytes, row: int, time_ns: int) -> None:
        """Look at the first bytes of the side that detection has not needed: they should be of the same protocol."""
        talk.first[side] = (talk.first[side] + data)[: tcp.ENOUGH]
        if talk.facts.datagrams:
            talk.looked[side] = True
            return
        name, more = tcp.detect(talk.first[side], side, talk.facts.server_port)
        if not name and more:
            return
        talk.looked[side] = True
        talked = talk.conversation
        if name == "http2" and talked.protocol == "doh2":
            name = "doh2"
        talked.by_side[side] = name
        if name and name != talked.protocol:
            talked.event("applayer_mismatch_protocol_both_directions")
        elif not name and talked.protocol in ("http", "tls", "ssh"):
            talked.event("applayer_detect_protocol_only_one_direction")
        else:
            return
        self._changes.append(Change(talked, None, side, row, time_ns))

    # Datagrams

    def _take_datagrams(self, block: Block, table: Table, batch: Batch) -> None:
        rows = batch.rows
        if not len(rows):
            return
        udp_rows = (table.protocol[rows] == 17) & (table.payload_len[rows] > 0)
        udp_rows &= (table.flags[rows] & np.uint16(decoded.TRANSPORT | decoded.ENCAPSULATES)) == decoded.TRANSPORT
        if not udp_rows.any():
            return
        slots = np.repeat(batch.flow, batch.ends - batch.starts)[udp_rows]
        rows, sides = rows[udp_rows], batch.to_client[udp_rows]
        if (top := int(slots.max())) >= len(self._datagrams):
            self._datagrams = np.concatenate([self._datagrams, np.zeros(top + 1, np.uint8)])
        left = self._datagrams[slots] == _LEFT
        passed = int(table.payload_len[rows[left]].sum())
        self.counts.bytes_seen += passed
        self.counts.bytes_unparsed += passed
        wanted = np.flatnonzero(~left)
        wanted = wanted[np.argsort(rows[wanted], kind="stable")]
        rows, slots, sides = rows[wanted], slots[wanted], sides[wanted]
        columns = [column[rows].tolist() for column in (table.payload, table.payload_len, table.sport, table.dport)]
        times = block.time_ns[table.packet[rows]].tolist()
        memory, talks = block.data.data, self._talks
        gone = self._left_now = set[int]()
        for row, slot, side, time_ns, begin, length, sport, dport in zip(
            rows.tolist(), slots.tolist(), sides.tolist(), times, *columns, strict=True
        ):
            self.counts.bytes_seen += length
            if slot in gone:
                self.counts.bytes_unparsed += length
                continue
            data, talk = bytes(memory[begin : begin + length]), talks.get(slot)
            if talk is None:
                name = udp.detect(data, side, *((dport, sport) if side else (sport, dport)))
                talk = self._datagram_of(name, row, slot, side, time_ns)
            if talk is not None:
                self._parse(talk, side, data, 0, row, time_ns)
                if talk.left or type(talk.parser) is Recognised:
                    self._leave(slot)

    def _datagram_of(self, name: str, row: int, slot: int, side: bool, time_ns: int) -> Talk | None:
        """Begin the conversation that a datagram shows; None while none does, or when it has failed to."""
        seen = int(self._datagrams[slot]) + 1
        facts = self._ends.of(slot, True) if name or seen >= MAX_DATAGRAMS else None
        if facts is None:
            self._datagrams[slot] = min(seen, MAX_DATAGRAMS)
            return None
        talk = self._enter(slot, facts)
        if name:
            talk.conversation.by_side[side] = name
            talk.looked = [True, True]
            self._speak(talk, name, side, row, time_ns)
            return talk
        self._leave(slot)
        talk.conversation.protocol = FAILED
        self.counts.conversations[FAILED] += 1
        self._changes.append(Change(talk.conversation, None, side, row, time_ns))
        return None

    def _leave(self, slot: int) -> None:
        """Look at no more datagrams of a flow."""
        self._datagrams[slot] = _LEFT
        self._left_now.add(slot)

    # Both

    def _enter(self, slot: int, facts: Facts) -> Talk:
        """Begin to follow what a flow says."""
        talk = self._talks[slot] = Talk(slot, facts)
        if self._expected and not facts.datagrams:
            found = self._expected.pop((facts.server, facts.server_port), None)
            found = found or self._expected.pop((facts.client, facts.client_port), None)
            if found is not None:
                name, told = found
                talk.looked = [True, True]
                talk.conversation.by_side = [name, name]
                talk.conversation.protocol = name
                self.counts.conversations[name] += 1
                talk.parser = parser_of(name, talk.conversation, facts, self._limits)
                talk.parser.expectation = told
        return talk

    def _parse(self, talk: Talk, side: bool, data: bytes, gap: int, row: int, time_ns: int) -> None:
        parser = talk.parser
        if parser is None or talk.left:
            return
        try:
            parser.data(side, data, gap)
        except _BROKEN:
            self._broken(talk)
        talked = talk.conversation
        if (
            parser.touched
            or parser.next_protocol
            or parser.expected
            or talked.encrypted
            or len(talked.events) > talk.told
        ):
            self._collect(talk, side, row, time_ns)

    def _broken(self, talk: Talk) -> None:
        """Count a defect of a parser, which ends this conversation's parsing."""
        self.counts.parsers_broken += 1
        talk.left = True

    def _close(self, talk: Talk, side: bool, row: int, time_ns: int) -> None:
        """Tell the parser that one side says no more."""
        parser = talk.parser
        if parser is None or talk.left:
            return
        try:
            parser.end(side)
        except _BROKEN:
            self._broken(talk)
        self._collect(talk, side, row, time_ns)

    def _collect(self, talk: Talk, side: bool, row: int, time_ns: int) -> None:
        parser, talked = talk.parser, talk.conversation
        if parser is None:
            return
        touched = parser.touched
        if touched:
            parser.touched = []
        for transaction in touched:
            progress = transaction.response if side else transaction.request
            self._changes.append(Change(talked, transaction, side, row, time_ns, progress))
            if transaction.done:
                self.counts.transactions[transaction.protocol] += 1
                self._finished[talked.slot] = talked
        if len(talked.events) > talk.told:
            talk.told = len(talked.events)
            self._changes.append(Change(talked, None, side, row, time_ns))
        if parser.expected:
            self._expect(parser)
        if parser.renamed:
            parser.renamed = ""
            self._changes.append(Change(talked, None, side, row, time_ns))
        if talked.encrypted and not parser.touched and not talk.left:
            talk.leave()
            self.counts.encrypted += 1
        if parser.next_protocol:
            self._change_protocol(talk, parser, side, row, time_ns)

    def _expect(self, parser: Parser) -> None:
        for address, port, name, told in parser.expected:
            if len(self._expected) >= MAX_EXPECTED:
                self._expected.pop(next(iter(self._expected)))
            self._expected[address, port] = (name, told)
        parser.expected = []

    def _change_protocol(self, talk: Talk, parser: Parser, side: bool, row: int, time_ns: int) -> None:
        """Go on with another protocol from here (STARTTLS, CONNECT, Upgrade)."""
        talked = talk.conversation
        talked.original = talked.protocol
        talked.by_side = [UNKNOWN, UNKNOWN]
        talk.looked, talk.first, talk.waiting = [False, False], [b"", b""], []
        name, parser.next_protocol = parser.next_protocol, ""
        talk.parser = None
        talk.expected = "tls" if name == "tls" else ""
        if name not in ("?", "tls"):
            talk.looked = [True, True]
            talked.protocol = name
            talk.parser = parser_of(name, talked, talk.facts, self._limits)
            talk.parser.count = parser.count
            try:
                talk.parser.take_over(parser)
            except _BROKEN:
                self._broken(talk)
            self._changes.append(Change(talked, None, False, row, time_ns))
            if parser.rest:
                self._parse(talk, side, parser.rest, 0, row, time_ns)
        else:
            talked.protocol = UNKNOWN
            if parser.rest:
                self._look(talk, Run(talked.slot, side, 0, parser.rest, 0, row, time_ns, 0))
