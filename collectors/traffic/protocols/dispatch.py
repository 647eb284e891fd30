"""The protocols of a block: which bytes belong to which conversation, what protocol it speaks, and what its parser makes of them."""

from dataclasses import replace
from operator import attrgetter
from typing import Final

import numpy as np

from collectors.traffic.block import I64, U8, Block
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch
from collectors.traffic.protocols.account import Account
from collectors.traffic.protocols.conversations import Conversations
from collectors.traffic.protocols.detect import udp
from collectors.traffic.protocols.holdings import Holdings
from collectors.traffic.protocols.news import FAILED, UNKNOWN, Change
from collectors.traffic.protocols.parser import Limits, Recognised
from collectors.traffic.protocols.registry import parser_of
from collectors.traffic.protocols.talk import Ends, Talk
from collectors.traffic.streams.news import News, Run

MAX_DATAGRAMS: Final = 4
"""Datagrams of a flow without a known protocol that are looked at."""
PIECE: Final = 32_768
"""A run that is longer is parsed in pieces of so many bytes, between which there may be an end to what is held at once."""

_ROW: Final = attrgetter("row")
_NEW: Final = 0
_LEFT: Final = 255
"""Of a flow of datagrams: none was looked at (else how many, while they show nothing); none is to be looked at any more."""
_RESTING: Final = 253
"""Or it is known that they are DNS, as the client's (or one more: the server's) showed, and what is kept is how many have come."""
MANY: Final = 8_192
"""With more conversations those of datagrams rest between two of them: whoever sends them from everywhere holds little."""


class Protocols(Conversations):
    """The conversations of all flows. `feed` takes each block after the streams have; memory is bounded per flow and freed when it ends."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.account = Account(limits.memory)
        super().__init__(replace(limits, meter=self.account.meter))
        self._holdings = Holdings(self.account, self._talks)
        self._ends = Ends(None, None, [])
        self._datagrams: U8 = np.zeros(4096, np.uint8)
        self._messages: I64 = np.zeros(4096, np.int64)
        self._most = MANY
        self._left_now: set[int] = set()
        self._gone: list[int] = []
        self._now_ns = 0
        self._block: tuple[Block, Table, Batch] | None = None
        self._runs: list[Run] = []
        self.runs = 0
        """How many runs of the block were taken."""
        self.packets = 0
        """How many packets of the block have had their turn."""

    def hash_files(self, algorithms: tuple[str, ...]) -> None:
        """Compute these digests (md5, sha1, sha256) of files, in conversations that begin from now on."""
        self._limits = replace(self._limits, hash_files=algorithms)

    def feed(self, block: Block, table: Table, batch: Batch, news: News) -> list[Change]:
        """Take a block; returns what changed, in the order of packets."""
        changes = self.begin(block, table, batch, news)
        while self.unread():
            changes += self.go_on()
        return changes

    def unread(self) -> bool:
        """Whether there is more of the block than was taken."""
        return self._block is not None

    def begin(self, block: Block, table: Table, batch: Batch, news: News) -> list[Change]:
        """Take as much of a block as may be held at once; what is `unread` then is taken by `go_on`.

        `runs` and `packets` say how far that is. A run that was taken in part is two in `news` from then on.
        """
        if len(block):
            self._now_ns = int(block.time_ns[-1])
        if len(table) > table.captured:
            _in_time(news.runs, table)
        self._ends = Ends(table, batch, batch.ended)
        self._block, self._runs = (block, table, batch), news.runs
        self.runs = self.packets = 0
        return self.go_on()

    def go_on(self) -> list[Change]:
        """Take more of the block, once rules have seen what was taken before: that is let go of, where it has ended."""
        if self._block is None:
            return []
        block, table, batch = self._block
        self._settle()
        self._changes = []
        self.account.since = 0
        before = self.packets
        self._take_runs()
        whole = self.runs >= len(self._runs)
        if whole:
            self.packets = len(block)
            self._block, self._runs = None, []
        else:
            row = self._runs[self.runs - 1].row
            self.packets = max(before, int(table.packet[row]) + 1) if row >= 0 else len(block)
        self._take_datagrams(block, table, batch, before)
        if whole:
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
        if len(self._talks) > self._most:
            self._rest()

    def _rest(self) -> None:
        """Keep little of conversations of datagrams until the next one comes, and nothing where none is looked at any more."""
        for slot, talk in list(self._talks.items()):
            if not talk.facts.datagrams:
                continue
            parser, talked = talk.parser, talk.conversation
            if talked.resting() and parser is not None and not talk.left:
                self._datagrams[slot] = _RESTING + (not talked.by_side[0])
                self._messages[slot] = parser.count
            elif self._datagrams[slot] != _LEFT:
                continue
            self.account.total -= talk.held
            del self._talks[slot]
            if parser is not None:
                parser.release()
        self._most = max(MANY, 2 * len(self._talks))

    # Streams

    def _take_runs(self) -> None:
        """Take runs until there are no more, or what they brought is enough for rules to look at first."""
        talks, counts, account = self._talks, self.counts, self.account
        meter, runs = account.meter, self._runs
        seen = encrypted = unparsed = 0
        for at in range(self.runs, len(runs)):
            run = runs[at]
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
                if size > PIECE:
                    seen -= self._piecemeal(talk, run, at)
                else:
                    self._run(talk, run)
                if meter.grown > account.room:
                    self._holdings.relieve()
                if account.since >= account.part:
                    self.runs = at + 1
                    break
            elif talk.conversation.encrypted:
                encrypted += size
            else:
                unparsed += size
        else:
            self.runs = len(runs)
        meter.grown += seen
        counts.bytes_seen += seen
        counts.bytes_encrypted += encrypted
        counts.bytes_unparsed += unparsed

    def _piecemeal(self, talk: Talk, run: Run, at: int) -> int:
        """Take a long run, as much of it as may be held at once; returns how many bytes of it are left, for a run behind this one."""
        account = self.account
        slot, side, offset, data, gap, row, time_ns, end = run
        size = len(data)
        for begin in range(0, size, PIECE):
            behind = begin + PIECE
            last = behind >= size
            if talk.left and not last:
                continue
            piece = data[begin:behind]
            self._run(
                talk, Run(slot, side, offset + begin, piece, 0 if begin else gap, row, time_ns, end if last else 0)
            )
            if last:
                break
            if account.meter.grown > account.room:
                self._holdings.relieve()
            if account.since >= account.part:
                self._runs[at] = Run(slot, side, offset, data[:behind], gap, row, time_ns, 0)
                self._runs.insert(at + 1, Run(slot, side, offset + behind, data[behind:], 0, row, time_ns, end))
                return size - behind
        return 0

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

    # Datagrams

    def _take_datagrams(self, block: Block, table: Table, batch: Batch, since: int) -> None:
        """Take the datagrams of the packets from `since` on that have their turn."""
        rows = batch.rows
        if not len(rows):
            return
        udp_rows = (table.protocol[rows] == 17) & (table.payload_len[rows] > 0)
        if since or self.packets < len(block):
            packet = table.packet[rows]
            udp_rows &= (packet >= since) & (packet < self.packets)
        udp_rows &= (table.flags[rows] & np.uint16(decoded.TRANSPORT | decoded.ENCAPSULATES)) == decoded.TRANSPORT
        if not udp_rows.any():
            return
        slots = np.repeat(batch.flow, batch.ends - batch.starts)[udp_rows]
        rows, sides = rows[udp_rows], batch.to_client[udp_rows]
        if (top := int(slots.max())) >= len(self._datagrams):
            self._datagrams = np.concatenate([self._datagrams, np.zeros(top + 1, np.uint8)])
            self._messages = np.concatenate(
                [self._messages, np.zeros(len(self._datagrams) - len(self._messages), np.int64)]
            )
        left = self._datagrams[slots] == _LEFT
        self.counts.bytes_seen += int(table.payload_len[rows].sum())
        self.counts.bytes_unparsed += int(table.payload_len[rows[left]].sum())
        wanted = np.flatnonzero(~left)
        wanted = wanted[np.argsort(rows[wanted], kind="stable")]
        rows, slots, ways = rows[wanted], slots[wanted], sides[wanted].tolist()
        fields = (table.payload[rows], table.payload_len[rows], table.sport[rows], table.dport[rows])
        columns: list[list[int]] = [one.tolist() for one in (rows, slots, block.time_ns[table.packet[rows]], *fields)]
        numbers, flows, times, begins, lengths, sports, dports = columns
        memory, talks = block.data.data, self._talks
        gone = self._left_now = set[int]()
        # By place, not by zip: compiled, that makes a tuple of each row.
        for place in range(len(numbers)):
            row, slot, side, time_ns = numbers[place], flows[place], bool(ways[place]), times[place]
            begin, length = begins[place], lengths[place]
            if gone and slot in gone:
                self.counts.bytes_unparsed += length
                continue
            data, talk = bytes(memory[begin : begin + length]), talks.get(slot)
            if talk is None and _RESTING <= self._datagrams[slot] < _LEFT:
                talk = self._woken(slot)
            elif talk is None:
                client, server = (dports, sports) if side else (sports, dports)
                name = udp.detect(data, side, client[place], server[place])
                talk = self._datagram_of(name, row, slot, side, time_ns)
            if talk is not None:
                self._parse(talk, side, data, 0, row, time_ns)
                if talk.left or type(talk.parser) is Recognised:
                    self._leave(slot)

    def _woken(self, slot: int) -> Talk | None:
        """Go on with a conversation that rested."""
        facts = self._ends.of(slot, True)
        if facts is None:
            return None
        talk = self._talks[slot] = Talk(slot, facts)
        talk.looked = [True, True]
        talk.conversation.protocol = talk.conversation.by_side[int(self._datagrams[slot]) - _RESTING] = "dns"
        talk.parser = parser_of("dns", talk.conversation, facts, self._limits)
        talk.parser.count = int(self._messages[slot])
        return talk

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


def _in_time(runs: list[Run], table: Table) -> None:
    """Put runs in the order of packets, those of packets within others, too; what no packet released stays behind."""
    packet = table.packet
    if any(run.row >= table.captured for run in runs):
        runs.sort(key=lambda run: int(packet[run.row]) if run.row >= 0 else len(packet))
