"""Clients that make requests or connections at a rate that no person and few programs do. Both need a completed handshake."""

import numpy as np

from collectors.traffic.block import I64, U64
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, by_client_and_service, note
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.options import RateOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice


class Rates:
    """Counts by client and service."""

    def __init__(self, options: RateOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice
        self.connections = Tally(options.window, ENDS)
        self.requests = Tally(options.window, ENDS)

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.connections.evicted + self.connections.left_out + self.requests.evicted + self.requests.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block: connections that were completed."""
        opened = np.flatnonzero(glance.opened & (glance.packets[0] > 0))
        if len(opened):
            keys = self._voice.mixer(glance.client[opened], glance.services(opened, self._voice.mixer))
            self._count("connections", self.connections, keys, glance, glance.flow[opened])

    def count_requests(self, glance: Glance, slots: I64) -> None:
        """Take the flows of a block's HTTP requests, one entry for each."""
        if len(slots):
            keys = by_client_and_service(self._voice.mixer, glance.columns, slots)
            self._count("requests", self.requests, keys, glance, slots)

    def _count(self, what: str, tally: Tally, keys: U64, glance: Glance, flows: I64) -> None:
        first, number = together(keys)
        slots, fresh = tally.enter(keys[first], glance.begin_ns, glance.now_ns)
        note(tally, slots[fresh], glance.columns, flows[first[fresh]])
        owner = slots[number]
        np.add.at(tally.values["n"], owner[owner >= 0], 1)
        slots = slots[slots >= 0]
        limit = self._options.connections if what == "connections" else self._options.requests
        for slot in slots[tally.values["n"][slots].astype(np.int64) >= limit].tolist():
            self._say(what, tally, limit, slot)

    def _say(self, what: str, tally: Tally, limit: int, slot: int) -> None:
        self._voice.say(
            Finding(
                kind=kinds.REQUEST_FLOOD,
                subject=ends.service(tally, slot),
                sender=ends.client(tally, slot),
                severity=kinds.REQUEST_FLOOD.severity,
                forgeable=False,
                method=what,
                numbers={what: float(tally.values["n"][slot])},
                limits={what: float(limit)},
                window_s=self._options.window,
                first_ns=int(tally.start[slot]),
                last_ns=int(tally.last[slot]),
                protocol="tcp",
                port=int(tally.values["dport"][slot]),
            )
        )
