"""How long a flow may be silent before it ends: Suricata's stock `flow-timeouts`, by protocol and state, normal and in an emergency."""

import numpy as np

from collectors.traffic.block import I64, U8
from contracts.record import Record

NEW, ESTABLISHED, CLOSED = 0, 1, 2
"""States of a flow: seen from one side only (TCP: before the handshake is complete); both sides have spoken; TCP has ended."""
STATES = 3

_TCP, _UDP, _ICMP, _OTHER = 0, 1, 2, 3
_CLASS = np.full(256, _OTHER, np.uint8)
_CLASS[6], _CLASS[17], _CLASS[1], _CLASS[58] = _TCP, _UDP, _ICMP, _ICMP


class Timeouts(Record):
    """Seconds of silence, for new, established and closed flows."""

    tcp: tuple[int, int, int] = (60, 600, 60)
    udp: tuple[int, int, int] = (30, 300, 0)
    icmp: tuple[int, int, int] = (30, 300, 0)
    other: tuple[int, int, int] = (30, 300, 0)

    def table_ns(self) -> I64:
        """Return nanoseconds at `kinds(protocol, state)`."""
        seconds = (*self.tcp, *self.udp, *self.icmp, *self.other)
        return np.array(seconds, np.int64) * 1_000_000_000


EMERGENCY = Timeouts(tcp=(5, 100, 10), udp=(10, 100, 0), icmp=(10, 100, 0), other=(10, 100, 0))


def classes(protocol: U8) -> U8:
    """Return the row of `Timeouts` that each protocol has."""
    return _CLASS[protocol]


def kinds(protocol: U8, state: U8) -> I64:
    """Return the index into `Timeouts.table_ns()` for each flow."""
    return _CLASS[protocol].astype(np.int64) * STATES + state
