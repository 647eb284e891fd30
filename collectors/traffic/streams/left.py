"""What the fast way leaves of a block: its packets as plain lists, one per field, for the loops that look at them one by one."""

from typing import Final

import numpy as np

from collectors.traffic.block import I64, Block, Bools
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.table import Table
from collectors.traffic.streams.rows import Rows
from collectors.traffic.streams.segment import ACK, FIN, RST, SYN, URG, Segment

_HEADER: Final = 20
_STATE: Final = FIN | SYN | RST | ACK | URG
_STAMPED: Final = 12
"""Bytes of options when there are timestamps and nothing else."""


class Left:
    """Packets of some groups, from a place of each on: group by group, in the order they came.

    `plain` packets acknowledge and neither open nor end anything, have no options but timestamps, nothing urgent and a checksum that holds.
    Times are in nanoseconds (`times`) and whole seconds (`seconds`); `stamp` is -1 without timestamps. `begins` and `ends` are the places
    of each group's packets here.
    """

    __slots__ = (
        "_bad",
        "_echo",
        "_flags",
        "_header",
        "_memory",
        "_usual",
        "ack",
        "begins",
        "ends",
        "length",
        "plain",
        "position",
        "row",
        "rows",
        "seconds",
        "seq",
        "stamp",
        "times",
        "way",
        "window",
    )

    def __init__(self, block: Block, table: Table, rows: Rows, starts: I64, ends: I64) -> None:
        lengths = ends - starts
        stops = np.cumsum(lengths)
        begins = stops - lengths
        places = np.repeat(starts - begins, lengths) + np.arange(int(stops[-1]))
        self.begins: list[int] = begins.tolist()
        self.ends: list[int] = stops.tolist()
        self._memory = block.data.data
        self.rows: I64 = rows.row[places]
        header, position, stamp = table.l4[self.rows], rows.position[places], rows.stamp[places]
        times = block.time_ns[table.packet[self.rows]]
        room = position - header - _HEADER
        usual = ~rows.odd[places] & ((room == 0) | ((room == _STAMPED) & (stamp >= 0)))
        self._usual: Bools = usual
        self._bad: Bools = (table.flags[self.rows] & np.uint16(decoded.BAD_CHECKSUM)) != 0
        self._flags: I64 = rows.flags[places]
        self._header: I64 = header
        self._echo: I64 = rows.echo[places]
        self.plain: list[bool] = (usual & ((self._flags & _STATE) == ACK)).tolist()
        self.row: list[int] = self.rows.tolist()
        self.way: list[int] = rows.way[places].tolist()
        self.seq: list[int] = rows.seq[places].tolist()
        self.ack: list[int] = rows.ack[places].tolist()
        self.window: list[int] = rows.window[places].tolist()
        self.length: list[int] = rows.length[places].tolist()
        self.position: list[int] = position.tolist()
        self.stamp: list[int] = stamp.tolist()
        self.times: list[int] = times.tolist()
        self.seconds: list[int] = (times // 1_000_000_000).tolist()

    def data(self, place: int) -> bytes:
        """Return a packet's payload."""
        at = self.position[place]
        return bytes(self._memory[at : at + self.length[place]])

    def segment(self, place: int) -> Segment:
        """Return a packet as the states of a session look at it."""
        flags = int(self._flags[place])
        segment = Segment(
            self.way[place] == 1,
            flags,
            self.seq[place],
            self.ack[place],
            self.window[place],
            self.data(place),
            self.row[place],
            self.times[place],
        )
        segment.broken = bool(self._bad[place])
        if self._usual[place]:
            if self.stamp[place] >= 0:
                segment.stamp, segment.echo = self.stamp[place], int(self._echo[place])
            return segment
        header, at = int(self._header[place]), self.position[place]
        if flags & URG:
            segment.urgent = int.from_bytes(self._memory[header + 18 : header + _HEADER])
        if at - header > _HEADER:
            segment.read_options(bytes(self._memory[header + _HEADER : at]))
        return segment
