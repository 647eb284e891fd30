"""Length-prefixed frames over a stream socket: blocking for workers and clients, incremental for the core.

A frame is a 4-byte big-endian length and a body of 1 to `max_bytes` bytes. A length outside that is refused before
any of the body is read, so that a peer can never make this side allocate more than it agreed to.
"""

import socket
import struct
from collections.abc import Iterator

from contracts.codec import Codec
from contracts.errors import Malformed, TooLarge
from contracts.frames import MAX_FRAME, FromCore, FromWorker

_HEADER = struct.Struct(">I")


def core_codec() -> Codec[FromCore]:
    """Return the codec for what the core says to a worker."""
    return Codec(FromCore, MAX_FRAME)  # type: ignore[arg-type]  # a union is no class, but msgspec decodes it


def worker_codec() -> Codec[FromWorker]:
    """Return the codec for what a worker says to the core."""
    return Codec(FromWorker, MAX_FRAME)  # type: ignore[arg-type]


def pack(body: bytes) -> bytes:
    """Return `body` as it travels."""
    return _HEADER.pack(len(body)) + body


def write_frame(sock: socket.socket, body: bytes) -> None:
    """Send one frame, blocking; raises `OSError` when the other side is gone."""
    sock.sendall(pack(body))


def read_frame(sock: socket.socket, max_bytes: int = MAX_FRAME) -> bytes | None:
    """Return the next frame's body, blocking, or None at the end of the stream.

    Raises `TooLarge` or `Malformed` for a length nobody agreed to and for a stream that ends inside a frame.
    """
    header = _read_exactly(sock, _HEADER.size)
    if not header:
        return None
    return _read_exactly(sock, _checked(_HEADER.unpack(header)[0], max_bytes), started=True)


class Splitter:
    """Takes bytes as they come and gives back whole frames; holds at most one incomplete frame."""

    def __init__(self, max_bytes: int = MAX_FRAME) -> None:
        self.max_bytes = max_bytes
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the bodies that `data` completes; raises `TooLarge` or `Malformed` at a length nobody agreed to.

        Exhaust the iterator before feeding again.
        """
        self._held += data
        start = 0
        try:
            while len(self._held) - start >= _HEADER.size:
                length = _checked(_HEADER.unpack_from(self._held, start)[0], self.max_bytes)
                end = start + _HEADER.size + length
                if len(self._held) < end:
                    break
                body = bytes(memoryview(self._held)[start + _HEADER.size : end])
                start = end
                yield body
        finally:
            del self._held[:start]

    @property
    def partial(self) -> bool:
        """Whether the stream stands inside a frame."""
        return bool(self._held)


def _checked(length: int, max_bytes: int) -> int:
    if length > max_bytes:
        raise TooLarge(f"a frame of {length} bytes, more than the limit of {max_bytes}")
    if length == 0:
        raise Malformed("an empty frame")
    return length


def _read_exactly(sock: socket.socket, size: int, *, started: bool = False) -> bytes:
    """Return `size` bytes, or b"" when the stream ended before the first of them and none is owed (`started`)."""
    parts: list[bytes] = []
    missing = size
    while missing:
        part = sock.recv(min(missing, 1 << 16))
        if not part:
            if parts or started:
                raise Malformed("the stream ended inside a frame")
            return b""
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
