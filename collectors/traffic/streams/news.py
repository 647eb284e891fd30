"""What the streams say of a block: bytes that became readable, in order; stream events; and which packets their session takes."""

from typing import Final, NamedTuple

import numpy as np

from collectors.traffic.block import Bools

OPEN: Final = 0
FIN: Final = 1
RESET: Final = 2
TIMEOUT: Final = 3
DEPTH: Final = 4
GAP: Final = 5
"""Why a direction ended: it did not; its sender closed it; the connection was reset; the flow ended (silence, eviction, reuse of its ports,
the sensor stops); more bytes than are reassembled; a hole that cannot be filled any more (`gap` was not handed on)."""

ENDS: Final = ("", "fin", "reset", "timeout", "depth", "gap")
"""Their names."""


class Run(NamedTuple):
    """Bytes of one direction of a session that became readable together, and the end of the direction.

    `slot` is the flow's; `offset` is that of the first byte of `data` in its direction (0: the byte behind the SYN, or the first of a flow
    that was picked up midstream); `gap` bytes just before it are missing for good (`offset` counts them). `row` of the column table is the
    packet that released the bytes, at `time_ns`; -1 when none did, but the flow's end. `end` is 0 (`OPEN`) or why the direction has no
    more bytes than these; a direction ends once. A run without data says nothing but `end` or `gap`.
    """

    slot: int
    to_client: bool
    offset: int
    data: bytes
    gap: int
    row: int
    time_ns: int
    end: int


class StreamEvent(NamedTuple):
    """An anomaly of its session that packet `row` of flow `slot` shows, by Suricata's name (what is behind `stream-event:`)."""

    row: int
    slot: int
    name: str


class News:
    """What one block brought.

    `runs` in the order in which their bytes became readable; `events` in the order of packets. `accepted` by row of the column table:
    true for what is not TCP and for TCP packets that their session takes; a packet that is refused carries no payload for rules.
    `established` by row: the session's handshake was complete before this packet, or by it if it carries data, as `flow:established` has it
    (false for what is not TCP).
    """

    __slots__ = ("accepted", "established", "events", "runs")

    def __init__(self, rows: int) -> None:
        self.runs: list[Run] = []
        self.events: list[StreamEvent] = []
        self.accepted: Bools = np.ones(rows, np.bool_)
        self.established: Bools = np.zeros(rows, np.bool_)
