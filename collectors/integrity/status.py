"""What the watch says of itself: the rows of the subject, the root for the event chain, and whether the book is as it was left."""

import os
from collections.abc import Collection, Mapping

import msgspec

from collectors.integrity import kinds
from collectors.integrity.book import Book
from collectors.integrity.keeper import Keeper
from collectors.integrity.rules import Rules
from collectors.integrity.scan import Scan
from contracts.host import Stop
from contracts.subjects.integrity import BOOK, Row
from contracts.text import escape
from contracts.trees import Notices

ROW = "row:"
"""The names of facts that are rows begin so."""
FLAWS = "flaws"
MOST_FLAWS = 20
_encode = msgspec.msgpack.Encoder().encode
_ROW = msgspec.msgpack.Decoder(Row)


class Status:
    """For the engine's thread. `news` when there is something to tell besides changes."""

    def __init__(self, book: Book, keeper: Keeper, rules: Rules) -> None:
        self.news = False
        self._book, self._keeper, self._rules = book, keeper, rules
        self._detail = ""
        self._stated = book.fact("stated") or b""

    def verify(self, stop: Stop) -> None:
        """Make the root anew from the rows: a row that was written by somebody else shows."""
        carried = self._book.root()
        made = carried
        for root in self._book.proved_root():
            if stop.is_set():
                return
            made = root or made
        if made != carried:
            detail = "rows of it were changed by another program than this one"
            self._keeper.state(kinds.UNTRUSTED.name, BOOK, {"detail": detail, "root": made.hex()})
            self.news = True

    def sealed(self, *, force: bool) -> None:
        """State the root, if it is another than was stated last; `force` also within a quiet time."""
        root = self._book.root()
        if root == self._stated:
            return
        self._stated = root
        self._book.keep("stated", root)
        self._keeper.state(
            kinds.SEALED.name,
            BOOK,
            {"root": root.hex(), "position": self._book.next_position(), "folders": self._book.count()},
        )
        self.news = self.news or force

    def failed(self, scan: Scan, error: BaseException) -> None:
        """A scan broke off."""
        self._detail = f"the last scan ({scan.why}) broke off: {error}"

    def scanned(self, scan: Scan, now_ms: int) -> None:
        """A scan of everything has ended."""
        self._detail = ""
        names = ["scan", "read again"] if scan.read_again else ["scan"]
        if self._book.fact("last:read again") is None:
            names.append("read again")  # the baseline has just read everything
        for name in names:
            self._book.keep("last:" + name, str(now_ms).encode())
        row = Row(
            kind="scan",
            name=scan.why,
            state="done",
            folders=scan.folders,
            files=scan.files,
            flaws=scan.flaws,
            read_bytes=scan.read_bytes,
            scanned_ms=now_ms,
            seconds=round(scan.seconds(), 3),
            changes=scan.changes,
        )
        self._book.keep(ROW + "scan", _encode(row))
        self.news = True

    def last_ms(self, name: str) -> int:
        """Return when everything was scanned last, or read again."""
        return int(self._book.fact("last:" + name) or b"0")

    def write(
        self,
        notices: Notices | None,
        unwatched: Collection[bytes],
        scans: Collection[Scan],
        flaws: Mapping[bytes, str],
    ) -> None:
        """Keep the book's own row, and what could not be looked at, for whoever shows them."""
        is_scanning = ", ".join(f"{scan.why}: {scan.folders} folders, {scan.files} files" for scan in scans)
        row = Row(
            kind="book",
            name=self._identity(),
            state=f"scanning ({is_scanning})" if is_scanning else "watching",
            watches=notices.count() if notices is not None else 0,
            limit=notices.limit() if notices is not None else 0,
            unwatched=len(unwatched),
            flaws=len(flaws),
            detail=self._detail or "; ".join(self._rules.missing[:5]),
        )
        self._keep(ROW + BOOK, _encode(row))
        first = [f"{escape(path)}: {flaw}" for path, flaw in list(flaws.items())[:MOST_FLAWS]]
        self._keep(FLAWS, _encode((len(flaws), first)))

    def _identity(self) -> str:
        found = self._book.fact("identity")
        if found is None:
            found = os.urandom(8).hex().encode()
            self._book.keep("identity", found)
        return found.decode()

    def _keep(self, name: str, value: bytes) -> None:
        if self._book.fact(name) != value:
            self._book.keep(name, value)


def rows(book: Book) -> dict[str, Row]:
    """Return the rows of the subject as the watch keeps them."""
    return {name[len(ROW) :]: _ROW.decode(raw) for name, raw in book.facts(ROW).items()}
