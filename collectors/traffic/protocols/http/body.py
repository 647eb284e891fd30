"""One message's body: what rules look at of it, when, and the file that it is."""

from collectors.traffic.protocols.http.coding import Codings
from collectors.traffic.protocols.packing import Kept


class Body:
    """A body after transfer and content codings, kept up to `limit` bytes.

    Rules see it (`seen`) once `minimal` bytes are there, again when `window` more have come, and when it is whole; `eager`: at once.
    `wire` counts the bytes that came, `size` those that they were decoded to. `cut`: the rest of it is not kept.
    """

    __slots__ = ("_eager", "_minimal", "_over", "_shown", "_window", "codings", "cut", "kept", "size", "whole", "wire")

    def __init__(self, limit: int, minimal: int, window: int, eager: bool) -> None:
        self.kept = Kept(limit)
        self.size = 0
        self.wire = 0
        self.whole = False
        self.cut = False
        self.codings: Codings | None = None
        self._minimal = minimal
        self._window = window
        self._eager = eager
        self._shown = 0
        self._over = False

    def add(self, data: bytes) -> bytes:
        """Take bytes of the message; returns them decoded. What comes behind the end of a coded body is no part of it."""
        self.wire += len(data)
        if self._over:
            return b""
        if self.codings is not None:
            data = self.codings.feed(data)
        self.size += len(data)
        self.kept.add(data)
        return data

    def seen(self) -> bytes:
        """Return what rules may look at now."""
        kept = self.kept
        if self.whole or self._eager or kept.length() >= kept.limit:
            return kept.content()
        return kept.beginning(self._shown) if self._shown else b""

    def beginning(self, most: int) -> bytes:
        """Return the first bytes of what is kept."""
        return self.kept.beginning(most)

    def end(self) -> None:
        """Say that the body is whole."""
        self.whole = True
        self.advance()
        self.leave()

    def leave(self) -> None:
        """Say that nothing more comes, whether it is whole or not: it takes no more memory than what came makes fair."""
        if self.codings is not None:
            self.codings, self._over = None, True
            self.kept.leave(self.wire)

    def advance(self) -> bool:
        """Return whether there is more to look at than at the last call."""
        have = self.kept.length()
        if have == self._shown or self._over:
            return False
        due = self._eager or self.whole or have >= self.kept.limit
        due = due or (have >= self._minimal and (not self._shown or have - self._shown >= self._window))
        if due:
            self._shown = have
        return due

    def held(self) -> int:
        """Return how much memory it takes."""
        return self.kept.held() + (self.codings.held() if self.codings is not None else 0)

    def shrink(self) -> None:
        """Take little memory until more comes: nothing is lost."""
        self.kept.shrink()
        if self.codings is not None:
            self.codings.shrink()

    def stop(self) -> bool:
        """Let rules see what is there, and keep no more of it; returns whether that is anything."""
        if self.cut or not self.wire:
            return False
        there = self.kept.stop()
        if self.codings is not None:
            self.codings, self._over, there = None, True, True
        if there:
            self.cut, self._shown = True, self.kept.length()
        return there

    def drop(self) -> None:
        """Forget what is there of a body that was stopped."""
        if self.cut:
            self.kept.drop()
