"""Floods: packets that lead to nothing, counted by who gets them, because whoever sends them writes any address into them.

What counts is what normal traffic does not do in numbers: connections begun and neither completed nor refused, TCP packets of no
connection, datagrams that nothing answers, ICMP. A busy service completes what is begun; one that is down refuses it, which is no flood.
"""

import numpy as np

from collectors.traffic.block import I64, U64, Bools
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import NAMES, Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import Memory
from collectors.traffic.detectors.options import FloodOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.states import ACKS, ANSWERS, RESETS

_TCP, _UDP = 6, 17
_SYN = 2
_HALF_OPEN, _STRAY, _UDP_FLOOD, _ICMP_FLOOD = 0, 1, 2, 3
_METHODS = ("SYN", "TCP", "UDP", "ICMP")
_NAMES = ("half_open", "stray_packets", "unanswered_packets", "packets")
_STRAY_OF_A_FLOW = 4
_FLOWS = 50
"""A single sender of datagrams without answers may be a stream; from so many flows on it is not."""


class Floods:
    """Counts what led to nothing by service (connections) or host (packets)."""

    def __init__(self, options: FloodOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        columns = {**ENDS, "flows": np.int64, "begun": np.int64, "senders": np.uint64}
        self.counts = Tally(options.window, columns)
        self._limits = (options.half_open, options.stray, options.udp, options.icmp)
        self._one_way = np.zeros(65_536, np.bool_)
        self._one_way[list(options.one_way_ports)] = True

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.counts.evicted + self.counts.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block."""
        parts = [*self._tcp(glance), self._udp(glance), self._icmp(glance)]
        parts = [part for part in parts if len(part[1])]
        if not parts:
            return
        method = np.repeat([part[0] for part in parts], [len(part[1]) for part in parts])
        groups, amount, begun = (np.concatenate([part[place] for part in parts]) for place in (1, 2, 3))
        port = np.where(method == _HALF_OPEN, glance.dport[groups], 0).astype(np.uint64)
        keys = self._voice.mixer(glance.server[groups], port << np.uint64(8) | method.astype(np.uint64))
        self._count(glance, method, groups, amount, begun, keys)

    def _tcp(self, glance: Glance) -> list[tuple[int, I64, I64, I64]]:
        """Return half-open connections (and, as negative counts, those that got on), and packets of none."""
        tcp = np.flatnonzero((glance.protocol == _TCP) & (glance.packets.sum(0) > 0))
        if not len(tcp):
            return []
        memory, flow = self._memory, glance.flow[tcp]
        gathered = glance.columns.gathered[flow]
        client, server = (gathered >> np.uint32(16)) & np.uint32(31), (gathered >> np.uint32(24)) & np.uint32(31)
        opening = (client & 1) != 0
        spoke = glance.packets[0, tcp]
        syn = opening & ((client & ACKS) == 0)
        # The reset with which a scanner, or the host behind a forged address, takes its own SYN back is none more.
        syns = np.where((client & RESETS) != 0, glance.new[tcp], spoke)
        begun = np.where(syn, syns, opening & glance.new[tcp])
        # A flow that is acknowledged, or was refused, takes back what it was counted as when it began in an earlier block.
        before = np.where(glance.new[tcp], 0, memory.packets[0, flow] - spoke)
        completed = opening & ((client & ACKS) != 0) & ((server & ANSWERS) != 0)
        refused = opening & ((server & RESETS) != 0) & ((server & ANSWERS) == 0)
        settled = (completed | refused) & ~memory.settled[flow]
        memory.settled[flow[settled]] = True
        half = np.where(completed | refused, np.where(settled & (before > 0), -1, 0), np.where(syn, syns, 0))
        # One long flow of which only one side is seen is no flood by itself: a few packets of each count.
        few = np.clip(_STRAY_OF_A_FLOW - (memory.packets[0, flow] - spoke), 0, spoke)
        stray = np.where(((server & (ACKS | ANSWERS)) == 0) & (~syn | refused), few, 0)
        chosen, strays = np.flatnonzero((half != 0) | (begun > 0)), np.flatnonzero(stray)
        return [
            (_HALF_OPEN, tcp[chosen], half[chosen], begun[chosen].astype(np.int64)),
            (_STRAY, tcp[strays], stray[strays], np.zeros(len(strays), np.int64)),
        ]

    def _udp(self, glance: Glance) -> tuple[int, I64, I64, I64]:
        udp = np.flatnonzero((glance.protocol == _UDP) & (glance.packets[0] > 0))
        if len(udp):
            alone = (self._memory.packets[1, glance.flow[udp]] == 0) & ~self._one_way[glance.dport[udp]]
            udp = udp[alone & ~glance.to_many(udp)]
        return _UDP_FLOOD, udp, glance.packets[0, udp], np.zeros(len(udp), np.int64)

    def _icmp(self, glance: Glance) -> tuple[int, I64, I64, I64]:
        icmp = np.flatnonzero(((glance.protocol == 1) | (glance.protocol == 58)) & (glance.packets[0] > 0))
        return _ICMP_FLOOD, icmp, glance.packets[0, icmp], np.zeros(len(icmp), np.int64)

    def _count(self, glance: Glance, method: I64, groups: I64, amount: I64, begun: I64, keys: U64) -> None:
        first, number = together(keys)
        tally = self.counts
        slots, fresh = tally.enter(keys[first], glance.begin_ns, glance.now_ns)
        note(tally, slots[fresh], glance.columns, glance.flow[groups[first[fresh]]])
        there = slots[number] >= 0
        owner = slots[number][there]
        np.add.at(tally.values["n"], owner, amount[there])
        np.add.at(tally.values["flows"], owner, glance.new[groups[there]])
        np.add.at(tally.values["begun"], owner, begun[there])
        bits = np.uint64(1) << (glance.client[groups[there]] & np.uint64(63))
        np.bitwise_or.at(tally.values["senders"], owner, bits)
        self._look(glance, method[first], slots)

    def _look(self, glance: Glance, method: I64, slots: I64) -> None:
        there = slots >= 0
        method, slots = method[there], slots[there]
        tally = self.counts
        count, flows = tally.values["n"][slots].astype(np.int64), tally.values["flows"][slots].astype(np.int64)
        limit = np.array(self._limits)[method]
        over: Bools = count >= limit
        # Half of what is begun gets on where there is no flood; a stream is one flow, and many times the limit.
        over &= (method != _HALF_OPEN) | (2 * count >= tally.values["begun"][slots].astype(np.int64))
        over &= (method != _UDP_FLOOD) | (flows >= _FLOWS) | (count >= 10 * limit)
        for index in np.flatnonzero(over).tolist():
            self._say(glance, int(method[index]), int(slots[index]), int(limit[index]))

    def _say(self, glance: Glance, method: int, slot: int, limit: int) -> None:
        tally = self.counts
        value = {name: int(tally.values[name][slot]) for name in ("n", "flows", "begun", "senders")}
        senders = _estimate(value["senders"])
        numbers = {_NAMES[method]: float(value["n"]), "flows": float(value["flows"]), "senders_about": float(senders)}
        if method == _HALF_OPEN:
            numbers["begun"] = float(value["begun"])
        self._voice.say(
            Finding(
                kind=kinds.FLOOD,
                subject=ends.service(tally, slot) if method == _HALF_OPEN else ends.server(tally, slot),
                sender=ends.client(tally, slot) if senders == 1 else "",
                severity=kinds.FLOOD.severity,
                forgeable=True,
                method=_METHODS[method],
                numbers=numbers,
                limits={_NAMES[method]: float(limit)},
                window_s=self._options.window,
                first_ns=int(tally.start[slot]),
                last_ns=int(tally.last[slot]),
                interface=int(glance.interface[0]),
                protocol=NAMES.get(int(tally.values["protocol"][slot]), ""),
                port=int(tally.values["dport"][slot]) if method == _HALF_OPEN else 0,
            )
        )


def _estimate(bits: int) -> int:
    """Return about how many senders set these of 64 bits (linear counting); 300 stands for many."""
    empty = 64 - bits.bit_count()
    return 300 if not empty else round(-64 * float(np.log(empty / 64)))
