"""One TCP packet as the session looks at it, packet by packet; and the options that matter to it (RFC 7323, 7413, 2385, 5925)."""

import struct
from typing import Final

_END: Final = 0
_NOTHING: Final = 1
_SCALE: Final = 3
_SACK_PERMITTED: Final = 4
_SACK: Final = 5
_STAMPS: Final = 8
_MD5: Final = 19
_AUTHENTICATION: Final = 29
_FAST_OPEN: Final = 34
_EXPERIMENT: Final = 254
_EXPERIMENT_FAST_OPEN: Final = 0xF989
MAX_SCALE: Final = 14
_USUAL: Final = b"\x01\x01\x08\x0a"
"""Two no-operations and timestamps: what nearly all packets have."""
_PAIR: Final = struct.Struct(">II").unpack_from

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16
URG: Final = 32


class Segment:
    """Header fields, `data`, the options that matter, and `row`, the packet's place in the column table, at `time_ns`.

    `stamp` and `echo` are the timestamps, None without; `scale` the window scale; `signed`: MD5 or authentication option; `sacks`: pairs of
    sequence numbers; `broken`: its checksum does not hold.
    """

    __slots__ = (
        "ack",
        "broken",
        "data",
        "echo",
        "fast_open",
        "flags",
        "length",
        "row",
        "sack_permitted",
        "sacks",
        "scale",
        "seq",
        "signed",
        "stamp",
        "time_ns",
        "to_client",
        "urgent",
        "window",
    )

    def __init__(
        self, to_client: bool, flags: int, seq: int, ack: int, window: int, data: bytes, row: int, time_ns: int
    ) -> None:
        self.to_client = to_client
        self.flags = flags
        self.seq = seq
        self.ack = ack
        self.window = window
        self.data = data
        self.length = len(data)
        self.row = row
        self.time_ns = time_ns
        self.urgent = 0
        self.broken = False
        self.stamp: int | None = None
        self.echo = 0
        self.scale: int | None = None
        self.sack_permitted = False
        self.fast_open = False
        self.signed = False
        self.sacks: list[tuple[int, int]] = []

    @property
    def seconds(self) -> int:
        """Return the packet's time in whole seconds."""
        return self.time_ns // 1_000_000_000

    def read_options(self, options: bytes) -> None:
        """Take over the options of a header; the walk ends where they are malformed."""
        at, end = 0, len(options)
        if end == 12 and options[:4] == _USUAL:
            self.stamp, self.echo = _PAIR(options, 4)
            return
        while at < end and options[at] != _END:
            kind = options[at]
            if kind == _NOTHING:
                at += 1
                continue
            length = options[at + 1] if at + 1 < end else 0
            if length < 2 or at + length > end:
                return
            self._option(kind, options, at, length)
            at += length

    def _option(self, kind: int, options: bytes, at: int, length: int) -> None:
        if kind == _STAMPS and length == 10:
            self.stamp, self.echo = _PAIR(options, at + 2)
        elif kind == _SCALE and length == 3:
            self.scale = min(options[at + 2], MAX_SCALE)
        elif kind == _SACK_PERMITTED and length == 2:
            self.sack_permitted = True
        elif kind == _SACK and (length - 2) % 8 == 0:
            self.sacks = [_PAIR(options, place) for place in range(at + 2, at + length, 8)]
        elif kind in (_MD5, _AUTHENTICATION):
            self.signed = True
        elif kind == _FAST_OPEN or (
            kind == _EXPERIMENT and length >= 4 and int.from_bytes(options[at + 2 : at + 4]) == _EXPERIMENT_FAST_OPEN
        ):
            self.fast_open = True
