"""The book of antivirus deeds: the subject `antivirus.runs`, kept from the configuration and from what updates, scans and proofs state."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from contracts.codec import UNDECODABLE
from contracts.event import Event
from contracts.snapshot import EncodedChanges
from contracts.subjects.antivirus import (
    CURRENT,
    DELETED,
    MISSED,
    PROVED,
    QUARANTINED,
    RESTORED,
    RUNS,
    SCAN_FAILED,
    SCANNED,
    UPDATE_FAILED,
    UPDATE_HELD,
    UPDATED,
    Done,
)

STATES = {
    UPDATED: ("update", "updated"),
    UPDATE_FAILED: ("update", "failed"),
    UPDATE_HELD: ("update", "held back"),
    SCANNED: ("scan", "scanned"),
    SCAN_FAILED: ("scan", "failed"),
    PROVED: ("proof", "proved"),
    MISSED: ("proof", "missed"),
    QUARANTINED: ("quarantine", "moved there"),
    RESTORED: ("quarantine", "restored"),
    DELETED: ("quarantine", "deleted"),
}
KINDS = (*STATES, CURRENT)
_NUMBERS = (
    "files",
    "bytes",
    "infected",
    "unscanned",
    "unchanged",
    "seconds",
    "detected_ms",
    "reached_ms",
    "former_version",
    "loaded",
)


class Store(Protocol):
    """The part of the state that is read and written here."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return the subject's rows."""

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        """Store the changes and return the new revision."""


class AntivirusBook:
    """Keeps the rows in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def declare(self, proof_s: float, now_ms: int) -> bool:
        """Take how long a proof counts (0: none is asked for); return whether a row changed."""
        former = self.rows()
        rows = dict(former)
        proof = former.get("proof", Done(what="proof", at_ms=0, state="never"))
        if proof_s or "proof" in former:
            rows["proof"] = msgspec.structs.replace(proof, valid_s=proof_s)
        if not self._keep(former, rows, now_ms):
            self._store.apply(RUNS, EncodedChanges(), now_ms)  # without any row, too, there is the subject
            return False
        return True

    def take(self, events: Iterable[Event], now_ms: int) -> bool:
        """Take what deeds stated; what is older than what is known changes nothing."""
        former = self.rows()
        rows = dict(former)
        for event in events:
            row = _row(event)
            known = rows.get(row.what) if row is not None else None
            if row is not None and (known is None or row.at_ms >= known.at_ms):
                rows[row.what] = msgspec.structs.replace(row, valid_s=known.valid_s if known is not None else 0.0)
        return self._keep(former, rows, now_ms)

    def rows(self) -> dict[str, Done]:
        """What is known, by what it is."""
        rows = {}
        for key, raw in self._store.rows(RUNS).items():
            try:
                rows[key] = msgspec.msgpack.decode(raw, type=Done)
            except UNDECODABLE:
                continue  # of another version: it is told anew
        return rows

    def _keep(self, former: Mapping[str, Done], rows: Mapping[str, Done], now_ms: int) -> bool:
        put = {key: msgspec.msgpack.encode(row) for key, row in rows.items() if former.get(key) != row}
        removed = tuple(key for key in self._store.rows(RUNS) if key not in rows)
        if not put and not removed:
            return False
        self._store.apply(RUNS, EncodedChanges(put=put, removed=removed), now_ms)
        return True


def _row(event: Event) -> Done | None:
    fields = event.fields
    if event.kind == CURRENT:
        what = f"current/{_text(fields.get('product'))}/{_text(fields.get('source'))}"
        return Done(what=what, at_ms=event.observed_ms, state="known", version=_version(fields.get("newest")))
    if event.kind not in STATES:
        return None
    what, state = STATES[event.kind]
    numbers = {name: float(value) for name in _NUMBERS if _is_number(value := fields.get(name))}  # type: ignore[arg-type]
    detail = _text(fields.get("detail"))
    if what == "quarantine":
        detail = f"{_text(fields.get('path'))} ({_text(fields.get('signature'))}) by {_text(fields.get('who')) or 'a rule'}{detail}"
    return Done(
        what=what,
        at_ms=event.observed_ms,
        state=state,
        detail=detail,
        version=_version(fields.get("newest")),
        numbers=numbers,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _version(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
