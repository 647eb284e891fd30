"""Writes HTTP/2: frames, and field blocks by libnghttp2 (the library behind curl), which is also the one that reads them for comparison."""

import ctypes
import ctypes.util
import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

from collectors.traffic.protocols.http2 import frames

Field = tuple[bytes, bytes]
ROOM = 1 << 20


class _Pair(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("value", ctypes.c_char_p),
        ("namelen", ctypes.c_size_t),
        ("valuelen", ctypes.c_size_t),
        ("flags", ctypes.c_uint8),
    )


@cache
def library() -> Any:
    """Return libnghttp2."""
    found = ctypes.CDLL("libnghttp2.so.14")
    found.nghttp2_hd_deflate_hd.restype = ctypes.c_ssize_t
    found.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
    return found


class Deflater:
    """One direction's compression, as a real endpoint does it."""

    def __init__(self, table: int = 4096) -> None:
        self._own = ctypes.c_void_p()
        assert library().nghttp2_hd_deflate_new(ctypes.byref(self._own), ctypes.c_size_t(table)) == 0

    def resize(self, table: int) -> None:
        """Hear how large the other side lets the table be."""
        assert library().nghttp2_hd_deflate_change_table_size(self._own, ctypes.c_size_t(table)) == 0

    def block(self, fields: Iterable[Field]) -> bytes:
        """Return a field block."""
        listed = [_Pair(name, value, len(name), len(value), 0) for name, value in fields]
        out = ctypes.create_string_buffer(ROOM)
        made = library().nghttp2_hd_deflate_hd(
            self._own, out, ctypes.c_size_t(ROOM), (_Pair * len(listed))(*listed), ctypes.c_size_t(len(listed))
        )
        assert made >= 0
        return out.raw[:made]

    def __del__(self) -> None:
        library().nghttp2_hd_deflate_del(self._own)


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a frame of settings."""
    return frame(frames.SETTINGS, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def headers(stream: int, block: bytes, flags: int = frames.END_HEADERS | frames.END_STREAM) -> bytes:
    """Return a frame of fields, whole and the last of its side unless `flags` say otherwise."""
    return frame(frames.HEADERS, stream, block, flags)


def data(stream: int, payload: bytes, flags: int = frames.END_STREAM) -> bytes:
    """Return a frame of a body, its last one unless `flags` say otherwise."""
    return frame(frames.DATA, stream, payload, flags)


def asked(path: bytes, method: bytes = b"GET", *more: Field) -> list[Field]:
    """Return the fields of a request."""
    return [(b":method", method), (b":scheme", b"http"), (b":authority", b"example.test"), (b":path", path), *more]


def answered(status: bytes = b"200", *more: Field) -> list[Field]:
    """Return the fields of an answer."""
    return [(b":status", status), *more]
