"""The flow table: gives every packet of a block its flow and direction, keeps the flows' counts and states, and ends flows.

One look-up serves all packets of a flow in the block, and all look-ups of a block are made together. Memory is bounded: beyond
`max_flows` the table goes into an emergency, in which silent flows end sooner, and then the flows that have been silent longest are
evicted, those that only one side has ever spoken in first; each such flow is counted and comes with its record.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collectors.traffic.block import I64, U8, Block, Bools
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.flows import states
from collectors.traffic.flows.batch import EVICTED, REUSED, SHUT_DOWN, TIMED_OUT, Batch, Ended
from collectors.traffic.flows.groups import Groups, group
from collectors.traffic.flows.keys import Hasher, ports, rest
from collectors.traffic.flows.store import ADDRESSES, Columns, Store
from collectors.traffic.flows.timeouts import EMERGENCY, ESTABLISHED, STATES, Timeouts, classes, kinds
from contracts.record import Record

SECOND_NS = 1_000_000_000


class FlowOptions(Record):
    """Bounds and timeouts of the flow table."""

    max_flows: int = 262_144
    """Suricata's stock 128 MiB hold about as many."""
    timeouts: Timeouts = Timeouts()
    emergency: Timeouts = EMERGENCY
    recovery_percent: int = 30
    """The emergency ends when this share of `max_flows` is free."""


@dataclass(slots=True)
class FlowCounts:
    """What happened since the start."""

    begun: int = 0
    ended: int = 0
    reused: int = 0
    timed_out: int = 0
    evicted: int = 0
    emergencies: int = 0
    cuts_left_out: int = 0
    icmp_errors: int = 0


class FlowTable:
    """All flows that are known. `update` takes each block's table in order; time is the packets' own."""

    def __init__(self, options: FlowOptions, seed: bytes | None = None) -> None:
        self.counts = FlowCounts()
        self.emergency = False
        self.store = Store()
        self._options = options
        self._hasher = Hasher(seed)
        self._normal_ns = options.timeouts.table_ns()
        self._emergency_ns = options.emergency.table_ns()
        self._swept_ns = -(1 << 62)
        self._now_ns = -(1 << 62)

    def __len__(self) -> int:
        return self.store.live

    @property
    def columns(self) -> Columns:
        """Return the columns of all slots, by slot."""
        return self.store.columns

    def memory_bytes(self) -> int:
        """Return what the table's arrays hold."""
        return self.store.memory_bytes()

    def update(self, block: Block, table: Table) -> Batch:
        """Take the packets of a block; returns which belong to which flow, and the flows that ended meanwhile."""
        self.store.settle()
        batch = Batch()
        rows = _eligible(table)
        errors = np.zeros(0, np.int64)
        if len(table.quotes):
            errors = np.intersect1d(rows, table.quotes.rows, assume_unique=True)
            rows = rows[~np.isin(rows, errors)] if len(errors) else rows
        if len(rows):
            self._take(block, table, rows, batch)
        if len(errors):
            strangers = self._relate(table, errors, batch)
            if len(strangers):
                self._take(block, table, strangers, batch)
        if len(block):
            self._now_ns = max(self._now_ns, int(block.time_ns[-1]))
        self.sweep(self._now_ns, batch)
        return batch

    def sweep(self, now_ns: int, batch: Batch) -> None:
        """End what has been silent too long (looks once a second), and make room when there are too many."""
        crowded = len(self) > self._options.max_flows
        if crowded and not self.emergency:
            self.emergency = True
            self.counts.emergencies += 1
        if not crowded and now_ns - self._swept_ns < SECOND_NS:
            return
        self._swept_ns = now_ns
        columns = self.columns
        live = np.flatnonzero(columns.live)
        silent = now_ns - columns.last_ns[live]
        self._end(
            live[silent > self._limits_ns()[kinds(columns.protocol[live], columns.state[live])]], TIMED_OUT, batch
        )
        excess = len(self) - self._options.max_flows
        if excess > 0:
            self._evict(excess + self._options.max_flows // 16, batch)
        if self.emergency and len(self) <= self._options.max_flows * (100 - self._options.recovery_percent) // 100:
            self.emergency = False

    def shut_down(self, most: int = 0) -> Ended:
        """End every flow, or `most` of them."""
        batch = Batch()
        self._end(np.flatnonzero(self.columns.live)[: most or None], SHUT_DOWN, batch)
        return batch.ended[0] if batch.ended else Ended(Columns(0), np.zeros(0, np.uint8), np.zeros(0, np.int64))

    def _limits_ns(self) -> I64:
        return self._emergency_ns if self.emergency else self._normal_ns

    def _take(self, block: Block, table: Table, rows: I64, batch: Batch) -> None:
        """Give flows to rows that are in the order of time."""
        groups = group(table, rows, self._hasher.keys(table, rows))
        times = block.time_ns[table.packet[groups.rows]]
        found = self._find(table, groups)
        reasons = self._outlived(groups, found, times)
        wave = self._cut(table, groups, times, found, reasons)
        if wave is None:
            self._apply(block, table, groups, times, found, reasons, batch)
            return
        groups, reasons, turn = wave
        for number in range(int(turn.max()) + 1):
            chosen = np.flatnonzero(turn == number)
            part, part_times = _part(groups, chosen, times)
            self._apply(block, table, part, part_times, self._find(table, part), reasons[chosen], batch)

    def _find(self, table: Table, groups: Groups) -> I64:
        first = groups.rows[groups.starts]
        six = table.family[first] == 6
        addresses = tuple(getattr(table, name)[first] for name in ADDRESSES)
        return self.store.find(groups.keys.at(groups.starts), six, addresses)

    def _outlived(self, groups: Groups, found: I64, times: I64) -> U8:
        """Return why a group's first packet begins a new flow although one is found: 0 or `TIMED_OUT`."""
        reasons = np.zeros(len(groups), np.uint8)
        known = np.flatnonzero(found >= 0)
        slots, columns = found[known], self.columns
        silent = times[groups.starts[known]] - columns.last_ns[slots]
        limit = self._limits_ns()[kinds(columns.protocol[slots], columns.state[slots])]
        reasons[known[silent > limit]] = TIMED_OUT
        return reasons

    def _cut(self, table: Table, groups: Groups, times: I64, found: I64, reasons: U8) -> tuple[Groups, U8, I64] | None:
        """Cut groups where the same key goes on as another flow; None where there is nothing to cut (nearly always).

        Returns the groups anew, why each begins a new flow, and its turn: parts of one key have rising turns.
        """
        places = self._suspects(table, groups, times, found)
        if not len(places):
            return None
        starts, why = [groups.starts], [reasons]
        limits = [(row[0], row[1], row[2]) for row in self._limits_ns().reshape(-1, STATES).tolist()]
        for number, protocol, kind, stretches in _stretches(table, groups, times, places):
            slot = int(found[number])
            course = self._course(slot) if slot >= 0 and not reasons[number] else None
            begins, left_out = states.cuts(course, stretches, protocol == 6, limits[kind])
            self.counts.cuts_left_out += left_out
            for place, reason in begins:
                if place == groups.starts[number]:
                    reasons[number] = reason
                else:
                    starts.append(np.array([place]))
                    why.append(np.array([reason], np.uint8))
        if len(starts) == 1:
            return None
        begins_at = np.concatenate(starts)
        order = np.argsort(begins_at)
        begins_at, reason_of = begins_at[order], np.concatenate(why)[order]
        head = order < len(groups)
        number_of = np.arange(len(begins_at))
        turn = number_of - np.maximum.accumulate(np.where(head, number_of, 0))
        return Groups(groups.rows, begins_at, groups.keys), reason_of, turn

    def _suspects(self, table: Table, groups: Groups, times: I64, found: I64) -> I64:
        """Return where in `groups.rows` a new flow may begin: at a SYN that is not its flow's first packet, and after a silence."""
        rows = groups.rows
        flags = table.tcp_flags[rows]
        marks = (flags & np.uint8(states.SYN | states.ACK | states.FIN | states.RST)) == states.SYN
        marks[groups.starts[found < 0]] = False
        limits = self._limits_ns().reshape(-1, STATES)
        if int(times.max()) - int(times.min()) > int(limits[:, :2].min()):
            # By protocol: the shortest of its limits that an unfinished flow, or for TCP any flow, can have.
            shortest = np.minimum(limits[:, 0], limits[:, 1])
            shortest[0] = limits[0].min()
            silence = np.append(False, np.diff(times) > shortest[classes(table.protocol[rows[1:]])])
            silence[groups.starts] = False
            marks |= silence
        return np.flatnonzero(marks)

    def _course(self, slot: int) -> states.Course:
        columns = self.columns
        high = bool(columns.swapped[slot])
        return states.Course(
            gathered=states.by_client(int(columns.gathered[slot]), high),
            last_ns=int(columns.last_ns[slot]),
            isn=int(columns.isn[slot]),
            client_high=high,
            answered=bool(columns.packets_to_client[slot]),
        )

    def _apply(
        self, block: Block, table: Table, groups: Groups, times: I64, found: I64, reasons: U8, batch: Batch
    ) -> None:
        """Count the packets of groups into their flows; groups have different keys here."""
        over = (reasons != 0) & (found >= 0)
        if over.any():
            for reason in (REUSED, TIMED_OUT):
                self._end(found[over & (reasons == reason)], reason, batch)
        new = (found < 0) | over
        slots = found.copy()
        fresh = np.flatnonzero(new)
        if len(fresh):
            slots[fresh] = self._begin(table, groups, times, fresh)
        lengths = groups.ends() - groups.starts
        to_client = groups.keys.swapped != np.repeat(self.columns.swapped[slots], lengths)
        self._count(block, table, groups, times, slots, to_client)
        batch.join(groups, slots, new, to_client)

    def _begin(self, table: Table, groups: Groups, times: I64, which: I64) -> I64:
        """Make flows of the first packets of groups; a SYN+ACK comes from the server."""
        at = groups.starts[which]
        rows = groups.rows[at]
        slots = self.store.insert(groups.keys.hash[at])
        columns, keys = self.columns, groups.keys
        flags = table.tcp_flags[rows]
        answers = (flags & np.uint8(states.SYN | states.ACK)) == states.SYN | states.ACK
        columns.serial[slots] = np.arange(self.counts.begun + 1, self.counts.begun + 1 + len(slots))
        self.counts.begun += len(slots)
        columns.low[slots], columns.high[slots], columns.rest[slots] = keys.low[at], keys.high[at], keys.rest[at]
        columns.swapped[slots] = keys.swapped[at] != answers
        for name in ("family", "protocol", "vlan"):
            getattr(columns, name)[slots] = getattr(table, name)[rows]
        for source, target in (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("sport", "dport")):
            one, other = getattr(table, source)[rows], getattr(table, target)[rows]
            getattr(columns, source)[slots] = np.where(answers, other, one)
            getattr(columns, target)[slots] = np.where(answers, one, other)
        columns.first_ns[slots] = columns.last_ns[slots] = times[at]
        columns.isn[slots] = table.seq[rows]
        for name in (
            "packets_to_server",
            "packets_to_client",
            "bytes_to_server",
            "bytes_to_client",
            "gathered",
            "icmp_errors",
        ):
            getattr(columns, name)[slots] = 0
        return slots

    def _count(self, block: Block, table: Table, groups: Groups, times: I64, slots: I64, to_client: Bools) -> None:
        columns, starts, rows = self.columns, groups.starts, groups.rows
        lengths = groups.ends() - starts
        size = _wire_bytes(block, table, rows)
        answered = np.add.reduceat(to_client.astype(np.int64), starts)
        all_bytes = np.add.reduceat(size, starts)
        back_bytes = np.add.reduceat(size * to_client, starts)
        columns.packets_to_client[slots] += answered
        columns.packets_to_server[slots] += lengths - answered
        columns.bytes_to_client[slots] += back_bytes
        columns.bytes_to_server[slots] += all_bytes - back_bytes
        columns.last_ns[slots] = np.maximum(columns.last_ns[slots], np.maximum.reduceat(times, starts))
        is_tcp = columns.protocol[slots] == 6
        words = states.GATHERED[table.tcp_flags[rows] + (to_client.astype(np.int64) << 8)]
        gathered = np.bitwise_or.reduceat(words, starts) | columns.gathered[slots]
        columns.gathered[slots] = gathered
        tcp_state = np.where(is_tcp, states.tcp_states(gathered), np.uint8(states.NONE))
        columns.tcp_state[slots] = tcp_state
        columns.state[slots] = states.flow_states(is_tcp, tcp_state, columns.packets_to_client[slots] > 0)

    def _relate(self, table: Table, errors: I64, batch: Batch) -> I64:
        """Tie ICMP errors to the flow they are about; returns those about none that is known.

        They count as the flow's errors, not as its traffic: anyone can forge them, and they keep no flow alive.
        """
        quotes = table.quotes.fields[np.searchsorted(table.quotes.rows, errors)]
        protocol = np.ascontiguousarray(quotes["protocol"])
        sport, dport = ports(protocol, quotes["sport"].astype(np.uint16), quotes["dport"].astype(np.uint16))
        addresses = tuple(np.ascontiguousarray(quotes[name]) for name in ADDRESSES)
        six = quotes["family"] == 6
        keys = self._hasher.made(
            six, (addresses[0], addresses[1], sport), (addresses[2], addresses[3], dport), rest(table, errors, protocol)
        )
        found = self.store.find(keys, six, addresses)  # type: ignore[arg-type]
        hit = np.flatnonzero(found >= 0)
        slots = found[hit]
        np.add.at(self.columns.icmp_errors, slots, 1)
        self.counts.icmp_errors += len(hit)
        batch.related, batch.related_flow = errors[hit], slots
        # The error goes to whoever sent the packet that it quotes.
        batch.related_to_client = keys.swapped[hit] == self.columns.swapped[slots]
        return errors[found < 0]

    def _end(self, slots: I64, reason: int, batch: Batch) -> None:
        if not len(slots):
            return
        batch.ended.append(Ended(self.columns.take(slots), np.full(len(slots), reason, np.uint8), slots))
        self.store.remove(slots)
        self.counts.ended += len(slots)
        if reason == REUSED:
            self.counts.reused += len(slots)
        elif reason == TIMED_OUT:
            self.counts.timed_out += len(slots)
        elif reason == EVICTED:
            self.counts.evicted += len(slots)

    def _evict(self, count: int, batch: Batch) -> None:
        columns = self.columns
        live = np.flatnonzero(columns.live)
        count = min(count, len(live))
        # Flows that both sides have spoken in last: a flood of first packets must not push them out.
        worth = columns.last_ns[live] // 4 + (columns.state[live] == ESTABLISHED) * np.int64(1 << 61)
        self._end(live[np.argpartition(worth, count - 1)[:count]], EVICTED, batch)


_PORTED = np.zeros(256, np.bool_)
_PORTED[[6, 17, 132, 1, 58]] = True


def _eligible(table: Table) -> I64:
    """Return the rows that belong to flows, in the order of their packets: whole IP packets whose transport header holds."""
    bad = table.flags & np.uint16(decoded.INVALID | decoded.FRAGMENT)
    whole = (table.family != 0) & (bad == 0)
    whole &= ((table.flags & np.uint16(decoded.TRANSPORT)) != 0) | ~_PORTED[table.protocol]
    rows = np.flatnonzero(whole)
    if len(table) == table.captured:
        return rows
    return rows[np.argsort(table.packet[rows], kind="stable")]


def _stretches(
    table: Table, groups: Groups, times: I64, places: I64
) -> Iterator[tuple[int, int, int, list[states.Stretch]]]:
    """Give each group that has one of `places`: number, protocol, its class, and stretches cut at its start and at these."""
    number_of = np.searchsorted(groups.starts, places, side="right") - 1
    numbers = np.unique(number_of)
    begins = np.union1d(groups.starts[numbers], places)
    of = np.searchsorted(groups.starts, begins, side="right") - 1
    ends = np.minimum(np.append(begins[1:], len(groups.rows)), groups.ends()[of])
    rows, high = groups.rows, groups.keys.swapped
    bounds = np.stack([begins, ends], axis=1).ravel()
    words = states.GATHERED[table.tcp_flags[rows] + (high.astype(np.int64) << 8)]
    gathered = np.bitwise_or.reduceat(np.append(words, np.uint32(0)), bounds)[::2]
    spoke = np.bitwise_or.reduceat(np.append(np.where(high, np.uint8(2), np.uint8(1)), np.uint8(0)), bounds)[::2]
    last = np.maximum.reduceat(np.append(times, times[-1]), bounds)[::2]
    first = rows[begins]
    fields = (
        begins,
        times[begins],
        last,
        table.tcp_flags[first],
        table.seq[first],
        high[begins],
        gathered,
        spoke & 1,
        spoke & 2,
    )
    stretches = [states.Stretch(*values) for values in zip(*(field.tolist() for field in fields), strict=True)]
    cut = np.append(np.searchsorted(of, numbers), len(of)).tolist()
    protocol = table.protocol[rows[groups.starts[numbers]]]
    each = zip(numbers.tolist(), protocol.tolist(), classes(protocol).tolist(), strict=True)
    for index, (number, number_protocol, kind) in enumerate(each):
        yield number, number_protocol, kind, stretches[cut[index] : cut[index + 1]]


def _part(groups: Groups, chosen: I64, times: I64) -> tuple[Groups, I64]:
    """Return some of the groups, with the times of their rows."""
    starts, lengths = groups.starts[chosen], (groups.ends() - groups.starts)[chosen]
    begins = np.cumsum(lengths) - lengths
    places = np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))
    return Groups(groups.rows[places], begins, groups.keys.at(places)), times[places]


def _wire_bytes(block: Block, table: Table, rows: I64) -> I64:
    """Return what each row counts as: the frame on the wire, or the IP packet for one inside another."""
    return np.where(table.depth[rows] == 0, block.wire[table.packet[rows]], table.ip_len[rows])
