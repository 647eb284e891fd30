"""One message's body: what rules look at of it, when, and the file that it is."""

from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.packing import packed, unpacked


class Body:
    """A body after transfer and content codings, kept up to `limit` bytes.

    Rules see it (`seen`) once `minimal` bytes are there, again when `window` more have come, and when it is whole; `eager`: at once.
    `wire` counts the bytes that came, `size` those that they were decoded to.
    """

    __slots__ = (
        "_eager",
        "_minimal",
        "_over",
        "_packed",
        "_shown",
        "_window",
        "codings",
        "data",
        "limit",
        "size",
        "whole",
        "wire",
    )

    def __init__(self, limit: int, minimal: int, window: int, eager: bool) -> None:
        self.data = bytearray()
        self.limit = limit
        self.size = 0
        self.wire = 0
        self.whole = False
        self.codings: Codings | None = None
        self._minimal = minimal
        self._window = window
        self._eager = eager
        self._shown = 0
        self._packed = b""
        self._over = False

    def add(self, data: bytes) -> bytes:
        """Take bytes of the message; returns them decoded. What comes behind the end of a coded body is no part of it."""
        self.wire += len(data)
        if self._over:
            return b""
        if self.codings is not None:
            data = self.codings.feed(data)
        self.size += len(data)
        room = self.limit - len(self.data)
        if room > 0:
            self.data += data[:room]
        return data

    def seen(self) -> bytes:
        """Return what rules may look at now."""
        data = unpacked(self._packed) if self._packed else self.data
        if self.whole or self._eager or len(data) >= self.limit:
            return bytes(data)
        return bytes(data[: self._shown])

    def beginning(self, most: int) -> bytes:
        """Return the first bytes of what is kept."""
        return unpacked(self._packed)[:most] if self._packed else bytes(self.data[:most])

    def end(self) -> None:
        """Say that the body is whole."""
        self.whole = True
        self.advance()
        self.leave()

    def leave(self) -> None:
        """Say that nothing more comes, whether it is whole or not: it takes no more memory than what came makes fair."""
        if self.codings is not None:
            self.codings, self._over = None, True
            self._packed = packed(self.data, self.wire)
            if self._packed:
                self.data = bytearray()

    def advance(self) -> bool:
        """Return whether there is more to look at than at the last call."""
        have = len(self.data)
        if have == self._shown or self._packed:
            return False
        due = self._eager or self.whole or have >= self.limit
        due = due or (have >= self._minimal and (not self._shown or have - self._shown >= self._window))
        if due:
            self._shown = have
        return due
