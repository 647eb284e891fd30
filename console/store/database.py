"""What the SQL implementations share: reads in threads, writes through the one writer, and what is remembered between transactions."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from console.chains import Head
from console.store.records import FindingKind
from console.store.schema import LANE_NAMES, agents, findings, lanes, meta, subjects
from console.store.subject_state import SubjectState
from console.store.writer import Group, Writer
from contracts.errors import Unreachable
from contracts.event import Lane

T = TypeVar("T")

IDENTITIES = "identities"
MAX_TEXT = 1000
MAX_NUMBER = 2**63 - 1
"""The largest whole number that every database takes."""
READERS = 4
LOAD_AT_ONCE = 500
"""Agents whose state is read together, the first time one of them reports."""


@dataclass
class Held:
    """What is held of one agent: lane heads, subjects, lanes with an open gap, the last minute its presence was noted."""

    lanes: dict[Lane, Head] = field(default_factory=dict)
    subjects: dict[str, SubjectState] = field(default_factory=dict)
    gaps: set[Lane] = field(default_factory=set)
    minute: int = 0

    def copy(self) -> "Held":
        """Return a copy to work on within a transaction."""
        return Held(lanes=dict(self.lanes), subjects=dict(self.subjects), gaps=set(self.gaps), minute=self.minute)

    def sequences(self) -> dict[Lane, int]:
        """Return the last number held per lane."""
        return {lane: head.seq for lane, head in self.lanes.items()}

    def revisions(self) -> dict[str, int]:
        """Return the revision held per subject."""
        return {name: state.revision for name, state in self.subjects.items()}


@dataclass(frozen=True)
class Known:
    """An agent by its number in the database."""

    number: int
    revoked: bool


class Database:
    """Connections, threads and memory. One process writes to a database; others (the command line) may change identities and people.

    `grace_s` is how long after lateness an agent counts as down.
    """

    def __init__(self, writing: Engine, reading: Engine, grace_s: float) -> None:
        self._reading = reading
        self._writing = writing
        self._grace_s = grace_s
        self._known: dict[str, Known] = {}
        self._known_version = -1
        self._held: dict[int, Held] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer = Writer(writing, self._prepare, self._flush, self._committed)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reading transaction on a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Callable[[Group], T]) -> T:
        """Run `work` in the next group of writes; returns once it is durable."""
        return await self._writer.do(work)

    async def close(self) -> None:
        """Finish the writes under way and close."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.close)
        await loop.run_in_executor(None, self._readers.shutdown)
        self._reading.dispose()
        self._writing.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._reading.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise Unreachable(f"the store cannot be read: {cause}", advice="check the database and its disk") from error

    def _prepare(self, group: Group) -> None:
        """Notice who was enrolled or revoked since the last group, by this process or another."""
        version = identities_version(group.connection)
        if version == self._known_version:
            return
        found = group.connection.execute(select(agents.c.id, agents.c.number, agents.c.revoked_ms))
        self._known = {row.id: Known(row.number, bool(row.revoked_ms)) for row in found}
        self._known_version = version

    def _flush(self, group: Group) -> None:
        """Write what the jobs of a group left to be written at once."""
        for step in list(group.later.values()):
            step.write(group.connection)

    def _committed(self, group: Group) -> None:
        self._held.update(group.overlay)

    def _holding(self, group: Group, number: int) -> Held:
        """Return what is held of an agent, to be changed within this group only."""
        if number not in group.overlay:
            if number not in self._held:
                self._remember_some(group.connection, number)
            group.overlay[number] = self._held[number].copy()
        result: Held = group.overlay[number]
        return result

    def _remember_some(self, connection: Connection, number: int) -> None:
        """Read what is held of an agent and of others not asked for yet: a fleet that comes back comes all at once.

        Whose number is neither held nor in a group's overlay has nothing written that is not committed.
        """
        others = (known.number for known in self._known.values() if known.number not in self._held)
        numbers = {number, *islice(others, LOAD_AT_ONCE)}
        self._held.update(_load(connection, numbers))


def upsert(
    connection: Connection,
    table: Table,
    keys: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    only_new: Mapping[str, Any] | None = None,
) -> None:
    """Insert rows, or overwrite the ones with the same keys; the values `only_new` are for rows that were not there."""
    statement = _insert(connection, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    values = [{**row, **only_new} for row in rows] if only_new else list(rows)
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), values)


def upsert_adding(connection: Connection, table: Table, column: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or add to `column` of the ones with the same primary key."""
    statement = _insert(connection, table)
    added = {column: table.c[column] + statement.excluded[column]}
    keys = [key.name for key in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=added), list(rows))


def upsert_bits(connection: Connection, table: Table, column: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or set further bits in `column` of the ones with the same primary key."""
    statement = _insert(connection, table)
    combined = {column: table.c[column].bitwise_or(statement.excluded[column])}
    keys = [key.name for key in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=combined), list(rows))


def clean(text: str) -> str:
    """Return text that every database takes, bounded."""
    return text[:MAX_TEXT].replace("\0", "\\x00")


def identities_changed(connection: Connection) -> None:
    """Let every process know that who may connect has changed."""
    upsert_adding(connection, meta, "number", [{"name": IDENTITIES, "number": 1}])


def number_of(connection: Connection, agent: str) -> int | None:
    """Return an agent's number in the database."""
    return connection.execute(select(agents.c.number).where(agents.c.id == agent)).scalar()


def identities_version(connection: Connection) -> int:
    """Return a number that grows whenever who may connect changes."""
    return connection.execute(select(meta.c.number).where(meta.c.name == IDENTITIES)).scalar() or 0


def _insert(connection: Connection, table: Table) -> Any:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # its drivers' modules cost a tenth of a second

        return postgresql.insert(table)
    return sqlite.insert(table)


def _load(connection: Connection, numbers: Collection[int]) -> dict[int, Held]:
    found = {number: Held() for number in numbers}
    for row in connection.execute(select(lanes).where(lanes.c.agent.in_(numbers))):
        found[row.agent].lanes[LANE_NAMES[row.lane]] = Head(seq=row.seq, chain=row.chain)
    for row in connection.execute(select(subjects).where(subjects.c.agent.in_(numbers))):
        state = SubjectState(revision=row.revision, coming_base=row.coming_base, coming=row.coming)
        found[row.agent].subjects[row.subject] = state
    gaps = select(findings.c.agent, findings.c.lane).where(
        findings.c.agent.in_(numbers) & (findings.c.kind == FindingKind.GAP.value) & (findings.c.acknowledged_ms == 0)
    )
    for row in connection.execute(gaps):
        if row.lane is not None:
            found[row.agent].gaps.add(LANE_NAMES[row.lane])
    return found
