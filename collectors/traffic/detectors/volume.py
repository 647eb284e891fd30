"""Data that leaves for one peer in an hour: more than the limit and many times what that peer usually gets.

What is usual is a moving average over the hours before, so that a nightly backup is told once and then known. A judge joins the finding
with the process that owns the connection: `local` and `subject` are its ends.
"""

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import NAMES, Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import Memory
from collectors.traffic.detectors.options import VolumeOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice

_DAYS_S = 30 * 86_400.0
_KEPT = 0.75
"""How much of the average stays when another hour with traffic is over. Hours without do not lower it."""


class Volume:
    """Bytes by local address, peer and who called whom."""

    def __init__(self, options: VolumeOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        columns = {
            **ENDS,
            "called": np.bool_,
            "epoch": np.int64,
            "bytes": np.int64,
            "back": np.int64,
            "usual": np.float64,
        }
        self.peers = Tally(_DAYS_S, columns, 32_768)

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.peers.evicted + self.peers.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block."""
        ours = self._memory.ours[:, glance.flow]
        crossing = np.flatnonzero((ours[0] != ours[1]) & (glance.packets.sum(0) > 0))
        if not len(crossing):
            return
        called = ours[0, crossing]
        out = np.where(called, glance.size[0, crossing], glance.size[1, crossing])
        back = np.where(called, glance.size[1, crossing], glance.size[0, crossing])
        keys = self._voice.mixer(glance.client[crossing], glance.server[crossing], called.astype(np.uint64))
        first, number = together(keys)
        tally = self.peers
        slots, fresh = tally.enter(keys[first], glance.begin_ns, glance.now_ns)
        note(tally, slots[fresh], glance.columns, glance.flow[crossing[first[fresh]]])
        tally.values["called"][slots[fresh]] = called[first[fresh]]
        room = slots >= 0
        self._turn(slots[room], fresh[room], glance.now_ns)
        owner = slots[number]
        there = owner >= 0
        np.add.at(tally.values["bytes"], owner[there], out[there])
        np.add.at(tally.values["back"], owner[there], back[there])
        self._look(slots[room], glance.now_ns)

    def _turn(self, slots: I64, fresh: Bools, now_ns: int) -> None:
        """Begin a new hour for keys whose last one is over."""
        value = self.peers.values
        epoch = now_ns // int(self._options.window * 1e9)
        over = slots[value["epoch"][slots] != epoch]
        known = slots[(value["epoch"][slots] != epoch) & ~fresh]
        usual = value["usual"][known].astype(np.float64)
        value["usual"][known] = np.where(
            usual > 0, _KEPT * usual + (1 - _KEPT) * value["bytes"][known], value["bytes"][known]
        )
        value["bytes"][over] = value["back"][over] = 0
        value["epoch"][over] = epoch
        # What was sent much to is worth remembering.
        value["n"][slots] = (np.maximum(value["usual"][slots].astype(np.float64), value["bytes"][slots]) / 1024).astype(
            np.int64
        )

    def _look(self, slots: I64, now_ns: int) -> None:
        value = self.peers.values
        limit = np.where(value["called"][slots], self._options.sent, self._options.served)
        sent = value["bytes"][slots].astype(np.int64)
        unusual = (sent >= limit) & (sent >= self._options.usual * value["usual"][slots].astype(np.float64))
        for index in np.flatnonzero(unusual).tolist():
            self._say(int(slots[index]), int(limit[index]), now_ns)

    def _say(self, slot: int, limit: int, now_ns: int) -> None:
        tally = self.peers
        value = {
            name: tally.values[name][slot].item() for name in ("called", "bytes", "back", "usual", "dport", "protocol")
        }
        called = bool(value["called"])
        window_ns = int(self._options.window * 1e9)
        self._voice.say(
            Finding(
                kind=kinds.OUTBOUND_VOLUME,
                subject=ends.service(tally, slot) if called else ends.client(tally, slot),
                sender="",
                severity=kinds.OUTBOUND_VOLUME.severity,
                forgeable=True,
                method="sent" if called else "served",
                numbers={
                    "bytes_out": float(value["bytes"]),
                    "bytes_back": float(value["back"]),
                    "usual_bytes": round(float(value["usual"])),
                },
                limits={"bytes_out": float(limit)},
                window_s=self._options.window,
                first_ns=now_ns // window_ns * window_ns,
                last_ns=now_ns,
                protocol=NAMES.get(int(value["protocol"]), ""),
                port=int(value["dport"]),
                local=ends.client(tally, slot) if called else ends.service(tally, slot),
            ),
            self._options.window,
        )
