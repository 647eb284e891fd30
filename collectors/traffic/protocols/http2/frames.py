"""Frames of HTTP/2 (RFC 9113, 4 and 6): their kinds, flags and fixed parts."""

import struct
from typing import Final

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x01
END_HEADERS: Final = 0x04
PADDED: Final = 0x08
WITH_PRIORITY: Final = 0x20

HEADER: Final = 9
MAGIC: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME: Final = 65_536
"""Bytes of a frame other than DATA that are read (Suricata's bound); one that is longer is passed over, and told."""
MAX_BLOCK: Final = 102_400
"""Bytes of a field block in several frames."""
MAX_SETTINGS: Final = 256

HEADER_TABLE_SIZE: Final = 1

_SETTING: Final = struct.Struct(">HI").iter_unpack


class Malformed(Exception):
    """A frame whose parts do not fit into it."""


def unpadded(payload: bytes, flags: int) -> bytes:
    """Return a payload without its padding; raises `Malformed` where the padding is longer than the rest."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Malformed
    return payload[1 : len(payload) - payload[0]]


def settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings of a frame, number and value; raises `Malformed` where it is no whole number of them."""
    if len(payload) % 6:
        raise Malformed
    return list(_SETTING(payload[: 6 * MAX_SETTINGS]))


def number(payload: bytes) -> int:
    """Return the first four bytes without the reserved bit; raises `Malformed` when there are fewer."""
    if len(payload) < 4:
        raise Malformed
    return int.from_bytes(payload[:4]) & 0x7FFFFFFF
