"""Clients that cause a significant share of a service's load: of its bytes, or of its connections and requests."""

import numpy as np

from collectors.traffic.block import I64, U64
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import Memory
from collectors.traffic.detectors.options import LoadOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns


class Load:
    """Counts by service and by client of it, looked at when the window is over, then begun anew."""

    def __init__(self, options: LoadOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        columns = {**ENDS, "service": np.uint64, "bytes": np.int64, "requests": np.int64}
        # The window of the tables is never over by itself: `_over` ends it for all keys at once.
        self.clients = Tally(options.window * 10, columns)
        self._began_ns = 0

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.clients.evicted + self.clients.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block: bytes of flows to services of ours, and their connections."""
        self.sweep(glance.now_ns)
        served = np.flatnonzero(
            self._memory.ours[1, glance.flow] & (glance.packets.sum(0) > 0) & (glance.dport < 32_768)
        )
        if len(served):
            served = served[(glance.protocol[served] == 6) | (glance.protocol[served] == 17)]
        if not len(served):
            return
        service = glance.services(served, self._voice.mixer)
        keys = self._voice.mixer(glance.client[served], service)
        opened = (glance.opened | (glance.new & (glance.protocol == 17)))[served]
        amounts = {"bytes": glance.size[:, served].sum(0), "requests": opened.astype(np.int64)}
        self._count(glance.columns, keys, service, glance.flow[served], amounts, glance.now_ns)

    def count_requests(self, columns: Columns, slots: I64, now_ns: int) -> None:
        """Take the flows of HTTP requests, one entry for each."""
        slots = slots[self._memory.ours[1, slots]]
        if not len(slots):
            return
        mixer = self._voice.mixer
        server = mixer(columns.dst_hi[slots], columns.dst_lo[slots])
        port = columns.dport[slots].astype(np.uint64) | columns.protocol[slots].astype(np.uint64) << np.uint64(16)
        service = mixer(server, port)
        keys = mixer(mixer(columns.src_hi[slots], columns.src_lo[slots]), service)
        self._count(columns, keys, service, slots, {"requests": np.ones(len(slots), np.int64)}, now_ns)

    def sweep(self, now_ns: int) -> None:
        """End the window when its time is over."""
        if now_ns - self._began_ns >= self._options.window * 1e9:
            if len(self.clients):
                self._over(now_ns)
                self.clients.clear()
            self._began_ns = now_ns

    def _count(
        self, columns: Columns, keys: U64, service: U64, flows: I64, amounts: dict[str, I64], now_ns: int
    ) -> None:
        first, number = together(keys)
        tally = self.clients
        slots, fresh = tally.enter(keys[first], now_ns, now_ns)
        note(tally, slots[fresh], columns, flows[first[fresh]])
        tally.values["service"][slots[fresh]] = service[first[fresh]]
        owner = slots[number]
        there = owner >= 0
        for name, amount in amounts.items():
            np.add.at(tally.values[name], owner[there], amount[there])
        slots = slots[slots >= 0]
        weight = tally.values["bytes"][slots].astype(np.int64) // 1024
        tally.values["n"][slots] = weight + tally.values["requests"][slots].astype(np.int64)

    def _over(self, now_ns: int) -> None:
        tally, options = self.clients, self._options
        live = tally.live(now_ns)
        _, number = together(tally.values["service"][live])  # type: ignore[arg-type]
        clients = np.bincount(number)
        for name, least in (("bytes", options.bytes), ("requests", options.requests)):
            amount = tally.values[name][live].astype(np.int64)
            whole = np.bincount(number, amount).astype(np.int64)
            over = (whole >= least) & (clients >= options.clients)
            for index in np.flatnonzero(over[number] & (amount >= options.share * whole[number])).tolist():
                self._say(name, int(live[index]), int(whole[number[index]]), int(clients[number[index]]), now_ns)

    def _say(self, name: str, slot: int, whole: int, clients: int, now_ns: int) -> None:
        tally = self.clients
        amount = int(tally.values[name][slot])
        tcp = int(tally.values["protocol"][slot]) == 6
        self._voice.say(
            Finding(
                kind=kinds.LOAD_SHARE,
                subject=ends.service(tally, slot),
                sender=ends.client(tally, slot),
                severity=kinds.LOAD_SHARE.severity,
                forgeable=not tcp or name == "bytes",
                method=name,
                numbers={
                    "share": round(amount / whole, 3),
                    name: float(amount),
                    f"{name}_of_all": float(whole),
                    "clients": float(clients),
                },
                limits={"share": self._options.share},
                window_s=self._options.window,
                first_ns=self._began_ns,
                last_ns=now_ns,
                protocol="tcp" if tcp else "udp",
                port=int(tally.values["dport"][slot]),
            )
        )
