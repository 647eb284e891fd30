"""Connections held open: many of one client at one service in which the server cannot say anything, or cannot get rid of what it says.

That is what slow headers and slow bodies (the request is never complete, so the server is silent) and slow reading (the client's window
stays shut) have in common, whatever the tool. Services that greet first, and clients that wait between requests, are not like that; nor
are a proxy whose many whole requests the server takes its time for (long polling), and programs that log or count to a server which
never speaks.
"""

import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.ends import by_client_and_service
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import Memory
from collectors.traffic.detectors.options import HeldOptions
from collectors.traffic.detectors.tally import together
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.states import FIN_WAIT, OPEN
from collectors.traffic.flows.store import Columns

EVERY_NS = 2_000_000_000
_TCP = 6
_SHUT = 64
"""A window of so few units or less holds no segment of use."""
_SHOWN = 16
"""Bytes after which a client has shown whether it speaks a protocol that is known here."""


class Held:
    """Looks at the flow table every two seconds of the packets' time."""

    def __init__(self, options: HeldOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        self._looked_ns = -(1 << 62)

    def feed(self, glance: Glance) -> None:
        """Note which clients keep their window shut."""
        rows, table, memory = glance.batch.rows, glance.table, self._memory
        spoke = (table.protocol[rows] == _TCP) & ~glance.batch.to_client & ((table.tcp_flags[rows] & np.uint8(7)) == 0)
        shut = spoke & (table.window[rows] <= _SHUT)
        stalled = glance.flow[memory.stalled_ns[glance.flow] > 0]
        if not len(stalled) and not shut.any():
            return
        starts = glance.batch.starts
        opened = np.logical_or.reduceat(spoke & ~shut, starts)
        memory.stalled_ns[glance.flow[opened]] = 0
        # What its last packet of the block says is how it is now.
        last = np.maximum.reduceat(np.where(spoke, np.arange(len(rows)), -1), starts)
        now_shut = glance.flow[(last >= 0) & shut[last]]
        begun = now_shut[memory.stalled_ns[now_shut] == 0]
        memory.stalled_ns[begun] = max(glance.now_ns, 1)

    def sweep(self, columns: Columns, now_ns: int) -> None:
        """Count who holds what."""
        if now_ns - self._looked_ns < EVERY_NS:
            return
        self._looked_ns = now_ns
        memory, after = self._memory, int(self._options.after * 1e9)
        live = np.flatnonzero(columns.live[: len(memory.made)] & memory.proven[: len(columns)])
        state = columns.tcp_state[live]
        live = live[(columns.protocol[live] == _TCP) & (state >= OPEN) & (state <= FIN_WAIT)]
        waiting = memory.asking[live] | (memory.said[0, live] < _SHOWN)
        silent = (memory.said[1, live] == 0) & waiting & (now_ns - columns.first_ns[live] >= after)
        stalled = memory.stalled_ns[live]
        stalled_long = (stalled > 0) & (now_ns - stalled >= after)
        for method, held in (("unfinished requests", live[silent]), ("shut windows", live[stalled_long])):
            if len(held) >= self._options.connections:
                self._count(columns, held, method, now_ns)

    def _count(self, columns: Columns, held: I64, method: str, now_ns: int) -> None:
        first, number = together(by_client_and_service(self._voice.mixer, columns, held))
        counts = np.bincount(number)
        for which in np.flatnonzero(counts >= self._options.connections).tolist():
            slot = int(held[first[which]])
            members = held[number == which]
            family = int(columns.family[slot])
            source = (int(columns.src_hi[slot]), int(columns.src_lo[slot]))
            target = (int(columns.dst_hi[slot]), int(columns.dst_lo[slot]))
            self._voice.say(
                Finding(
                    kind=kinds.CONNECTIONS_HELD,
                    subject=endpoint(family, *target, int(columns.dport[slot]), _TCP),
                    sender=endpoint(family, *source),
                    severity=kinds.CONNECTIONS_HELD.severity,
                    forgeable=False,
                    method=method,
                    numbers={"connections": float(counts[which])},
                    limits={"connections": float(self._options.connections)},
                    window_s=0,
                    first_ns=int(columns.first_ns[members].min()),
                    last_ns=now_ns,
                    protocol="tcp",
                    port=int(columns.dport[slot]),
                )
            )
