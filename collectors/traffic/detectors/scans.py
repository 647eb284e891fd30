"""Scans: many ports of one host, or one port of many hosts, tried by one sender who gets nothing out of nearly all of them.

A flow that leads to nothing is one that is refused, never answered, left after the first answer, or opened and closed in silence. Which is
which is known at the answer, or when none has come for a while; so every method of scanning looks the same here, and is named by its
packets. That scanners differ from others in what fails is the observation of Jung and others, "Fast portscan detection using sequential
hypothesis testing" (2004).
"""

from collections import deque

import numpy as np

from collectors.traffic.block import I64, U8, U16, Bools
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.distinct import Distinct
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import NAMES, Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import ANSWERED, LEFT, OPEN, Memory
from collectors.traffic.detectors.options import ScanOptions
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.batch import TIMED_OUT, Batch
from collectors.traffic.flows.states import ANSWERS, FINISHES, RESETS
from collectors.traffic.flows.store import Columns
from contracts.event import Kind, Severity

_TCP, _UDP, _SCTP = 6, 17, 132
_NO_TRY, _SYN, _FIN, _NULL, _XMAS, _MAIMON, _ACK, _ODD, _UDP_TRY, _OTHER = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
_METHODS = ("", "syn", "fin", "null", "xmas", "maimon", "ack", "odd flags", "udp", "protocol")
_REFUSED, _SILENT, _HALF_OPEN, _EMPTY = "refused", "unanswered", "half_open", "connected"
_PENDING = 65_536
"""Flows that wait for an answer at most; beyond that the oldest are looked at early."""
_SENDERS = 8


def _by_flags() -> U8:
    """Return the method by the flags of a flow's first packet."""
    methods = np.full(256, _ODD, np.uint8)
    for flags in range(256):
        plain = flags & 0x3F
        if flags & 4 or plain & 0x12 == 0x12:
            # Resets and SYN/ACKs are answers to something else.
            methods[flags] = _NO_TRY
        elif plain & 2:
            methods[flags] = _SYN
        elif plain in (1, 0, 0x29, 0x11, 0x10):
            methods[flags] = {1: _FIN, 0: _NULL, 0x29: _XMAS, 0x11: _MAIMON, 0x10: _ACK}[plain]
        elif plain & 0x10:
            # Acknowledgement with data: a connection that began before the capture did.
            methods[flags] = _NO_TRY
    return methods


_BY_FLAGS = _by_flags()
_COUNTS = {
    _REFUSED: np.int64,
    _SILENT: np.int64,
    _HALF_OPEN: np.int64,
    _EMPTY: np.int64,
    "spoke": np.int64,
    "methods": np.uint16,
    "told": np.uint8,
    "told_ns": np.int64,
}


class Scans:
    """Both directions of scanning, each over a short and a long window."""

    def __init__(self, options: ScanOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        self._answer_ns, self._again_ns = int(options.answer * 1e9), voice.again_ns
        self._pending: deque[tuple[int, I64, I64]] = deque()
        self._waiting = 0
        self.hurried = 0
        """Flows that were not given the time to be answered, because too many waited."""
        columns = {**ENDS, **_COUNTS}
        self._tables = [
            (kind, Distinct(window, voice.mixer, columns), limit, window)
            for kind, limit, window in (
                (kinds.PORT_SCAN, options.ports, options.window),
                (kinds.HOST_SCAN, options.hosts, options.window),
                (kinds.PORT_SCAN, options.slow_ports, options.slow_window),
                (kinds.HOST_SCAN, options.slow_hosts, options.slow_window),
            )
        ]

    @property
    def evicted(self) -> int:
        """Keys and pairs that were let go for want of room, and flows that were judged too early."""
        parts = [part for _, one, _, _ in self._tables for part in (one.keys, one.pairs)]
        return self.hurried + sum(part.evicted + part.left_out for part in parts)

    def feed(self, glance: Glance) -> None:
        """Take a block."""
        self._begin(glance)
        judged = [*self._judge(glance), *self._refused_by_icmp(glance)]
        self._fold(glance.columns, judged + self._due(glance.columns, glance.now_ns), glance.now_ns)

    def ended(self, batch: Batch, columns: Columns, now_ns: int) -> None:
        """Take the flows that ended: those that were opened and never used led to nothing."""
        empty = [one.slots[self._empty(one.slots) & (one.reason <= TIMED_OUT)] for one in batch.ended]
        self._fold(columns, [(slots, _EMPTY) for slots in empty], now_ns)

    def sweep(self, columns: Columns, now_ns: int) -> None:
        """Look whose answer is overdue."""
        self._fold(columns, self._due(columns, now_ns), now_ns)

    def _begin(self, glance: Glance) -> None:
        """Note by what method each new flow tries, and let it wait for its answer."""
        new = np.flatnonzero(glance.new)
        if not len(new):
            return
        slots, protocol, table = glance.flow[new], glance.protocol[new], glance.table
        method = np.full(len(new), _OTHER, np.uint8)
        tcp, udp = protocol == _TCP, protocol == _UDP
        method[tcp] = _BY_FLAGS[table.tcp_flags[glance.row[new[tcp]]]]
        method[udp] = np.where(_replies(glance.sport[new[udp]], glance.dport[new[udp]]), _NO_TRY, _UDP_TRY)
        method[glance.to_many(new)] = _NO_TRY
        # Echo requests may try many hosts, never many ports; every other message is an answer or a neighbour's.
        icmp = np.flatnonzero((protocol == 1) | (protocol == 58))
        method[icmp[(glance.sport[new[icmp]] != 8) & (glance.sport[new[icmp]] != 128)]] = _NO_TRY
        self._memory.method[slots] = method
        wait = slots[method != _NO_TRY]
        if len(wait):
            self._pending.append((glance.now_ns, wait, glance.columns.serial[wait]))
            self._waiting += len(wait)

    def _judge(self, glance: Glance) -> list[tuple[I64, str]]:
        """Return the flows of the block that have led to nothing, by why; note those that led to something."""
        memory, flow = self._memory, glance.flow
        unmade = np.flatnonzero((memory.made[flow] == OPEN) & (memory.method[flow] != _NO_TRY))
        if not len(unmade):
            return []
        slots = flow[unmade]
        tcp = glance.protocol[unmade] == _TCP
        said = memory.said[:, slots].sum(0) > 0
        answered = np.where(tcp, said & (memory.packets[1, slots] > 0), memory.packets[1, slots] > 0)
        gathered = glance.columns.gathered[slots]
        client, server = (gathered >> np.uint32(16)) & np.uint32(31), (gathered >> np.uint32(24)) & np.uint32(31)
        refused = tcp & ((server & RESETS) != 0) & ((server & ANSWERS) == 0)
        # What the server's reset answers carries nothing that was taken.
        answered &= ~refused | memory.proven[slots]
        open_end = tcp & ~said & ((server & ANSWERS) != 0) & ((client & (RESETS | FINISHES)) != 0)
        empty = open_end & memory.proven[slots]
        done = slots[answered & ~refused]
        memory.made[done] = ANSWERED
        return [
            (slots[refused & ~answered], _REFUSED),
            (slots[open_end & ~empty & ~refused], _HALF_OPEN),
            (slots[empty & ~refused], _EMPTY),
            (done, "spoke"),
        ]

    def _refused_by_icmp(self, glance: Glance) -> list[tuple[I64, str]]:
        """Return the flows that an ICMP error says cannot be delivered."""
        batch, table = glance.batch, glance.table
        if not len(batch.related):
            return []
        rows = batch.related
        kind = table.sport[rows]
        unreachable = np.where(table.protocol[rows] == 1, kind == 3, kind == 1) & batch.related_to_client
        slots = np.unique(batch.related_flow[unreachable])
        return [(slots[(self._memory.made[slots] == OPEN) & (self._memory.method[slots] != _NO_TRY)], _REFUSED)]

    def _empty(self, slots: I64) -> Bools:
        memory = self._memory
        return np.asarray(
            memory.proven[slots]
            & (memory.made[slots] == OPEN)
            & (memory.method[slots] != _NO_TRY)
            & (memory.said[:, slots].sum(0) == 0)
        )

    def _due(self, columns: Columns, now_ns: int) -> list[tuple[I64, str]]:
        """Return the flows that should have been answered by now and were not."""
        found: list[tuple[I64, str]] = []
        memory = self._memory
        while self._pending and (
            now_ns - self._pending[0][0] >= self._answer_ns or (self._waiting > _PENDING and self._hurry())
        ):
            _, slots, serials = self._pending.popleft()
            self._waiting -= len(slots)
            still = (columns.serial[slots] == serials) & (memory.made[slots] == OPEN) & (memory.packets[1, slots] == 0)
            # One side of a long connection, seen alone, is no try.
            tcp_rest = (memory.method[slots] == _ACK) & ((memory.packets[0, slots] > 2) | (memory.said[0, slots] > 0))
            found.append((slots[still & ~tcp_rest], _SILENT))
        return found

    def _hurry(self) -> bool:
        self.hurried += len(self._pending[0][1])
        return True

    def _fold(self, columns: Columns, judged: list[tuple[I64, str]], now_ns: int) -> None:
        """Count judged flows by sender and host, and by sender and port."""
        judged = [(slots, why) for slots, why in judged if len(slots)]
        if not judged:
            return
        flows = np.concatenate([slots for slots, _ in judged])
        why = np.repeat([_WHY.index(one) for _, one in judged], [len(slots) for slots, _ in judged])
        left = why != _WHY.index("spoke")
        self._memory.made[flows[left]] = LEFT
        if not left.any() and not any(len(table.keys) for _, table, _, _ in self._tables):
            return
        mixer = self._voice.mixer
        source = mixer(columns.src_hi[flows], columns.src_lo[flows])
        target = mixer(columns.dst_hi[flows], columns.dst_lo[flows])
        icmp = np.isin(columns.protocol[flows], (1, 58))
        port = columns.dport[flows].astype(np.uint64) | columns.protocol[flows].astype(np.uint64) << np.uint64(16)
        for kind, table, limit, window in self._tables:
            if kind is kinds.PORT_SCAN:
                use = np.flatnonzero(~icmp)
                keys, elements = mixer(source[use], target[use]), port[use]
            else:
                use = np.arange(len(flows))
                keys, elements = mixer(source, port), target
            if len(use):
                slots, begun, fresh = table.count(keys, elements, now_ns, left[use])
                self._add(table, columns, flows[use], slots, begun, fresh, why[use])
                self._look(kind, table, limit, window, np.unique(slots[slots >= 0]))

    def _add(
        self, table: Distinct, columns: Columns, flows: I64, slots: I64, begun: Bools, fresh: Bools, why: I64
    ) -> None:
        """Add to the counts by reason, and keep who it is about."""
        if begun.any():
            note(table.keys, slots[begun], columns, flows[begun])
        chosen = np.flatnonzero(fresh)
        for number, name in enumerate(_WHY):
            part = chosen[why[chosen] == number]
            if len(part):
                proven = part if name != "spoke" else part[self._memory.proven[flows[part]]]
                np.add.at(table.keys.values[name], slots[proven], 1)
        bits = np.uint16(1) << self._memory.method[flows[chosen]].astype(np.uint16)
        np.bitwise_or.at(table.keys.values["methods"], slots[chosen], bits)

    def _look(self, kind: Kind, table: Distinct, limit: int, window: float, slots: I64) -> None:
        left, tried = (table.keys.values[name][slots].astype(np.int64) for name in ("left", "n"))
        over = slots[(left >= limit) & (left >= self._options.share * tried)]
        if not len(over):
            return
        value, last = table.keys.values, table.keys.last
        proven = (value[_EMPTY][over].astype(np.int64) >= self._options.proven) | (
            value["spoke"][over].astype(np.int64) >= limit
        )
        before = value["told_ns"][over].astype(np.int64)
        # What was told of an address that anyone could have written is told again when it is proven.
        due = (before == 0) | (last[over] - before >= self._again_ns) | (proven & (value["told"][over] == 1))
        value["told_ns"][over[due]] = last[over[due]]
        value["told"][over[due]] = 1 + proven[due]
        for slot, sure in zip(over[due].tolist(), proven[due].tolist(), strict=True):
            self._say(kind, table, limit, window, slot, not sure)

    def _say(self, kind: Kind, table: Distinct, limit: int, window: float, slot: int, forgeable: bool) -> None:
        keys = table.keys
        value = {name: int(keys.values[name][slot]) for name in ("left", "n", *_COUNTS)}
        sender = ends.client(keys, slot)
        ports = kind is kinds.PORT_SCAN
        subject = ends.server(keys, slot) if ports else _port(keys.values["protocol"][slot], keys.values["dport"][slot])
        what = "ports" if ports else "hosts"
        numbers = {what: float(value["left"]), "tried": float(value["n"])}
        numbers |= {name: float(value[name]) for name in _WHY[:4] if value[name]}
        method = "+".join(_METHODS[bit] for bit in range(1, 10) if value["methods"] >> bit & 1)
        if value[_EMPTY] and method == "syn":
            method = "connect"
        self._voice.say(
            Finding(
                kind=kind,
                subject=subject,
                sender=sender,
                severity=Severity.HIGH if self._voice.home.has(sender) and not ports else kind.severity,
                forgeable=forgeable,
                method=method,
                numbers=numbers,
                limits={what: float(limit)},
                window_s=window,
                first_ns=int(keys.start[slot]),
                last_ns=int(keys.last[slot]),
                senders=self._others(table, slot, limit) if forgeable and ports else (),
                protocol=NAMES.get(int(keys.values["protocol"][slot]), ""),
                port=0 if ports else int(keys.values["dport"][slot]),
            )
        )

    def _others(self, table: Distinct, slot: int, limit: int) -> tuple[str, ...]:
        """Return who else tries the same host's ports: of decoys, one at most is the sender."""
        keys = table.keys
        live = keys.live(int(keys.last[slot]))
        same = keys.values["left"][live].astype(np.int64) * 2 >= limit
        for name in ("dst_hi", "dst_lo", "family"):
            same &= keys.values[name][live] == keys.values[name][slot]
        return tuple(ends.client(keys, other) for other in live[same][:_SENDERS].tolist() if other != slot)


_WHY = (_REFUSED, _SILENT, _HALF_OPEN, _EMPTY, "spoke")


def _port(protocol: int, port: int) -> str:
    name = NAMES.get(int(protocol), str(protocol))
    return f"{name} echo" if int(protocol) in (1, 58) else f"port {int(port)}/{name}"


def _replies(sport: U16, dport: U16) -> Bools:
    """Return which datagrams are late answers of a service, or a traceroute's."""
    return ((sport < 1024) & (dport >= 1024)) | ((dport >= 33434) & (dport < 33600))
