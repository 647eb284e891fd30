"""What reading requests and reading responses have in common: a buffer of what is not yet taken, and a state that takes from it."""

from collections.abc import Callable
from typing import Final

from collectors.traffic.protocols.http.headers import (
    LEADING_SPACE,
    MISSING_COLON,
    NOT_TOKEN,
    Header,
    parse,
)
from collectors.traffic.protocols.http.transaction import BODY, FIELD, HttpTransaction, Message
from collectors.traffic.protocols.news import File, Transaction
from collectors.traffic.protocols.parser import Limits

FIELD_LIMIT: Final = 18_000
"""Bytes that a line or a field may have without an end."""
MAX_HEADERS: Final = 1024
FEW: Final = 16
"""So many fields take no more than a transaction is taken for."""
MAX_RAW: Final = 65_536
MAX_WARNINGS: Final = 64

State = Callable[[], bool]


def no_transaction() -> HttpTransaction:
    """Stand for the transactions of a side that was let go of."""
    raise LookupError("this side was let go of")


def no_file(tx: HttpTransaction, to_client: bool, name: bytes, whole: bool) -> File:
    """Stand for the files of a side that was let go of."""
    del tx, to_client, name, whole
    raise LookupError("this side was let go of")


def _at_rest() -> bool:
    return False


def _untold(_: Transaction) -> None:
    pass


class Half:
    """One side of an HTTP/1 connection. A state returns whether it got on; when not, it wants more bytes, or the side is `dead`."""

    to_client = False
    side = "request"

    def __init__(self, touch: Callable[[Transaction], None], limits: Limits) -> None:
        self.buffer = b""
        self.at = 0
        self.closed = False
        self.dead = False
        self.tx: HttpTransaction | None = None
        self.state: State = self.idle
        self.left: int = 0
        self._looked = 0
        self._touch = touch
        self._limits = limits

    def idle(self) -> bool:
        """Wait for the next message."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self.dead:
            return
        self.buffer = self.buffer[self.at :] + data if self.at < len(self.buffer) else data
        self.at = 0
        self.run()

    def release(self) -> None:
        """Let go of what refers back to this side and to its parser; nothing is read any more."""
        self.dead = True
        self.state, self._touch = _at_rest, _untold

    def run(self) -> None:
        """Go on as far as the bytes reach."""
        while not self.dead and self.state():
            pass
        if self.at >= len(self.buffer):
            self.buffer, self.at = b"", 0

    def close(self) -> None:
        """Take what is left as all there will be."""
        if not self.closed:
            self.closed = True
            self.run()

    def rest(self) -> bytes:
        """Return what is not yet taken."""
        return self.buffer[self.at :] if self.at else self.buffer

    def event(self, name: str) -> None:
        """Note an event on the current transaction."""
        if self.tx is not None:
            self.tx.event(name, self.to_client)
            self._touch(self.tx)

    def die(self, name: str = "") -> bool:
        """Give up this side."""
        if name:
            self.event(name)
        self.dead = True
        self.buffer, self.at = b"", 0
        return False

    def message(self) -> Message:
        """Return the message of this side that is being read."""
        assert self.tx is not None
        return self.tx.message(self.to_client)

    def progress(self, step: int) -> None:
        """Say how far the current message is."""
        tx = self.tx
        if tx is None:
            return
        if self.to_client:
            tx.response = step
        else:
            tx.request = step
        tx.forget(self.to_client)
        self._touch(tx)

    def take_line(self) -> bytes | None:
        """Take a line with its line feed, the rest when nothing more comes, or None."""
        end = self.buffer.find(b"\n", self.at)
        if end >= 0:
            line = self.buffer[self.at : end + 1]
            self.at = end + 1
            return line
        if self.closed and self.at < len(self.buffer):
            line = self.rest()
            self.at = len(self.buffer)
            return line
        if len(self.buffer) - self.at > FIELD_LIMIT:
            self.die(f"{self.side}_field_too_long")
        return None

    def take_headers(self, trailer: bool) -> bool:
        """Take header fields; returns whether their end was there."""
        message = self.message()
        rest = self.rest()
        if not rest and not self.closed:
            return False
        if self._looked and not self.closed and not self._new_line(rest):
            return False
        headers, taken, ended = parse(rest, self.to_client, self.closed)
        if taken:
            self.at += taken
            if not trailer and len(message.raw_headers) < MAX_RAW:
                message.raw_headers += rest[:taken]
        fields = message.headers
        if len(headers) > FEW:
            self._limits.meter.grown += FIELD * len(headers)
        for header in headers:
            if len(fields.fields) < MAX_HEADERS and fields.add_new(header):
                continue
            if not self._field(message, header):
                return False
        if headers and fields.fields:
            assert self.tx is not None
            self.tx.forget(self.to_client)
        self._looked = 0 if ended else len(self.buffer) - self.at
        if self._looked > FIELD_LIMIT:
            self.die(f"{self.side}_field_too_long")
        return ended

    def _new_line(self, rest: bytes) -> bool:
        """Return whether a line's end is among the bytes that have come since the last look (or just before them)."""
        start = max(0, self._looked - 2)
        if rest.find(b"\n", start) >= 0 or (self.to_client and rest.find(b"\r", start) >= 0):
            return True
        if len(rest) > FIELD_LIMIT:
            self.die(f"{self.side}_field_too_long")
        return False

    def _field(self, message: Message, header: Header) -> bool:
        if header.odd:
            if header.odd & LEADING_SPACE:
                self.event(f"invalid_{self.side}_field_folding")
            if header.odd & NOT_TOKEN:
                self.event(f"{self.side}_header_invalid")
            if header.odd & MISSING_COLON:
                self.event(f"{self.side}_field_missing_colon")
        said = message.headers.add(header)
        if said == "repeated":
            self.event(f"{self.side}_header_repetition")
        elif said == "length":
            self.event(f"duplicate_content_length_field_in_{self.side}")
        if len(message.headers.fields) > MAX_HEADERS:
            self.die(f"{self.side}_too_many_headers")
            return False
        return True

    # Bodies

    def body_data(self, data: bytes) -> None:
        """Take bytes of the body, behind the transfer coding."""
        tx = self.tx
        if tx is None or not data:
            return
        body = self.message().body
        decoded = body.add(data)
        if body.codings is not None and body.codings.events:
            self.coding_events(body.codings.events)
        if decoded:
            self.entity(tx, decoded)
        if (tx.response if self.to_client else tx.request) < BODY:
            self.progress(BODY)
        elif body.advance():
            self._touch(tx)

    def entity(self, tx: HttpTransaction, data: bytes) -> None:
        """Take decoded bytes of the body (files)."""

    def coding_events(self, events: list[str]) -> None:
        """Tell what the decoders found odd."""
        for name in events:
            self.event(f"{self.side}_{name}" if name == "too_many_lzma_layers" else name)
        events.clear()
