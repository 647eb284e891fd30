"""The packets that came last, so that an alert's evidence can hold what came before it; and capture files made of them (pcap)."""

import struct
from collections import deque

import numpy as np

from collectors.traffic.block import I64, LINK_ETHERNET, U8, VLAN_STRIPPED, Block
from collectors.traffic.decode.table import Table

_FILE = struct.Struct("<IHHiIII")
_PACKET = struct.Struct("<IIII")
_NANOSECONDS = 0xA1B23C4D
"""The magic of captures with nanoseconds (pcap-savefile(5))."""
_TAG = struct.Struct("!HH")
_VLAN, _MACS = 0x8100, 12
SECOND_NS = 1_000_000_000


class _Piece:
    """One block's packets, copied; `serials` and `packets` say which flow each row was of, and which packet it lay in."""

    __slots__ = ("captured", "data", "flags", "link", "offset", "packets", "serials", "time_ns", "vlan", "wire")

    def __init__(self, block: Block, packets: I64, serials: I64) -> None:
        # A part of a block shares the memory of the whole.
        begin, end = int(block.offset.min()), int((block.offset + block.captured).max())
        self.data: U8 = block.data[begin:end].copy()
        self.offset, self.captured, self.wire = block.offset - begin, block.captured, block.wire
        self.time_ns, self.link, self.flags, self.vlan = block.time_ns, block.link, block.flags, block.vlan
        self.packets, self.serials = packets, serials


class History:
    """Blocks up to `limit` bytes, the oldest given up first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._pieces: deque[_Piece] = deque()
        self._size = 0

    def add(self, block: Block, table: Table, serials: I64) -> None:
        """Take a block; `serials` is the flow's serial number of each row of its table, 0 for none."""
        if not len(block):
            return
        self._pieces.append(_Piece(block, table.packet.copy(), serials))
        self._size += len(self._pieces[-1].data)
        while self._size > self.limit and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft().data)

    def capture(self, serial: int, until_ns: int, packets: int, size: int) -> bytes:
        """Return a capture file with the newest packets of a flow up to a time, within bounds; empty when there are none."""
        chosen: list[tuple[_Piece, int]] = []
        held = _FILE.size
        for piece in reversed(self._pieces):
            rows = np.flatnonzero(piece.serials == serial)
            for index in reversed(np.unique(piece.packets[rows]).tolist()):
                if piece.time_ns[index] > until_ns:
                    continue
                held += _PACKET.size + int(piece.captured[index]) + _TAG.size
                if len(chosen) >= packets or held > size:
                    return _file(chosen)
                chosen.append((piece, index))
        return _file(chosen)

    def packet(self, number: int) -> bytes:
        """Return a capture file with one packet of the newest block: what belongs to no flow."""
        return _file([(self._pieces[-1], number)]) if self._pieces else b""


def _file(newest_first: list[tuple[_Piece, int]]) -> bytes:
    """Return the packets in the order of time; of several link types only those of the newest's fit one file."""
    if not newest_first:
        return b""
    link = int(newest_first[0][0].link[newest_first[0][1]])
    parts = [_FILE.pack(_NANOSECONDS, 2, 4, 0, 0, 262_144, link)]
    for piece, index in reversed(newest_first):
        if int(piece.link[index]) != link:
            continue
        data = _bytes(piece, index)
        seconds, rest = divmod(int(piece.time_ns[index]), SECOND_NS)
        wire = max(int(piece.wire[index]) + len(data) - int(piece.captured[index]), len(data))
        parts += (_PACKET.pack(seconds, rest, len(data), wire), data)
    return b"".join(parts)


def _bytes(piece: _Piece, index: int) -> bytes:
    """Return a packet, with the VLAN tag that the kernel took off where it was."""
    begin = int(piece.offset[index])
    data = piece.data[begin : begin + int(piece.captured[index])].tobytes()
    if int(piece.flags[index]) & VLAN_STRIPPED and int(piece.link[index]) == LINK_ETHERNET and len(data) >= _MACS:
        return data[:_MACS] + _TAG.pack(_VLAN, int(piece.vlan[index])) + data[_MACS:]
    return data
