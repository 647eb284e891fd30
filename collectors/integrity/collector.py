"""Tells what the watch has put into its journal, and how it stands. What was told is taken out once the core has stored it.

The watch (`collectors.integrity.watcher`) looks and keeps the book; this reads it. What only a watch at work needs is imported by then.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from collectors.integrity import kinds
from collectors.integrity.options import Options
from collectors.integrity.packages.kinds import KEY_NEW, TRANSACTION, TRANSACTION_UNPROVED
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.event import Event, Kind
from contracts.file_change import Change
from contracts.host import ReadOnlyHost
from contracts.snapshot import Snapshot, compare
from contracts.subjects.integrity import BOOK, SUBJECT, Row

if TYPE_CHECKING:
    from collectors.integrity.book import Book
    from collectors.integrity.explaining import Explained, Explainer
    from collectors.integrity.rules import Rules
    from contracts.open_change import Batch

_PACKAGED = (b"/usr/", b"/etc/", b"/boot/", b"/opt/", b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/")
_PROVENANCE = "which package accounts for a change"
LEARNING = "the archives of packages are still being read; changes are told as they are"
MOST_WAIT_S = 600
"""So long changes wait for the end of a run of dpkg, which tells what brought them; then they are told as they are."""
MOST_CHANGES = 20_000
"""So many changes are told in one look; the rest in the next."""


class IntegrityCollector:
    """What changed on watched files, and the state of the baseline."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (*kinds.COLLECTED, TRANSACTION, TRANSACTION_UNPROVED, KEY_NEW)
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options
        self._book: Book | None = None
        self._explainer: Explainer | None = None
        self._learning: threading.Thread | None = None

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Tell what the core has not been told; raises `Unavailable` or `Malformed` where there is no book to read."""
        from collectors.integrity import status
        from collectors.integrity.keeper import ENTRY
        from collectors.integrity.telling import events, statement
        from contracts.open_change import Batch, Statement

        book = self._opened(host)
        rows = status.rows(book)
        own = rows.get(BOOK, Row(kind="book", name="", state="starting"))
        former = before.rows.get(BOOK)
        same = former is not None and former.name == own.name
        reported = former.reported if former is not None and same else 0
        self._settle(book, reported)
        root, position = book.standing()
        told: list[Event] = _distrust(former, own, root.hex(), position) if former is not None else []
        changes: list[Change] = []
        is_based = False
        for number, body in book.told(reported, MOST_CHANGES):
            entry = ENTRY.decode(body)
            if isinstance(entry, Batch) and self._waits(host, entry):
                break
            reported = number
            if isinstance(entry, Statement):
                told.append(statement(entry))
                is_based |= entry.kind == kinds.BASELINE_MADE.name
            else:
                changes += entry.changes
            if len(changes) >= MOST_CHANGES:
                break
        explained = self._explained(host, changes, is_based)
        told += explained.events
        notes = {id(change): note for change, note in explained.standing_out}
        accounted = explained.events or notes
        left = [change for change, _ in explained.standing_out] if accounted else changes
        plain = [change for change in changes if not _by_packages(change.path)] if accounted else []
        told += events([*left, *plain], self._options.single_events, notes)
        rows[BOOK] = msgspec.structs.replace(
            own, root=root.hex(), position=position, reported=reported, open=book.count_opened()
        )
        return Report(events=tuple(told), changes=compare(before.rows, rows), blind=(*_blind(book), *explained.blind))

    def _opened(self, host: ReadOnlyHost) -> "Book":
        if self._book is None:
            from collectors.integrity.book import FILE, Book

            state = getattr(host, "state", "")
            if not state or not Path(state).is_dir():
                raise Unavailable(Why.OTHER, "this worker has no folder of its own to keep the baseline in")
            self._book = Book(Path(state) / FILE)
        return self._book

    def _explained(self, host: ReadOnlyHost, changes: Sequence[Change], is_based: bool) -> "Explained":
        """Return what packages account for; a failure to ask them is said, and takes no change away."""
        from collectors.integrity.explaining import Explained

        theirs = [change for change in changes if _by_packages(change.path)]
        try:
            if is_based and any(_by_packages(root) for root in self._rules(host).by_root):
                self._learn(host, is_new=True)
            if not theirs:
                return Explained()
            if not self._has_learnt(host):
                return Explained(blind=(Blind(what=_PROVENANCE, why=Why.OTHER, detail=LEARNING),))
            return self._explaining(host).explain(theirs)
        except (HoldfastError, OSError, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"[:500]
            return Explained(blind=(Blind(what=_PROVENANCE, why=Why.OTHER, detail=detail),))

    def _learn(self, host: ReadOnlyHost, *, is_new: bool = False) -> None:
        """Read the archives that are there, in a thread of its own: there may be thousands, and nothing is to wait for them."""
        if self._learning is None:
            folder, is_secret = Path(getattr(host, "state", "")) / "packages", self._rules(host).is_secret
            self._learning = threading.Thread(
                target=_begin, args=(host, folder, is_secret, is_new), name="packages", daemon=True
            )
            self._learning.start()

    def _has_learnt(self, host: ReadOnlyHost) -> bool:
        """Say whether the archives were read once since this worker began."""
        self._learn(host)
        return self._learning is not None and not self._learning.is_alive()

    def _rules(self, host: ReadOnlyHost) -> "Rules":
        from collectors.integrity.options import watched
        from collectors.integrity.rules import Rules

        return Rules(watched(self._options), host.files)

    def _explaining(self, host: ReadOnlyHost) -> "Explainer":
        if self._explainer is None:
            from collectors.integrity.explaining import Explainer

            folder = Path(getattr(host, "state", "")) / "packages"
            self._explainer = Explainer(host, folder, no_diff=self._rules(host).is_secret)
        return self._explainer

    def _waits(self, host: ReadOnlyHost, batch: "Batch") -> bool:
        """Say whether changes are told only when the run of dpkg that is under way has ended, but none of them for long."""
        since = int(host.now().timestamp() * 1000) - MOST_WAIT_S * 1000
        is_theirs = any(_by_packages(change.path) for change in batch.changes)
        return (
            is_theirs
            and batch.changes[-1].at_ms > since
            and self._has_learnt(host)
            and self._explaining(host).is_busy()
        )

    def _settle(self, book: "Book", reported: int) -> None:
        """The core has everything up to this entry."""
        done = [number for number, _ in book.told(0, MOST_CHANGES) if number <= reported]
        if done:
            book.settle(done)
            book.commit()


def _begin(host: ReadOnlyHost, folder: Path, is_secret: Callable[[bytes], bool], is_new: bool) -> None:
    from collectors.integrity.explaining import Explainer

    explainer = Explainer(host, folder, no_diff=is_secret)
    try:
        if is_new:
            explainer.begin()  # with the baseline: what packages list now is what was before
        else:
            explainer.learn()
    finally:
        explainer.close()


def _by_packages(path: bytes) -> bool:
    """Say whether packages ship files there."""
    return (path + b"/").startswith(_PACKAGED)


def _distrust(former: Row, now: Row, root: str, position: int) -> list[Event]:
    """Compare the book with what was stated of it when it was read last."""
    if former.name and former.name != now.name:
        detail = "it is another one than before: the former one was lost or replaced"
    elif former.name and position < former.position:
        detail = f"it is older than what was stated: {position} writings instead of {former.position}"
    elif former.name and position == former.position and former.root and former.root != root:
        detail = "its digest is not the one that was stated, and nothing was written since"
    else:
        return []
    return [kinds.UNTRUSTED.event(BOOK, detail=detail, root=root)]


def _blind(book: "Book") -> tuple[Blind, ...]:
    from collectors.integrity.status import FLAWS

    raw = book.fact(FLAWS)
    count, first = msgspec.msgpack.decode(raw, type=tuple[int, list[str]]) if raw is not None else (0, [])
    if not count:
        return ()
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return (
        Blind(
            what=f"{count} watched names wholly",
            why=Why.OTHER,
            detail="; ".join(first)[:2000] + more,
            fix="Exclude what cannot be read, or mend why it cannot.",
        ),
    )
