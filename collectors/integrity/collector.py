"""Tells what the watch has put into its journal, and how it stands. What was told is taken out once the core has stored it.

The watch (`collectors.integrity.watcher`) looks and keeps the book; this reads it. What only a watch at work needs is imported by then.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from collectors.integrity import kinds
from collectors.integrity.options import Options
from collectors.integrity.packages.kinds import HEADER_ALTERED, KEY_NEW, TRANSACTION, TRANSACTION_UNPROVED
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Event, Kind
from contracts.file_change import Change
from contracts.host import ReadOnlyHost
from contracts.snapshot import Snapshot, compare
from contracts.subjects.integrity import BOOK, SUBJECT, Row

if TYPE_CHECKING:
    from collectors.integrity.book import Book
    from collectors.integrity.runs import Runs
    from collectors.integrity.webshell import WebShells

MOST_CHANGES = 20_000
"""So many changes are told in one look; the rest in the next."""
MOST_WEIGHING_S = 20.0
"""So long a look goes on with what the journal holds, as files of web roots are weighed; the rest in the next."""


class IntegrityCollector:
    """What changed on watched files, and the state of the baseline."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (
        *kinds.COLLECTED,
        *kinds.WEBSHELLS,
        TRANSACTION,
        TRANSACTION_UNPROVED,
        KEY_NEW,
        HEADER_ALTERED,
    )
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options
        self._book: Book | None = None
        self._runs: Runs | None = None
        self._shells: WebShells | None = None

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Tell what the core has not been told; raises `Unavailable` or `Malformed` where there is no book to read."""
        from collectors.integrity import status
        from collectors.integrity.explaining import meanings
        from collectors.integrity.runs import by_packages
        from collectors.integrity.telling import events

        book, runs, former = self._opened(host), self._runs_of(host), before.rows.get(BOOK)
        runs.begin()
        runs.look()
        with book.moment():  # the row says the root of the very writing whose entries are told with it
            rows = status.rows(book)
            own = rows.get(BOOK, Row(kind="book", name="", state="starting"))
            same = former is not None and former.name == own.name
            reported, ahead = (former.reported, former.ahead) if former is not None and same else (0, 0)
            root, position = book.standing()
            entries = book.told(reported, MOST_CHANGES)
            waiting, flaws = book.count_opened(), _blind(book)
        self._settle(host, book, reported)
        told: list[Event] = _distrust(former, own, root.hex(), position) if former is not None else []
        found = self._read(host, entries, reported, ahead)
        told += found.stated
        explained = runs.explained(found.changes, more_waits=found.ahead > found.reported)
        told += explained.events
        left = found.changes
        notes = meanings(left, runs.is_secret)
        notes |= {id(change): note for change, note in explained.standing_out}
        if explained.judged:
            left = [change for change in left if not by_packages(change.path)]
            left += [change for change, _ in explained.standing_out]
        told += events(left, self._options.single_events, notes, self._options.packages.maintenance)
        told += found.shells
        rows[BOOK] = msgspec.structs.replace(
            own,
            root=root.hex(),
            position=position,
            reported=found.reported,
            ahead=found.ahead,
            open=waiting,
        )
        blind = (*flaws, *explained.blind, *self._shells_of(host).blind())
        return Report(events=tuple(told), changes=compare(before.rows, rows), blind=blind)

    def _read(self, host: ReadOnlyHost, entries: Sequence[tuple[int, bytes]], reported: int, ahead: int) -> "_Read":
        """Return what entries of the journal come to, those after `reported`.

        What waits for a run of a package tool keeps nothing else waiting: the rest was told up to `ahead`, and goes on from there.
        """
        from collectors.integrity.keeper import ENTRY
        from collectors.integrity.runs import by_packages
        from collectors.integrity.telling import statement
        from contracts.open_change import Batch

        runs, web, until_s = self._runs_of(host), self._shells_of(host), host.monotonic() + MOST_WEIGHING_S
        found = _Read(reported, max(reported, ahead))
        is_waiting = False
        for number, body in entries:
            if is_waiting and number <= found.ahead:
                continue
            entry = ENTRY.decode(body)
            if isinstance(entry, Batch):
                is_waiting = is_waiting or runs.waits(entry)
                is_new = number > found.ahead
                for change in entry.changes:
                    if by_packages(change.path):
                        found.changes += [change] * (not is_waiting)
                    elif is_new:
                        found.changes.append(change)
                if is_new:
                    found.shells += filter(None, map(web.look, self._reachable(entry.changes)))
            elif number > found.ahead:
                found.stated.append(statement(entry))
            found.ahead = max(found.ahead, number)
            if not is_waiting:
                found.reported = number
            if len(found.changes) >= MOST_CHANGES or host.monotonic() > until_s:
                break
        return found

    def _reachable(self, changes: Sequence[Change]) -> list[Change]:
        """Return what changed in web roots."""
        return [change for change in changes if change.profile in self._options.web_roots.entries]

    def _runs_of(self, host: ReadOnlyHost) -> "Runs":
        if self._runs is None:
            from collectors.integrity.runs import Runs

            self._runs = Runs(host, self._options)
        return self._runs

    def _shells_of(self, host: ReadOnlyHost) -> "WebShells":
        if self._shells is None:
            from collectors.integrity.webshell import WebShells

            def read(change: Change, most: int) -> bytes | None:
                return host.trees.content(change.path, change.after, most) if change.after is not None else None

            self._shells = WebShells(read, self._options.web_roots.rules)
        return self._shells

    def _opened(self, host: ReadOnlyHost) -> "Book":
        if self._book is None:
            from collectors.integrity.book import FILE, Book

            state = getattr(host, "state", "")
            if not state or not Path(state).is_dir():
                raise Unavailable(Why.OTHER, "this worker has no folder of its own to keep the baseline in")
            self._book = Book(Path(state) / FILE)
        return self._book

    def _settle(self, host: ReadOnlyHost, book: "Book", reported: int) -> None:
        """The core has everything up to this entry."""
        from collectors.integrity.book import FILE
        from collectors.integrity.requests import requests

        first = next(iter(book.told(0, 1)), None)
        if first is None or first[0] > reported:
            return
        if not requests(Path(getattr(host, "state", "")) / FILE).settle(reported):
            book.settle(reported)
            book.commit()


class _Read:
    """What the journal held: changes to be told, facts, what was found in web roots, and how far that goes (`Row.reported`, `ahead`)."""

    def __init__(self, reported: int, ahead: int) -> None:
        self.reported, self.ahead = reported, ahead
        self.changes: list[Change] = []
        self.stated: list[Event] = []
        self.shells: list[Event] = []


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
