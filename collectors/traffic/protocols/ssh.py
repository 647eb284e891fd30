"""SSH up to where it is encrypted: both banners, and the key exchange they begin with (HASSH)."""

import hashlib
from typing import Final

from collectors.traffic.protocols.news import Conversation, Fields
from collectors.traffic.protocols.parser import Facts, Limits, Parser

MAX_BANNER: Final = 256
MAX_PACKET: Final = 65_536
_KEX_INIT: Final = 20
_NEW_KEYS: Final = 21


class SshParser(Parser):
    """Reads a connection that speaks SSH."""

    protocol = "ssh"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._buffer = [b"", b""]
        self._banner = [False, False]
        self._over = [False, False]
        self._tx: Fields | None = None

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        if gap:
            self._over[to_client] = True
        if self._over[to_client]:
            self._maybe_encrypted()
            return
        if self._tx is None:
            self._tx = self.fields()
        buffer = self._buffer[to_client] + data
        if not self._banner[to_client]:
            buffer = self._read_banner(self._tx, buffer, to_client)
        if self._banner[to_client]:
            buffer = self._packets(self._tx, buffer, to_client)
        self._buffer[to_client] = buffer
        self._maybe_encrypted()

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return len(self._buffer[0]) + len(self._buffer[1])

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        if to_client and self._tx is not None and not self._tx.done:
            self._tx.done = True
            self.touch(self._tx)

    def _read_banner(self, tx: Fields, buffer: bytes, to_client: bool) -> bytes:
        while True:
            line, feed, rest = buffer.partition(b"\n")
            if not feed:
                if len(buffer) > MAX_BANNER and buffer.startswith(b"SSH-"):
                    self._take_banner(tx, buffer[:MAX_BANNER], to_client)
                    tx.event("long_banner", to_client)
                elif len(buffer) > 16 * MAX_BANNER:
                    tx.event("invalid_banner", to_client)
                    self._stop(tx, to_client)
                    return b""
                return buffer
            buffer = rest
            if line.startswith(b"SSH-"):
                if len(line) > MAX_BANNER:
                    tx.event("long_banner", to_client)
                self._take_banner(tx, line.rstrip(b"\r"), to_client)
                return buffer

    def _take_banner(self, tx: Fields, line: bytes, to_client: bool) -> None:
        self._banner[to_client] = True
        proto, dash, software = line[4:].partition(b"-")
        if not dash:
            tx.event("invalid_banner", to_client)
        tx.set("ssh.proto", to_client, proto)
        software = software.split(b" ", 1)[0]
        if software:
            tx.set("ssh.software", to_client, software)
        self._step(tx, to_client, 1)

    def _step(self, tx: Fields, to_client: bool, step: int) -> None:
        if to_client:
            tx.response = max(tx.response, step)
        else:
            tx.request = max(tx.request, step)
        self.touch(tx)

    def _stop(self, tx: Fields, to_client: bool) -> None:
        self._over[to_client] = True
        self._step(tx, to_client, 3)

    def _packets(self, tx: Fields, buffer: bytes, to_client: bool) -> bytes:
        at = 0
        while len(buffer) - at >= 6:
            length = int.from_bytes(buffer[at : at + 4])
            if not 2 <= length <= MAX_PACKET:
                tx.event("invalid_record", to_client)
                self._stop(tx, to_client)
                return b""
            if len(buffer) - at - 4 < length:
                break
            padding, kind = buffer[at + 4], buffer[at + 5]
            if kind == _KEX_INIT:
                self._exchange(tx, buffer[at + 6 : at + 4 + length - padding], to_client)
            elif kind == _NEW_KEYS:
                self._stop(tx, to_client)
                return b""
            at += 4 + length
        return buffer[at:]

    def _exchange(self, tx: Fields, body: bytes, to_client: bool) -> None:
        lists, at = [], 16
        for _ in range(10):
            if at + 4 > len(body):
                tx.event("invalid_record", to_client)
                return
            length = int.from_bytes(body[at : at + 4])
            lists.append(body[at + 4 : at + 4 + length])
            at += 4 + length
        # Methods, then ciphers, MACs and compression of the direction that this side sends in.
        side = 1 if to_client else 0
        text = b";".join((lists[0], lists[2 + side], lists[4 + side], lists[6 + side]))
        name = "ssh.hassh.server" if to_client else "ssh.hassh"
        tx.set(f"{name}.string", to_client, text)
        tx.set(name, to_client, hashlib.md5(text, usedforsecurity=False).hexdigest().encode())
        self._step(tx, to_client, 3)

    def _maybe_encrypted(self) -> None:
        if self._over[0] and self._over[1] and self._tx is not None and not self._tx.done:
            self._tx.done = True
            self.touch(self._tx)
            self.conversation.encrypted = True
