"""Beacons: calls to one peer at intervals that hardly differ. Honest monitoring does that, too: a finding is a question, no alarm."""

import numpy as np

from collectors.traffic.block import I64
from collectors.traffic.detectors import ends, kinds
from collectors.traffic.detectors.ends import ENDS, note
from collectors.traffic.detectors.finding import NAMES, Finding
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import Memory
from collectors.traffic.detectors.options import BeaconOptions
from collectors.traffic.detectors.tally import Tally, together
from collectors.traffic.detectors.voice import Voice

_DAYS_S = 14 * 86_400.0
_AGAIN_S = 86_400.0
_ROUNDS = 4
"""Calls of one key in a block that are told apart."""


class Beacons:
    """Mean and variance of the intervals between calls (after Welford), by client, server and port; only calls out of our networks."""

    def __init__(self, options: BeaconOptions, voice: Voice, memory: Memory) -> None:
        self._options, self._voice, self._memory = options, voice, memory
        self.calls = Tally(_DAYS_S, {**ENDS, "called_ns": np.int64, "mean": np.float64, "squares": np.float64}, 32_768)
        self._ignored = np.zeros(65_536, np.bool_)
        self._ignored[list(options.ignored_ports)] = True

    @property
    def evicted(self) -> int:
        """Keys that were let go for want of room."""
        return self.calls.evicted + self.calls.left_out

    def feed(self, glance: Glance) -> None:
        """Take a block: its new flows are calls."""
        ours = self._memory.ours[:, glance.flow]
        new = np.flatnonzero(glance.new & ours[0] & ~ours[1])
        if not len(new):
            return
        new = new[((glance.protocol[new] == 6) | (glance.protocol[new] == 17)) & ~self._ignored[glance.dport[new]]]
        new = new[np.argsort(glance.columns.first_ns[glance.flow[new]], kind="stable")]
        # A block of a quiet network is as long as several calls may be apart.
        for _ in range(_ROUNDS):
            if not len(new):
                return
            new = self._take(glance, new)

    def _take(self, glance: Glance, new: I64) -> I64:
        """Take the first call of each key; returns the calls that do not belong to these."""
        keys = self._voice.mixer(glance.client[new], glance.services(new, self._voice.mixer))
        first, number = together(keys)
        begun = glance.columns.first_ns[glance.flow[new]]
        called = begun[first]
        later = new[begun - called[number] >= self._options.shortest * 1e9]
        tally = self.calls
        slots, fresh = tally.enter(keys[first], glance.begin_ns, glance.now_ns)
        note(tally, slots[fresh], glance.columns, glance.flow[new[first[fresh]]])
        room = slots >= 0
        slots, called, fresh = slots[room], called[room], fresh[room]
        value = tally.values
        interval = (called - value["called_ns"][slots].astype(np.int64)) / 1e9
        # A call right after another one belongs to it.
        apart = fresh | (interval >= self._options.shortest)
        again = apart & (fresh | (interval > self._options.longest))
        for name in ("n", "mean", "squares"):
            value[name][slots[again]] = 0
        value["called_ns"][slots[apart]] = called[apart]
        regular = apart & ~again
        slots, interval = slots[regular], interval[regular]
        count = value["n"][slots].astype(np.float64) + 1
        value["n"][slots] = count
        mean = value["mean"][slots].astype(np.float64)
        moved = mean + (interval - mean) / count
        squares = value["squares"][slots].astype(np.float64) + (interval - mean) * (interval - moved)
        value["squares"][slots] = squares
        value["mean"][slots] = moved
        spread = np.sqrt(squares / count) / moved
        for index in np.flatnonzero((count >= self._options.calls) & (spread <= self._options.spread)).tolist():
            self._say(int(slots[index]), float(spread[index]))
        return later

    def _say(self, slot: int, spread: float) -> None:
        tally, options = self.calls, self._options
        mean = float(tally.values["mean"][slot])
        calls = float(tally.values["n"][slot])
        self._voice.say(
            Finding(
                kind=kinds.BEACON,
                subject=ends.service(tally, slot),
                sender=ends.client(tally, slot),
                severity=kinds.BEACON.severity,
                forgeable=True,
                method=f"every {mean:.0f} s",
                numbers={"calls": calls, "spread": round(spread, 3), "seconds_between": round(mean, 1)},
                limits={"calls": float(options.calls), "spread": options.spread},
                window_s=0,
                first_ns=int(tally.last[slot] - calls * mean * 1e9),
                last_ns=int(tally.last[slot]),
                protocol=NAMES.get(int(tally.values["protocol"][slot]), ""),
                port=int(tally.values["dport"][slot]),
                local=ends.client(tally, slot),
            ),
            _AGAIN_S,
        )
