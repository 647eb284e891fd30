"""What detectors remember of each flow: on which interface it counts, what its sides have said, what was made of it."""

import numpy as np

from collectors.traffic.block import I64, U8, Bools

NOWHERE, COPY = -1, -2
"""No packet of this direction was seen; the flow is another one's copy behind an address translation, and counts nowhere."""

OPEN, LEFT, ANSWERED = 0, 1, 2
"""What was made of a flow: nothing yet; it led to nothing; it led to something."""

_PAIRS = ("home", "said", "packets", "ours")
_SINGLES = ("made", "proven", "method", "settled", "requests", "finished", "stalled_ns", "asking")


class Memory:
    """Columns by slot of the flow table, grown with it and cleared for each new flow. Pairs are (to server, to client)."""

    def __init__(self) -> None:
        self.home: I64 = np.zeros((2, 0), np.int64)
        """The interface on which the direction was seen first: there its packets count."""
        self.said: I64 = np.zeros((2, 0), np.int64)
        """Bytes of payload."""
        self.packets: I64 = np.zeros((2, 0), np.int64)
        self.made: U8 = np.zeros(0, np.uint8)
        self.proven: Bools = np.zeros(0, np.bool_)
        """The streams have seen the handshake complete."""
        self.method: U8 = np.zeros(0, np.uint8)
        self.settled: Bools = np.zeros(0, np.bool_)
        """A connection that was begun has got on or was refused: it is not half open any more."""
        self.ours: Bools = np.zeros((2, 0), np.bool_)
        """Whether the client's and the server's address are of our networks."""
        self.requests: I64 = np.zeros(0, np.int64)
        """HTTP requests that were counted, and those that were seen through."""
        self.finished: I64 = np.zeros(0, np.int64)
        self.stalled_ns: I64 = np.zeros(0, np.int64)
        """Since when the client has kept its window shut, 0 while it does not."""
        self.asking: Bools = np.zeros(0, np.bool_)
        """The client has begun to speak a protocol that is known, and has not got through a whole request."""

    def room(self, slots: int) -> None:
        """Make room for as many slots as the flow table has."""
        have = len(self.made)
        if slots <= have:
            return
        more = slots - have
        for name in _PAIRS:
            pair = getattr(self, name)
            setattr(self, name, np.concatenate([pair, np.zeros((2, more), pair.dtype)], axis=1))
        for name in _SINGLES:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(more, column.dtype)]))

    def begin(self, slots: I64) -> None:
        """Forget what was known of slots that have new flows."""
        for name in _PAIRS:
            getattr(self, name)[:, slots] = NOWHERE if name == "home" else 0
        for name in _SINGLES:
            getattr(self, name)[slots] = 0
