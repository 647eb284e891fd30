"""One message's body: what rules look at of it, when, and the file that it is."""

from collectors.traffic.protocols.http.coding import Codings


class Body:
    """A body after transfer and content codings, kept up to `limit` bytes.

    Rules see it (`seen`) once `minimal` bytes are there, again when `window` more have come, and when it is whole; `eager`: at once.
    """

    __slots__ = ("_eager", "_minimal", "_shown", "_window", "codings", "data", "limit", "size", "whole", "wire")

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

    def add(self, data: bytes) -> bytes:
        """Take bytes of the message; returns them decoded."""
        self.wire += len(data)
        if self.codings is not None:
            data = self.codings.feed(data)
        self.size += len(data)
        room = self.limit - len(self.data)
        if room > 0:
            self.data += data[:room]
        return data

    def seen(self) -> bytes:
        """Return what rules may look at now."""
        if self.whole or self._eager or len(self.data) >= self.limit:
            return bytes(self.data)
        return bytes(self.data[: self._shown])

    def advance(self) -> bool:
        """Return whether there is more to look at than at the last call."""
        have = len(self.data)
        if have == self._shown:
            return False
        due = self._eager or self.whole or have >= self.limit
        due = due or (have >= self._minimal and (not self._shown or have - self._shown >= self._window))
        if due:
            self._shown = have
        return due
