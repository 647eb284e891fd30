"""Live capture: the packets of several interfaces as one source of blocks; what comes and goes, and what the kernel dropped, is counted."""

import select
import time
from collections.abc import Iterator, Sequence

import numpy as np

from collectors.traffic.block import PAD, ROOM, Block
from collectors.traffic.ring import Ring, RingCounts, RingOptions

IDLE_S = 1.0
"""So often does an idle capture give an empty block, so that its reader can look at its timeouts."""

PACE_S, STEP_S = 0.06, 0.02
"""So much time passes between two looks while little comes, since a little at a time costs more per packet; and how often it is seen
whether it is no longer little."""


class LiveSource:
    """Packets of interfaces, opened when this is made (CAP_NET_RAW), read until `stop`. A name without an interface is waited for."""

    def __init__(self, names: Sequence[str], options: RingOptions | None = None) -> None:
        self.problems: dict[str, str] = {}
        """What the socket of an interface complains of, by name, until packets come over it again."""
        self.names = list(dict.fromkeys(names))
        self._rings: list[Ring] = []
        try:
            for number, name in enumerate(self.names):
                self._rings.append(Ring(name, number, options))
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        for ring in self._rings:
            self._poll.register(ring.fileno(), select.POLLIN | select.POLLERR)
        self._by_number = {ring.fileno(): ring for ring in self._rings}
        self._stopped = False
        self._nothing = np.zeros(ROOM + PAD, np.uint8)

    @property
    def problem(self) -> str:
        """What is wrong with the sockets, "" for nothing."""
        return "; ".join(f"{name}: {problem}" for name, problem in self.problems.items())

    def blocks(self, idle_s: float = IDLE_S) -> Iterator[Block]:
        """Give blocks as they come, the interfaces in turn; an empty one when nothing came for `idle_s` seconds."""
        looked_s = 0.0
        while not self._stopped:
            ready = self._poll.poll(idle_s * 1000)
            self._gather(looked_s + PACE_S)
            looked_s = time.monotonic()
            self.refresh()
            if not ready:
                yield self._empty()
            for number, events in ready:
                ring = self._by_number[number]
                if events & select.POLLERR:
                    self._look_again(ring)
                yield from self._drain(ring)

    def _gather(self, until_s: float) -> None:
        """Let packets come together until then, as long as no interface has plenty."""
        while (early_s := until_s - time.monotonic()) > 0 and not any(ring.plenty for ring in self._rings):
            time.sleep(min(STEP_S, early_s))

    def _drain(self, ring: Ring) -> Iterator[Block]:
        """Give what one interface has, once around its ring at most, so that none starves the others."""
        for _ in range(ring.turns):
            block = ring.take()
            if block is None or self._stopped:
                return
            if len(block):
                self.problems.pop(ring.name, None)
                yield block

    def _look_again(self, ring: Ring) -> None:
        """Look what a socket complains of: mostly that its interface went."""
        problem = ring.problem()
        if problem:
            self.problems[ring.name] = problem
        ring.bind()

    def _empty(self) -> Block:
        for ring in self._rings:
            ring.bind()
        nothing = np.zeros(0, np.int64)
        return Block(self._nothing, 0, nothing, nothing, nothing, nothing, np.zeros(0, np.uint16))

    def missing(self) -> list[str]:
        """Return the names that no interface has at present."""
        return [ring.name for ring in self._rings if not ring.index]

    def standing_still(self) -> dict[str, str]:
        """Return the interfaces that are there and over which nothing can come, with the reason (`ring.DOWN`, `ring.NO_CARRIER`)."""
        found = {ring.name: ring.standstill() for ring in self._rings if ring.index}
        return {name: why for name, why in found.items() if why}

    def refresh(self) -> None:
        """Take over the kernel's counts, and look for interfaces that went or came back; where a ring is `spent`, `blocks` ends."""
        for ring in self._rings:
            ring.refresh()
            if not ring.index:
                ring.bind()
            if ring.spent:
                self.stop()

    def counts(self) -> dict[str, RingCounts]:
        """Return the counts by interface."""
        return {ring.name: ring.counts for ring in self._rings}

    def stop(self) -> None:
        """Let `blocks` end after the block that it is at."""
        self._stopped = True

    def close(self) -> None:
        """Give everything back."""
        for ring in self._rings:
            ring.close()
