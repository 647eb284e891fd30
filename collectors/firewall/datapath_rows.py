"""Collects the rows of the subject `datapath` while they are read: bounded, and the same objects as before where nothing changed."""

from collections.abc import Mapping

import msgspec

from collectors.firewall.rows import key
from contracts.coverage import Blind
from contracts.errors import Why
from contracts.frames import MAX_FRAME, PAGE_BYTES
from contracts.subjects.datapath import Row

MAX_ROW = MAX_FRAME - PAGE_BYTES - (64 << 10)
"""More bytes than these do not travel in one row (`contracts.frames`), with room for its key and the frame around it."""

_ASCII_SAFE = MAX_ROW // 4
_HANDLE = 9
_NAMED = 5
_ANY_FIX = "Look for what keeps it from being read; the next look tries again."

compact = msgspec.json.Encoder().encode


class Sheet:
    """The rows of one look and what it could not see."""

    def __init__(self, before: Mapping[str, Row]) -> None:
        self.rows: dict[str, Row] = {}
        self.blind: list[Blind] = []
        self._before = before
        self._large: list[str] = []

    def put(
        self,
        what: str,
        *names: str,
        document: str = "",
        text: str = "",
        order: tuple[int, ...] = (),
        unread: str = "",
        bare: str = "",
    ) -> str:
        """Add a row and return its key. One that is too large to travel is `unread`, and keeps `bare` for its document."""
        return self.put_as(key(what, *names), what, document=document, text=text, order=order, unread=unread, bare=bare)

    def put_as(
        self,
        name: str,
        what: str,
        *,
        document: str = "",
        text: str = "",
        order: tuple[int, ...] = (),
        unread: str = "",
        bare: str = "",
    ) -> str:
        """Do the same with a key that is made already."""
        row = Row(what=what, document=document, text=text, order=order, unread=unread)
        if len(document) + len(text) + len(order) > _ASCII_SAFE and (size := _size(row)) > MAX_ROW:
            self._large.append(name)
            row = Row(what=what, document=bare, unread=f"too large to travel: {size} bytes of at most {MAX_ROW}")
        old = self._before.get(name)
        self.rows[name] = old if old == row and old is not None else row
        return name

    def put_next(self, what: str, *names: str, document: str, text: str = "") -> None:
        """Add a row whose names may be there already: it then gets a number at the end of its key."""
        number, last = 1, names
        while key(what, *last) in self.rows:
            number += 1
            last = (*names, str(number))
        self.put(what, *last, document=document, text=text)

    def missing(self, what: str, why: Why, detail: str, fix: str) -> None:
        """State a blind spot."""
        self.blind.append(Blind(what=what, why=why, detail=detail, fix=fix or _ANY_FIX))

    def spots(self) -> tuple[Blind, ...]:
        """Return all blind spots, rows that are too large to travel as one of them."""
        if not self._large:
            return tuple(self.blind)
        names = ", ".join(name[:80] for name in self._large[:_NAMED])
        more = f" and {len(self._large) - _NAMED} more" if len(self._large) > _NAMED else ""
        large = Blind(
            what=f"{len(self._large)} parts of the ruleset that are too large to travel",
            why=Why.TOO_LARGE,
            detail=f"{names}{more}; whatever they decide is uncertain",
            fix="Split long chains and anonymous sets, or use named sets.",
        )
        return (*self.blind, large)


def _size(row: Row) -> int:
    return len(row.document.encode()) + len(row.text.encode()) + len(row.order) * _HANDLE
