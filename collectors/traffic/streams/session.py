"""A TCP session, packet by packet: which packets it takes, by its state; faithful to Suricata, anomaly by anomaly.

This is the careful way. Packets of flows in which nothing is out of the ordinary never come here (`streams.fast`).
"""

from collections.abc import Callable
from typing import ClassVar, Final

from collectors.traffic.streams import state as states
from collectors.traffic.streams.both import Both
from collectors.traffic.streams.delivery import Delivery
from collectors.traffic.streams.numbers import MASK, ahead
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import ACK, FIN, RST, SYN, Segment
from collectors.traffic.streams.side import Side

_CLOSING_STATES: Final = frozenset({states.TIME_WAIT, states.CLOSE_WAIT, states.LAST_ACK})

MAX_SYNS: Final = 10
MAX_ANSWERS: Final = 5
"""Different SYNs, and SYN/ACKs, that a session remembers."""

Handler = Callable[["Session", Segment], bool]


class Session(Both):
    """State, both sides, and marks; `take` looks at a packet and returns whether the session takes it."""

    handlers: ClassVar[dict[int, Handler]] = {}
    """What each state does with a packet; the modules of the states fill it in."""

    __slots__ = (
        "before",
        "closed_by_reset",
        "confirmed",
        "data_ignored",
        "evasion",
        "fast_open",
        "four_way",
        "midstream",
        "midstream_open",
        "midstream_synack",
        "one_sided",
        "options",
        "out",
        "probe_to_client",
        "probe_to_server",
        "queue",
        "sack_client",
        "scales",
        "timestamps",
    )

    def __init__(self, slot: int, options: StreamOptions, policy: Policy, out: Delivery) -> None:
        super().__init__(slot, options, policy)
        self.options = options
        self.out = out
        self.before = states.NONE
        self.midstream = self.midstream_open = self.midstream_synack = self.one_sided = False
        self.four_way = self.timestamps = self.evasion = self.fast_open = self.data_ignored = False
        self.confirmed = self.closed_by_reset = self.scales = self.sack_client = False
        self.probe_to_client = self.probe_to_server = False
        self.queue: list[Segment] = []

    def event(self, segment: Segment, name: str) -> None:
        """Say that a packet shows an anomaly."""
        self.out.event(segment.row, self.slot, name)

    def enter(self, state: int) -> None:
        """Change the state."""
        self.before, self.state = self.state, state

    def close_by_reset(self) -> None:
        """Close: nothing more is handed on, unless the reset turns out to be somebody else's."""
        self.closed_by_reset = True
        self.enter(states.CLOSED)
        self.queue.clear()

    def take(self, segment: Segment) -> bool:
        """Look at a packet; returns whether the session takes it (its bytes count, if it is not a retransmission)."""
        if self.state != states.NONE:
            if segment.to_client:
                self.server.flags_seen |= segment.flags
            else:
                self.client.flags_seen |= segment.flags
            if self.one_sided and self.client.flags_seen and self.server.flags_seen:
                self.one_sided = False
        if not segment.flags & ACK and segment.ack:
            self.event(segment, "pkt_broken_ack")
        if self.state == states.NONE:
            return self.handlers[states.NONE](self, segment)
        if not self._passed_over(segment) and not self.handlers[self.state](self, segment):
            return False
        if self.client.reset_received or self.server.reset_received:
            self._look_behind_reset(segment)
        return True

    def _passed_over(self, segment: Segment) -> bool:
        """Return whether a packet needs no look at the state: keep-alives, answers to probes, old acknowledgements and data."""
        sender, receiver = (self.server, self.client) if segment.to_client else (self.client, self.server)
        seq, length = segment.seq, segment.length
        if not segment.flags & (SYN | FIN | RST):
            if length <= 1 and segment.ack == receiver.last_ack and seq == (sender.next_seq - 1) & MASK:
                sender.keep_alive = True
                return True
            if receiver.keep_alive and self._is_keep_alive_ack(segment, sender, receiver):
                sender.keep_alive = receiver.keep_alive = False
                return True
        sender.keep_alive = False
        if (self.probe_to_server if segment.to_client else self.probe_to_client) and self._ends_probe(segment):
            return True
        if self.state >= states.ESTABLISHED and not self._is_last_ack(segment):
            if seq == sender.next_seq:
                if not length and ahead(segment.ack, receiver.last_ack) < 0 and self._is_outdated(segment, receiver):
                    return True
            elif self._is_bad_window_update(segment, sender, receiver):
                return True
        return length > 0 and self._is_spurious(segment, sender)

    def _is_keep_alive_ack(self, segment: Segment, sender: Side, receiver: Side) -> bool:
        return (
            not segment.length
            and segment.window > 0
            and segment.window << receiver.scale == receiver.window
            and segment.ack == receiver.last_ack
            and segment.seq == sender.next_seq
        )

    def _ends_probe(self, segment: Segment) -> bool:
        """End a probe of the window; returns whether this is just the answer that it is closed still."""
        answers = self._is_probe_ack(segment)
        if segment.to_client:
            self.probe_to_server = False
        else:
            self.probe_to_client = False
        return answers

    def _is_probe_ack(self, segment: Segment) -> bool:
        if self.state < states.ESTABLISHED or not _is_bare_ack(segment):
            return False
        sender, receiver = self.sides(segment)
        return (
            segment.window == 0
            and receiver.window == 0
            and segment.seq == sender.next_seq
            and segment.ack == receiver.last_ack
        )

    def _is_last_ack(self, segment: Segment) -> bool:
        if self.state not in _CLOSING_STATES or segment.flags != ACK or segment.length:
            return False
        sender, receiver = self.sides(segment)
        return segment.seq == (sender.next_seq + 1) & MASK and segment.ack == (receiver.next_seq + 1) & MASK

    def _is_bad_window_update(self, segment: Segment, sender: Side, receiver: Side) -> bool:
        """Return whether a packet that nobody expects shrinks the window so that the expected ones would be refused."""
        window = segment.window << receiver.scale
        shrinks = receiver.window - window
        if shrinks <= segment.length or self.state == states.CLOSED or segment.flags & (SYN | FIN | RST):
            return False
        if ahead(segment.ack, receiver.next_seq) <= 0 or ahead(segment.seq, sender.next_seq) <= 0:
            return False
        if shrinks <= ahead(segment.ack, receiver.last_ack) + (32 if window > 1024 else 0):
            return False
        self.event(segment, "pkt_bad_window_update")
        return True

    def _is_outdated(self, segment: Segment, receiver: Side) -> bool:
        """Return whether an old acknowledgement is one that a newer one has made meaningless."""
        if not _is_bare_ack(segment):
            return False
        return all(ahead(right, receiver.last_ack) <= 0 for _, right in segment.sacks)

    def _is_spurious(self, segment: Segment, sender: Side) -> bool:
        """Return whether a packet repeats what has been handed on; one that repeats what was acknowledged says so, and is looked at."""
        end = (segment.seq + segment.length) & MASK
        if ahead(end, (sender.base + sender.released) & MASK) <= 0 and not sender.depth_reached:
            self.event(segment, "pkt_spurious_retransmission")
            return True
        if ahead(end, sender.last_ack) <= 0:
            self.event(segment, "pkt_spurious_retransmission")
        return False

    def _look_behind_reset(self, segment: Segment) -> None:
        """Say so when the sender of a reset goes on: somebody else sent the reset."""
        _, receiver = self.sides(segment)
        if receiver.reset_received and not segment.flags & RST:
            receiver.reset_received = self.closed_by_reset = False
            self.event(segment, "suspected_rst_inject")


def _is_bare_ack(segment: Segment) -> bool:
    return not segment.length and segment.flags & (ACK | SYN | FIN | RST) == ACK
