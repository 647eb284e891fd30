"""Amplification: a UDP service answers many times what it was asked, to an address that the question may have forged."""

import numpy as np

from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.options import AmplificationOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice


class Amplification:
    """Bytes asked and answered by service and client, for the ports that are known to amplify."""

    def __init__(self, options: AmplificationOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice
        self.clients = Tally(options.window, {**ENDS, "asked": np.int64, "answered": np.int64})
        self._ports = np.zeros(65_536, np.bool_)
        self._ports[list(options.ports)] = True

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.clients.evicted + self.clients.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block."""
        udp = np.flatnonzero((glance.protocol == 17) & self._ports[glance.dport] & (glance.packets.sum(0) > 0))
        if not len(udp):
            return
        keys = self._voice.mixer(glance.client[udp], glance.services(udp, self._voice.mixer))
        first, number = together(keys)
        tally = self.clients
        slots, fresh = tally.enter(keys[first], glance.begin_ns, glance.now_ns)
        note(tally, slots[fresh], glance.columns, glance.flow[udp[first[fresh]]])
        owner = slots[number]
        there = owner >= 0
        for place, name in enumerate(("asked", "answered")):
            np.add.at(tally.values[name], owner[there], glance.size[place, udp[there]])
        slots = slots[slots >= 0]
        asked, answered = (tally.values[name][slots].astype(np.int64) for name in ("asked", "answered"))
        tally.values["n"][slots] = answered // 1024
        over = (answered >= self._options.answered) & (answered >= self._options.ratio * asked)
        for slot in slots[over].tolist():
            self._say(slot)

    def _say(self, slot: int) -> None:
        tally = self.clients
        asked, answered = float(tally.values["asked"][slot]), float(tally.values["answered"][slot])
        self._voice.say(
            Finding(
                kind=kinds.AMPLIFICATION,
                subject=ends.service(tally, slot),
                sender=ends.client(tally, slot),
                severity=kinds.AMPLIFICATION.severity,
                forgeable=True,
                method="udp",
                numbers={"bytes_answered": answered, "times_what_was_asked": round(answered / max(asked, 1.0), 1)},
                limits={"bytes_answered": float(self._options.answered), "times_what_was_asked": self._options.ratio},
                window_s=self._options.window,
                first_ns=int(tally.start[slot]),
                last_ns=int(tally.last[slot]),
                protocol="udp",
                port=int(tally.values["dport"][slot]),
            )
        )
