"""Applying parts of a subject's rows; pages of a large change are kept aside and applied together with the last one."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, insert, select

from console.chains import Rejected
from console.store.database import upsert
from console.store.schema import staged_rows, subject_rows, subjects
from console.store.subject_state import Step, SubjectState, advance
from contracts.wire import SubjectPart

ROW_KEYS = ("agent", "subject", "key")
MAX_SUBJECTS = 256
"""More than any agent has collectors; a bound for hostile ones."""


def mismatch(parts: Sequence[SubjectPart], held: Mapping[str, SubjectState]) -> Rejected | None:
    """Say which part does not fit what is held, before anything is written."""
    states = dict(held)
    for part in parts:
        step, states[part.subject] = advance(states.get(part.subject, SubjectState()), part)
        if step is Step.MISMATCH:
            return Rejected(
                status=409,
                seq=0,
                error=f"{part.subject}: rows on top of revision {part.base}, but {states[part.subject].revision} is held",
                advice="send the changes since the revision that is held, or everything with base 0",
                permanent=False,
            )
    if len(states) > MAX_SUBJECTS:
        return Rejected(status=400, seq=0, error=f"more than {MAX_SUBJECTS} subjects")
    return None


def apply_part(connection: Connection, number: int, part: SubjectPart, held: dict[str, SubjectState]) -> bool:
    """Apply or keep aside one part of agent `number`; return whether the subject's rows changed."""
    step, after = advance(held.get(part.subject, SubjectState()), part)
    if step in (Step.REPEAT, Step.MISMATCH):
        return False
    held[part.subject] = after
    if step in (Step.STAGE_ANEW, Step.APPLY):
        _forget(connection, staged_rows, number, part.subject)
    if step is Step.APPLY:
        _apply(connection, number, part, part.put, part.removed)
    else:
        _stage(connection, number, part)
    if step is Step.APPLY_STAGED:
        _apply_staged(connection, number, part)
    values = {
        "agent": number,
        "subject": part.subject,
        "revision": after.revision,
        "coming_base": after.coming_base,
        "coming": after.coming,
    }
    if after.coming:  # the time of the look belongs to rows that are not shown yet
        upsert(connection, subjects, ("agent", "subject"), [values], only_new={"at_ms": part.at_ms})
        return False
    upsert(connection, subjects, ("agent", "subject"), [{**values, "at_ms": part.at_ms}])
    return True


def _apply(
    connection: Connection, number: int, part: SubjectPart, put: Mapping[str, bytes], removed: Sequence[str]
) -> None:
    if part.base == 0:
        _forget(connection, subject_rows, number, part.subject)
        if put:
            connection.execute(insert(subject_rows), _rows(number, part.subject, put))
        return
    if removed:
        gone = _place(subject_rows, number, part.subject) & (subject_rows.c.key == bindparam("gone"))
        connection.execute(delete(subject_rows).where(gone), [{"gone": key} for key in removed])
    if put:
        upsert(connection, subject_rows, ROW_KEYS, _rows(number, part.subject, put))


def _stage(connection: Connection, number: int, part: SubjectPart) -> None:
    rows = _rows(number, part.subject, part.put)
    rows += [{"agent": number, "subject": part.subject, "key": key, "row": None} for key in part.removed]
    if rows:
        upsert(connection, staged_rows, ROW_KEYS, rows)


def _apply_staged(connection: Connection, number: int, part: SubjectPart) -> None:
    place = _place(staged_rows, number, part.subject)
    found = connection.execute(select(staged_rows.c.key, staged_rows.c.row).where(place)).all()
    put = {row.key: row.row for row in found if row.row is not None}
    _apply(connection, number, part, put, [row.key for row in found if row.row is None])
    _forget(connection, staged_rows, number, part.subject)


def _rows(number: int, subject: str, put: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [{"agent": number, "subject": subject, "key": key, "row": row} for key, row in put.items()]


def _place(table: Table, number: int, subject: str) -> ColumnElement[bool]:
    return (table.c.agent == number) & (table.c.subject == subject)


def _forget(connection: Connection, table: Table, number: int, subject: str) -> None:
    connection.execute(delete(table).where(_place(table, number, subject)))
