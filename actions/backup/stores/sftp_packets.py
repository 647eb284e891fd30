"""SSH packets at the speed of the cipher: paramiko's Packetizer with a shorter way for AES-GCM and for the data of one channel.

Paramiko reads a packet in three small reads, copies it seven times and sends each in a call of its own; that is what its speed is lost to.
Here packets are read in bulk, decrypted into one buffer, and channel data goes straight to a sink; going out, many packets are sealed side
by side and sent in one call. Everything else (key exchange, other ciphers, timers) is paramiko's own code.

Sources: RFC 4253 section 6 (packets), RFC 5647 as OpenSSH reads it (the length is not encrypted, the counter is the last 8 bytes).
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko import Message, SSHException
from paramiko.packet import NeedRekeyException, Packetizer

from actions.backup.stores.store import Buffer

CHANNEL_DATA = 94
TAG = 16
BLOCK = 16
MAX_PACKET = 256 << 10
"""What OpenSSH takes as the largest packet; more is an attack or a wrong key."""

_ROOM = 1 << 20
_SEALED = 300 << 10
"""One SFTP write of 255 KiB with what goes around it is sent in one call, and lies in the cache meanwhile."""

_LITTLE = 4 << 10
"""Less than this that came at once is answers, not data."""

_HEAD = struct.Struct(">IB")
_COUNTER = struct.Struct(">Q")
_FRAMES = 4
"""Sizes of packets that are kept ready: a long write has two, the whole ones and the last."""

_DATA = struct.Struct(">IBBII")
"""Of a channel data packet: packet length, padding length, type, channel, data length."""


class FastPacketizer(Packetizer):  # type: ignore[misc]
    """A Packetizer whose AES-GCM packets take the short way. `sink` gets the data of channel `sink_channel`, in the transport's thread.

    `moved_at` is when a byte last moved, in either direction (monotonic); sending gives up after `patience_s` without.
    """

    REKEY_BYTES = 1 << 34
    """After 16 GiB, a quarter of what RFC 4344 (3.2) allows for 128-bit blocks; paramiko's 512 MiB cost a pause a second."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._sock = sock
        self._sealing = threading.RLock()
        self._sealer: _Direction | None = None
        self._opener: _Direction | None = None
        self._room = bytearray(_ROOM)
        self._start = self._end = 0
        self._plain = bytearray(MAX_PACKET + TAG)
        self._sealed = memoryview(bytearray(_SEALED))
        self._frames: dict[tuple[int, int], _Frame] = {}
        self.sink: Callable[[memoryview], None] | None = None
        self.sink_channel = -1
        self.moved_at = time.monotonic()
        self.patience_s = 60.0

    def set_outbound_cipher(self, block_engine: Any, *rest: Any, **named: Any) -> None:
        with self._sealing:
            super().set_outbound_cipher(block_engine, *rest, **named)
            self._sealer = _direction(block_engine, named.get("iv_out"))

    def set_inbound_cipher(self, block_engine: Any, *rest: Any, **named: Any) -> None:
        super().set_inbound_cipher(block_engine, *rest, **named)
        self._opener = _direction(block_engine, named.get("iv_in"))

    def send_message(self, data: Any) -> None:
        with self._sealing:
            sealer = self._sealer
            if sealer is None:
                super().send_message(data)
                return
            payload = data.asbytes()
            padding = _padding(1 + len(payload))
            head = _HEAD.pack(1 + len(payload) + padding, padding)
            plain = b"".join((head[4:], payload, os.urandom(padding)))
            self.write_all(head[:4] + sealer.engine.encrypt(sealer.nonce, plain, head[:4]))
            sealer.step()
            self._count(sealer, 4 + len(plain) + TAG)

    @property
    def takes_data(self) -> bool:
        """Whether `send_data` can be used now: the cipher agreed upon is AES-GCM."""
        return self._sealer is not None

    def send_data(self, channel: int, parts: "Parts", size: int, max_data: int) -> None:
        """Send `size` bytes of `parts` on a channel in packets of at most `max_data` of them; the caller has taken the window for all."""
        with self._sealing:
            sealer = self._sealer
            if sealer is None:
                raise SSHException("the cipher is not AES-GCM")
            while size:
                end = 0
                while size and end + max_data + 64 <= len(self._sealed):
                    count = min(size, max_data)
                    end += self._seal(sealer, channel, parts, count, end)
                    size -= count
                self._write(self._sealed[:end])
                self._count(sealer, end)

    def _seal(self, sealer: "_Direction", channel: int, parts: "Parts", size: int, at: int) -> int:
        """One packet with the next `size` bytes of `parts` into `_sealed` from `at`; returns its length."""
        frame = self._frames.get((channel, size))
        if frame is None:
            if len(self._frames) >= _FRAMES:
                self._frames.clear()
            frame = self._frames[channel, size] = _Frame(channel, size)
        parts.fill(frame.data)
        end = at + 4 + len(frame.plain) + TAG
        self._sealed[at : at + 4] = frame.length
        sealer.engine.encrypt_into(sealer.nonce, frame.plain, frame.length, self._sealed[at + 4 : end])
        sealer.step()
        return end - at

    def _write(self, data: memoryview) -> None:
        self.moved_at = time.monotonic()
        while len(data):
            try:
                data = data[self._sock.send(data) :]
                self.moved_at = time.monotonic()
            except TimeoutError:
                if self.closed or time.monotonic() - self.moved_at > self.patience_s:
                    raise EOFError from None
            except OSError as error:
                raise EOFError from error

    def _count(self, direction: "_Direction", size: int) -> None:
        direction.bytes += size
        if direction.bytes >= self.REKEY_BYTES and not self.need_rekey():
            self._trigger_rekey()

    def read_message(self) -> tuple[int, Any]:
        while True:
            opener = self._opener
            if opener is None:
                answer: tuple[int, Any] = super().read_message()
                return answer
            payload = self._open(opener)
            if (
                payload[0] == CHANNEL_DATA
                and self.sink is not None
                and not self.need_rekey()
                and int.from_bytes(payload[1:5], "big") == self.sink_channel
            ):
                self.sink(payload[9 : 9 + int.from_bytes(payload[5:9], "big")])
                continue
            message = Message(bytes(payload[1:]))
            message.seqno = opener.packets & 0xFFFFFFFF
            return payload[0], message

    def _open(self, opener: "_Direction") -> memoryview:
        """The payload of the next packet; it lies in a buffer that the next call uses again."""
        self._fill(4, idle=True)
        room = memoryview(self._room)
        length = int.from_bytes(room[self._start : self._start + 4], "big")
        if not BLOCK <= length <= MAX_PACKET or length % BLOCK:
            raise SSHException(f"a packet of {length} bytes: not what was agreed upon")
        self._fill(4 + length + TAG)
        at = self._start
        try:
            opener.engine.decrypt_into(
                opener.nonce,
                room[at + 4 : at + 4 + length + TAG],
                room[at : at + 4],
                memoryview(self._plain)[:length],
            )
        except InvalidTag as error:
            raise SSHException("a packet was changed on its way") from error
        self._start = at + 4 + length + TAG
        opener.step()
        self._count(opener, 4 + length + TAG)
        padding = self._plain[0]
        if padding + 2 > length:
            raise SSHException("a packet of nothing but padding")
        return memoryview(self._plain)[1 : length - padding]

    def _acknowledge(self) -> None:
        """Acknowledge what came, now: sshd leaves Nagle's algorithm on, so its next little answer would wait 40 ms for that."""
        with suppress(OSError):  # a socket of another kind waits for no acknowledgement
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _fill(self, wanted: int, *, idle: bool = False) -> None:
        """Have `wanted` bytes in the room. `idle`: nothing of a packet is there yet, so a rekey may begin instead."""
        if self._end - self._start >= wanted:
            return
        if self._start + MAX_PACKET + 64 > _ROOM or self._start == self._end:
            left = self._end - self._start
            self._room[:left] = self._room[self._start : self._end]
            self._start, self._end = 0, left
        while self._end - self._start < wanted:
            try:
                got = self._sock.recv_into(memoryview(self._room)[self._end :])
                if not got:
                    raise EOFError
                self._end += got
                self.moved_at = time.monotonic()
                if got < _LITTLE:
                    self._acknowledge()
            except TimeoutError:
                if self.closed or self.handshake_timed_out():
                    raise EOFError from None
                if idle and self._start == self._end and self.need_rekey():
                    raise NeedRekeyException from None
                self._check_keepalive()
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise


class _Frame:
    """A channel data packet of one size before it is sealed, used again and again: only its `data` changes."""

    __slots__ = ("data", "length", "plain")

    def __init__(self, channel: int, size: int) -> None:
        padding = _padding(10 + size)
        whole = memoryview(bytearray(4 + 10 + size + padding))
        _DATA.pack_into(whole, 0, 10 + size + padding, padding, CHANNEL_DATA, channel, size)
        self.length = bytes(whole[:4])
        self.plain = whole[4:]
        # the padding stays zero: paramiko fills it with random bytes, but under a cipher with a tag nothing depends on it
        self.data = whole[14 : 14 + size]


class Parts:
    """Buffers read one after another."""

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        self._buffers = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        self._buffers.reverse()
        self.left = sum(len(buffer) for buffer in self._buffers)

    def fill(self, target: memoryview) -> None:
        """Copy the next bytes into the whole of `target`; there must be as many left."""
        at = 0
        while at < len(target):
            buffer = self._buffers[-1]
            count = min(len(buffer), len(target) - at)
            target[at : at + count] = buffer[:count]
            at += count
            if count == len(buffer):
                self._buffers.pop()
            else:
                self._buffers[-1] = buffer[count:]
        self.left -= at


class _Direction:
    """The state of one direction: cipher, nonce, and how much went through."""

    def __init__(self, engine: AESGCM, iv: bytes) -> None:
        self.engine = engine
        self.nonce = bytearray(iv)
        self._counter = int.from_bytes(iv[4:], "big")
        self.bytes = 0
        self.packets = 0

    def step(self) -> None:
        """The next nonce: its last 8 bytes count."""
        self.packets += 1
        self._counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        _COUNTER.pack_into(self.nonce, 4, self._counter)


def _direction(engine: Any, iv: Buffer | None) -> _Direction | None:
    """The short way where the cipher is AES-GCM and the library can write into a buffer."""
    if iv is None or not isinstance(engine, AESGCM) or not hasattr(engine, "encrypt_into"):
        return None
    return _Direction(engine, bytes(iv))


def _padding(size: int) -> int:
    """How many bytes fill `size` up to whole blocks; at least four."""
    padding = BLOCK - size % BLOCK
    return padding if padding >= 4 else padding + BLOCK
