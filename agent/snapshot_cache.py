"""The snapshots a worker holds, one per subject, so that unchanged rows never travel twice.

A subject moves to a new revision only when the core says that it has stored the changes: a worker's own word is not enough, because
the next comparison must be against what the core holds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from contracts.codec import UNDECODABLE
from contracts.record import Record
from contracts.snapshot import Changes, Snapshot


class SnapshotCache:
    """Rows of one subject at one revision, as `row` values."""

    def __init__(self, subject: str, row: type[Record]) -> None:
        self.subject = subject
        self.unreadable: tuple[str, ...] = ()
        """Keys of stored rows that no longer fit the row type (written by another version); they are replaced by the next look."""
        self._decoder = msgspec.msgpack.Decoder(row)
        self._revision = 0
        self._at_ms = 0
        self._rows: dict[str, Any] = {}
        self._waiting: tuple[int, Changes[Any], int] | None = None

    def holds(self, revision: int) -> bool:
        """Say whether a look against `revision` can start at once."""
        if revision == 0 and self._revision != 0:
            self._restart()
        return self._revision == revision

    def begin(self) -> None:
        """Forget everything: pages of a whole snapshot are about to come."""
        self._restart()

    def take(self, revision: int, rows: Mapping[str, bytes], at_ms: int, last: bool) -> None:
        """Add a page; the last one makes it the snapshot at `revision`."""
        unreadable = []
        for key, body in rows.items():
            try:
                self._rows[key] = self._decoder.decode(body)
            except UNDECODABLE:
                unreadable.append(key)
        self.unreadable += tuple(unreadable)
        if last:
            self._revision, self._at_ms = revision, at_ms

    def snapshot(self) -> Snapshot[Any]:
        """Return what to compare with; read-only, because the cache keeps it."""
        return Snapshot(
            subject=self.subject, revision=self._revision, rows=MappingProxyType(self._rows), at_ms=self._at_ms
        )

    def propose(self, run: int, changes: Changes[Any], at_ms: int) -> None:
        """Keep what run `run` found until the core has stored it."""
        self._waiting = (run, changes, at_ms)

    def stored(self, run: int, revision: int) -> None:
        """Move to `revision` with the changes of `run`; for any other run the next look asks for the snapshot anew."""
        if self._waiting is None or self._waiting[0] != run:
            return
        _, changes, at_ms = self._waiting
        self._waiting = None
        for key in changes.removed:
            self._rows.pop(key, None)
        self._rows.update(changes.put)
        self._revision, self._at_ms, self.unreadable = revision, at_ms, ()

    def _restart(self) -> None:
        self._revision, self._at_ms, self._rows, self._waiting, self.unreadable = 0, 0, {}, None, ()
