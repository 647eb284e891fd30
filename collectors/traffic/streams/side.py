"""One direction of a session, seen from its sender: sequence numbers and windows, and the bytes that wait to be handed on.

Offsets count the bytes of the direction from 0 on (behind the SYN, or where the flow was picked up) and do not wrap around.
"""

from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segments import Segments


class Side:
    """What the sender has sent (`isn`, `next_seq`), and what the receiver has let it (`last_ack`, `next_win`, `window`, scaled).

    `scale` is the window scale of the *receiver's* window, as it announced it. `policy` is how the receiver resolves what is ambiguous.
    `base` is the sequence number of offset 0; below `released` everything has been handed on (or skipped). `removed` counts urgent bytes
    that are not part of the data. `fin` is the offset at which the sender ended, once an accepted FIN said so.
    """

    __slots__ = (
        "base",
        "depth_reached",
        "ended",
        "fin",
        "flags_seen",
        "isn",
        "keep_alive",
        "last_ack",
        "last_seconds",
        "last_stamp",
        "next_seq",
        "next_win",
        "policy",
        "released",
        "removed",
        "reset_received",
        "scale",
        "segments",
        "stamped",
        "urgent",
        "window",
        "zero_stamp",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.isn = self.next_seq = self.last_ack = self.next_win = self.window = self.scale = 0
        self.last_stamp = self.last_seconds = self.flags_seen = 0
        self.stamped = self.zero_stamp = self.keep_alive = self.reset_received = False
        self.base = self.released = self.removed = 0
        self.fin: int | None = None
        self.ended = self.depth_reached = False
        self.urgent: list[int] = []
        self.segments = Segments()

    def begin(self, isn: int) -> None:
        """Take `isn` as the number of the SYN: the first byte comes behind it. Nothing has been handed on yet."""
        self.isn = isn
        self.base = (isn + 1) & MASK

    def offset(self, seq: int) -> int:
        """Return the offset that a sequence number means, by what is nearest to what was handed on last."""
        return self.released + ahead(seq, (self.base + self.released) & MASK)

    def update_ack(self, ack: int) -> None:
        """Take an acknowledgement that is higher than the last one."""
        if ahead(ack, self.last_ack) > 0:
            self.last_ack = ack

    def update_window(self, edge: int) -> None:
        """Let the window's right edge move up to `edge`, never back."""
        if ahead(edge, self.next_win) > 0:
            self.next_win = edge
