"""Conversations: what protocol each of them speaks, and what its parser makes of its bytes."""

import struct
from typing import Final

from collectors.traffic.protocols.counts import ProtocolCounts
from collectors.traffic.protocols.detect import tcp
from collectors.traffic.protocols.news import FAILED, UNKNOWN, Change, Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser, Recognised
from collectors.traffic.protocols.registry import parser_of
from collectors.traffic.protocols.talk import Talk
from collectors.traffic.streams.news import Run

MAX_EXPECTED: Final = 4096
"""Data connections that were announced and have not come."""

_BROKEN: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, struct.error)
"""What a defect in a parser would raise: it ends that conversation's parsing, is counted, and nothing else."""


class Conversations:
    """All that are open, by the slots of their flows (`_talks`); what changes in them is added to `_changes`."""

    def __init__(self, limits: Limits) -> None:
        self.counts = ProtocolCounts()
        self._talks: dict[int, Talk] = {}
        self._limits = limits
        self._finished: dict[int, Conversation] = {}
        self._expected: dict[tuple[tuple[int, int], int], tuple[str, tuple[bool, bytes]]] = {}
        self._changes: list[Change] = []

    def conversation(self, slot: int) -> Conversation | None:
        """Return what is known of a flow, or None while that is nothing."""
        talk = self._talks.get(slot)
        return talk.conversation if talk is not None else None

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
