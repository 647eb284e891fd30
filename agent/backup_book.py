"""The book of backup jobs: the subject `backup.jobs`, kept from the configuration and from the events of the runs.

A worker that backs up ends when it is idle and has no look of its own; what it states is durable in the spool, and this is read off it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from contracts.codec import UNDECODABLE
from contracts.event import Event
from contracts.snapshot import EncodedChanges
from contracts.subjects.backup import (
    ANOMALY_ACKNOWLEDGED,
    ANOMALY_SUSPECTED,
    CHECKED,
    DAMAGED,
    DATABASE_FAILED,
    DATABASE_NOT_PROVED,
    DATABASE_PROVED,
    FAILED,
    FINISHED,
    FORGOTTEN,
    FULL_PROOF_FAILED,
    FULL_PROOF_POSTPONED,
    FULLY_PROVED,
    NOT_PROVED,
    PARTIAL,
    PROVED,
    RECOVERY_KEY_PROVED,
    RECOVERY_KEY_UNPROVED,
    REPLICATED,
    REPLICATION_FAILED,
    RETENTION_HELD,
    SUBJECT,
    TARGET_IMMUTABLE,
    TARGET_MUTABLE,
    TARGET_UNTRIED,
    UPKEEP_FAILED,
    BackupDatabase,
    BackupJob,
)

FULL = (FULLY_PROVED, FULL_PROOF_FAILED, FULL_PROOF_POSTPONED)
RECOVERY = (RECOVERY_KEY_PROVED, RECOVERY_KEY_UNPROVED)
TRIPWIRE = (ANOMALY_SUSPECTED, ANOMALY_ACKNOWLEDGED)
DATABASES = (DATABASE_FAILED, DATABASE_PROVED, DATABASE_NOT_PROVED)
COPIES = (REPLICATED, REPLICATION_FAILED)
RUNS = (FINISHED, PARTIAL, FAILED)
NOTED = {
    TARGET_MUTABLE: "target",
    TARGET_UNTRIED: "target",
    TARGET_IMMUTABLE: "target",
    RETENTION_HELD: "",
    FORGOTTEN: "",
    UPKEEP_FAILED: "step",
}
"""Of what is noted beside the snapshots: the field that names what it is about, "" for the retention."""
CLEARING = (TARGET_IMMUTABLE, FORGOTTEN)
KINDS = (*RUNS, PROVED, NOT_PROVED, CHECKED, DAMAGED, *FULL, *RECOVERY, *TRIPWIRE, *DATABASES, *COPIES, *NOTED)
CONFIGURED = (
    "job",
    "repository",
    "at",
    "late_s",
    "stale_s",
    "proof_s",
    "check_s",
    "full_s",
    "rto_s",
    "rpo_s",
    "covers",
)
"""The fields that the configuration says; the others are remembered."""


class Store(Protocol):
    """The part of the state that is read and written here."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return the subject's rows."""

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        """Store the changes and return the new revision."""


class BackupBook:
    """Keeps the rows in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def declare(self, jobs: Sequence[BackupJob], now_ms: int) -> bool:
        """Take what the configuration says now; return whether a row changed."""
        former = self._rows()
        rows = {}
        for job in jobs:
            known = former.get(job.job)
            if known is None:
                rows[job.job] = msgspec.structs.replace(job, since_ms=now_ms)
            else:
                configured = {name: getattr(job, name) for name in CONFIGURED}
                names = {dump.name for dump in job.covers.dumps}
                databases = {name: each for name, each in known.databases.items() if name in names}
                rows[job.job] = msgspec.structs.replace(known, **configured, databases=databases)
        if self._store_changes(former, rows, now_ms):
            return True
        # Without any job, too, there is the subject: who asks hears that none are configured.
        self._store.apply(SUBJECT, EncodedChanges(), now_ms)
        return False

    def take(self, events: Iterable[Event], now_ms: int) -> bool:
        """Take what runs stated; events of jobs that are not configured, or older than what is known, change nothing."""
        former = self._rows()
        rows = dict(former)
        for event in events:
            job = str(event.fields.get("job", ""))
            if event.kind in KINDS and job in rows:
                rows[job] = after(rows[job], event)
        return self._store_changes(former, rows, now_ms)

    def _rows(self) -> dict[str, BackupJob]:
        rows = {}
        for key, raw in self._store.rows(SUBJECT).items():
            try:
                rows[key] = msgspec.msgpack.decode(raw, type=BackupJob)
            except UNDECODABLE:
                continue  # of another version: it is told anew by the next run
        return rows

    def _store_changes(self, former: Mapping[str, BackupJob], rows: Mapping[str, BackupJob], now_ms: int) -> bool:
        put = {key: msgspec.msgpack.encode(row) for key, row in rows.items() if former.get(key) != row}
        removed = tuple(key for key in self._store.rows(SUBJECT) if key not in rows)
        if not put and not removed:
            return False
        self._store.apply(SUBJECT, EncodedChanges(put=put, removed=removed), now_ms)
        return True


def after(row: BackupJob, event: Event) -> BackupJob:
    """Return the row of a job after an event of it; one that is older than what the row holds leaves it as it is."""
    fields, at_ms = event.fields, event.observed_ms
    if event.kind == ANOMALY_SUSPECTED:
        if at_ms <= row.acknowledged_ms:
            return row
        text = _text(fields.get("detail")) or row.suspicion
        return msgspec.structs.replace(row, suspected_ms=row.suspected_ms or at_ms, suspicion=text)
    if event.kind == ANOMALY_ACKNOWLEDGED:
        if at_ms <= max(row.acknowledged_ms, row.suspected_ms - 1):
            return row
        return msgspec.structs.replace(row, suspected_ms=0, suspicion="", acknowledged_ms=at_ms)
    if event.kind in (CHECKED, DAMAGED):
        if at_ms < max(row.checked_ms, row.damaged_ms):
            return row
        if event.kind == CHECKED:
            return msgspec.structs.replace(row, checked_ms=at_ms, damaged_ms=0, damage="")
        return msgspec.structs.replace(row, damaged_ms=at_ms, damage=_text(fields.get("detail")))
    if event.kind in (PROVED, NOT_PROVED):
        if at_ms < max(row.proved_ms, row.proof_failed_ms):
            return row
        if event.kind == PROVED:
            return msgspec.structs.replace(row, proved_ms=at_ms, proof_failed_ms=0, proof_detail="")
        return msgspec.structs.replace(row, proof_failed_ms=at_ms, proof_detail=_text(fields.get("detail")))
    if event.kind in FULL:
        return _after_full(row, event)
    if event.kind in DATABASES:
        return _after_database(row, event)
    if event.kind in RECOVERY:
        detail = _text(fields.get("detail")) if event.kind == RECOVERY_KEY_UNPROVED else ""
        return msgspec.structs.replace(row, recovery_key=detail)
    if at_ms < row.ran_ms:
        return row
    if event.kind in COPIES:
        return _after_copy(row, event)
    if event.kind in NOTED:
        return _after_note(row, event)
    if event.kind == FAILED:
        detail = _text(fields.get("detail"))
        return msgspec.structs.replace(
            row, ran_ms=at_ms, outcome="failed", detail=detail, databases=_dumped(row, event)
        )
    return msgspec.structs.replace(
        row,
        ran_ms=at_ms,
        outcome="partial" if event.kind == PARTIAL else "finished",
        detail="",
        snapshot=_text(fields.get("snapshot")),
        snapshot_ms=at_ms,
        files=_number(fields.get("files")),
        bytes_total=_number(fields.get("bytes_total")),
        bytes_added=_number(fields.get("bytes_added")),
        seconds=float(_number(fields.get("seconds"))),
        unreadable=_number(fields.get("unreadable")),
        databases=_dumped(row, event),
        copies={},  # each of them is told of after the run that was just stated; one that is not configured any more never again
        notes={},  # likewise
    )


def _after_copy(row: BackupJob, event: Event) -> BackupJob:
    target = _text(event.fields.get("target"))
    copies = {name: why for name, why in row.copies.items() if name != target}
    if event.kind == REPLICATION_FAILED:
        copies[target] = _text(event.fields.get("detail")) or "no reason is given"
    return msgspec.structs.replace(row, copies=copies)


def _after_note(row: BackupJob, event: Event) -> BackupJob:
    about = _text(event.fields.get(NOTED[event.kind])) or "retire"
    notes = {name: what for name, what in row.notes.items() if name != about}
    if event.kind not in CLEARING:
        detail = _text(event.fields.get("detail")) or "no reason is given"
        words = {UPKEEP_FAILED: f"{about} could not be done: ", RETENTION_HELD: "nothing is removed: "}
        notes[about] = words.get(event.kind, "") + detail
    return msgspec.structs.replace(row, notes=notes)


def _after_database(row: BackupJob, event: Event) -> BackupJob:
    name, at_ms = _text(event.fields.get("database")), event.observed_ms
    known = row.databases.get(name, BackupDatabase())
    detail = _text(event.fields.get("detail")) or "no reason is given"
    if event.kind == DATABASE_FAILED:
        if at_ms < known.ran_ms:
            return row
        known = msgspec.structs.replace(known, ran_ms=at_ms, failure=detail)
    elif at_ms < known.proof_ms:
        return row
    else:
        failure = detail if event.kind == DATABASE_NOT_PROVED else ""
        known = msgspec.structs.replace(known, proof_ms=at_ms, proof_failure=failure)
    return msgspec.structs.replace(row, databases={**row.databases, name: known})


def _dumped(row: BackupJob, event: Event) -> dict[str, BackupDatabase]:
    """The databases after a run that names those of which everything was dumped; after one that lacks nothing, there are no others."""
    named = event.fields.get("databases")
    complete = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    found = dict(row.databases) if event.kind in (PARTIAL, FAILED) else {}
    for name in complete:
        known = row.databases.get(name, BackupDatabase())
        if event.observed_ms >= known.ran_ms:
            known = msgspec.structs.replace(known, ran_ms=event.observed_ms, failure="")
        found[name] = known
    return found


def _after_full(row: BackupJob, event: Event) -> BackupJob:
    fields, at_ms = event.fields, event.observed_ms
    if at_ms < max(row.full_ms, row.full_failed_ms, row.full_postponed_ms):
        return row
    detail = _text(fields.get("detail"))
    if event.kind == FULL_PROOF_POSTPONED:
        return msgspec.structs.replace(row, full_postponed_ms=at_ms, full_postponed=detail)
    if event.kind == FULL_PROOF_FAILED:
        return msgspec.structs.replace(row, full_failed_ms=at_ms, full_detail=detail, full_postponed="")
    seconds = fields.get("seconds")
    return msgspec.structs.replace(
        row,
        full_ms=at_ms,
        full_seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        full_bytes=_number(fields.get("bytes")),
        full_failed_ms=0,
        full_detail="",
        full_postponed="",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
