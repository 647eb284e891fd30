"""The TCP packets of a block as the fast way looks at them: one array per field, by flow and time, with the options that matter."""

from typing import Final

import numpy as np

from collectors.traffic.block import I64, U8, Block, Bools
from collectors.traffic.decode import table as decoded
from collectors.traffic.decode.span import Span, records
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch

_TCP: Final = 6
_HEAD: Final = np.dtype([("first", ">u4"), ("stamp", ">u4"), ("echo", ">u4")])
_STAMPS: Final = 0x0101080A
_SACK: Final = 0x010105
_SCALE: Final = 3
_TIMES: Final = 8
_FAST_OPEN: Final = 34
_EXPERIMENT: Final = 254
_STEPS: Final = 40
_NONE: Final[I64] = np.zeros(0, np.int64)
_NONE_ODD: Final[Bools] = np.zeros(0, np.bool_)
_BY_ROW: Final = ("row", "way", "flags", "seq", "ack", "window", "length", "position", "odd", "stamp", "echo", "scale")


class Rows:
    """Packets by group (all of one flow), in the order they came: group g is `starts[g]` up to `ends[g]`, of flow `flow[g]`.

    `index` counts within the group; `row` is the table's; `stamp`, `echo` and `scale` are -1 where there is none; `odd` marks packets that
    the careful way is to look at (bad checksum, urgent data, options out of the ordinary).
    """

    __slots__ = (
        "ack",
        "echo",
        "ends",
        "flags",
        "flow",
        "group",
        "index",
        "length",
        "new",
        "odd",
        "position",
        "row",
        "scale",
        "seq",
        "stamp",
        "starts",
        "way",
        "window",
    )

    def __init__(self, flow: I64, new: Bools, lengths: I64) -> None:
        """Lay out groups of so many packets each; `rows_of` and `rest` fill in what the packets say."""
        self.ends: I64 = np.cumsum(lengths)
        self.starts: I64 = self.ends - lengths
        self.flow, self.new = flow, new
        self.group: I64 = np.repeat(np.arange(len(flow)), lengths)
        self.index: I64 = np.arange(len(self.group)) - self.starts[self.group]
        self.row = self.way = self.flags = self.seq = self.ack = self.window = _NONE
        self.length = self.position = self.stamp = self.echo = self.scale = _NONE
        self.odd: Bools = _NONE_ODD

    def __len__(self) -> int:
        return len(self.row)

    def rest(self, groups: I64, places: I64) -> "Rows":
        """Return what is left of some groups (in rising order) from given places on."""
        rest = Rows(self.flow[groups], np.zeros(len(groups), np.bool_), self.ends[groups] - places)
        chosen = rest.index + places[rest.group]
        for name in _BY_ROW:
            setattr(rest, name, getattr(self, name)[chosen])
        return rest

    def read_options(self, data: U8, header: I64) -> None:
        """Read timestamps where nearly all packets have them, and walk the options of the others."""
        room = self.position - header - 20
        fields = records(data, header + 20, _HEAD)
        first = fields["first"].astype(np.int64)
        stamped = (room >= 12) & (first == _STAMPS)
        self.stamp = np.where(stamped, fields["stamp"].astype(np.int64), -1)
        self.echo = np.where(stamped, fields["echo"].astype(np.int64), -1)
        self.scale = np.full(len(self), -1, np.int64)
        plain = stamped | (room == 0) | ((room >= 4) & (first >> 8 == _SACK))
        rest = np.flatnonzero(~plain | ((self.flags & 2) != 0))
        if len(rest):
            self._walk(data, Span(rest, (header + 20)[rest], self.position[rest]))

    def _walk(self, data: U8, span: Span) -> None:
        index, at, end = span.rows, span.start, span.end
        for _ in range(_STEPS):
            going = (at < end) & (data[at] != 0)
            index, at, end = index[going], at[going], end[going]
            if not len(index):
                return
            kind = data[at].astype(np.int64)
            length = np.where(kind == 1, 1, data[at + 1])
            bad = (kind != 1) & ((length < 2) | (at + length > end))
            scales = ~bad & (kind == _SCALE) & (length == 3)
            self.scale[index[scales]] = np.minimum(data[at[scales] + 2], 14)
            times = ~bad & (kind == _TIMES) & (length == 10)
            if times.any():
                fields = records(data, at[times] - 2, _HEAD)
                self.stamp[index[times]] = fields["stamp"]
                self.echo[index[times]] = fields["echo"]
            self.odd[index[(kind >= 19) & ~bad]] = True
            self.odd[index[bad]] = True
            index, at, end = index[~bad], (at + length)[~bad], end[~bad]


def rows_of(block: Block, table: Table, batch: Batch) -> Rows:
    """Return the TCP packets of a block."""
    tcp = np.flatnonzero(table.protocol[batch.rows[batch.starts]] == _TCP) if len(batch.rows) else batch.starts
    rows = Rows(batch.flow[tcp], batch.new[tcp], batch.ends[tcp] - batch.starts[tcp])
    places = rows.index + batch.starts[tcp][rows.group]
    row = batch.rows[places]
    rows.row = row
    rows.way = batch.to_client[places].astype(np.int64)
    rows.flags = table.tcp_flags[row].astype(np.int64)
    rows.seq = table.seq[row].astype(np.int64)
    rows.ack = table.ack[row].astype(np.int64)
    rows.window = table.window[row].astype(np.int64)
    rows.length = table.payload_len[row]
    rows.position = table.payload[row]
    rows.odd = (table.flags[row] & np.uint16(decoded.BAD_CHECKSUM)) != 0
    rows.odd |= (rows.flags & 32) != 0
    rows.read_options(block.data, table.l4[row])
    return rows
