"""The store in SQL: SQLite today; its statements are portable, so another database needs an engine and a run of the conformance suite."""

from pathlib import Path

from sqlalchemy import Connection, delete, func, select

from console.store.engine import HEAD, open_engines
from console.store.records import StoreHealth
from console.store.schema import agents, event_counts, events, links, presence, sessions
from console.store.sql_accounts import SqlAccounts
from console.store.sql_api_tokens import SqlApiTokens
from console.store.sql_events import SqlEvents
from console.store.sql_fleet import SqlFleet
from console.store.sql_identities import SqlIdentities
from console.store.sql_reports import SqlReports
from console.store.writer import Group

PRUNE_AT_ONCE = 5000
"""Rows deleted per transaction, so that reports do not wait long behind it."""


class SqlStore(SqlReports, SqlFleet, SqlEvents, SqlIdentities, SqlAccounts, SqlApiTokens):
    """Implements `console.store.interface.Store`."""

    async def health(self) -> StoreHealth:
        """Say how the store is."""

        def work(connection: Connection) -> StoreHealth:
            newest = connection.execute(select(func.max(events.c.number))).scalar() or 0
            oldest = connection.execute(select(func.min(events.c.number))).scalar() or newest + 1
            return StoreHealth(
                kind=connection.dialect.name,
                version=HEAD,
                bytes=self._bytes(),
                agents=connection.execute(select(func.count()).select_from(agents)).scalar_one(),
                events=newest - oldest + 1,  # numbers run on and the oldest go first, so no count over all rows
                waiting=self._writer.waiting,
                commit_ms=self._writer.commit_ms(),
                group=self._writer.group_size(),
            )

        return await self.read(work)

    async def prune(self, events_before_ms: int, presence_before_ms: int, now_ms: int) -> int:
        """Forget what retention no longer keeps."""
        gone = 0
        while True:
            removed = await self.write(lambda group: _prune_events(group, events_before_ms))
            gone += removed
            if removed < PRUNE_AT_ONCE:
                break

        def rest(group: Group) -> None:
            group.connection.execute(delete(presence).where(presence.c.hour_ms < presence_before_ms))
            group.connection.execute(delete(event_counts).where(event_counts.c.hour_ms < presence_before_ms))
            group.connection.execute(delete(sessions).where(sessions.c.expires_ms <= now_ms))
            group.connection.execute(delete(links).where(links.c.expires_ms <= now_ms))

        await self.write(rest)
        return gone

    def _bytes(self) -> int:
        name = self._writing.url.database
        if not name:
            return 0
        files = [Path(name), Path(f"{name}-wal")]
        return sum(file.stat().st_size for file in files if file.exists())


def _prune_events(group: Group, before_ms: int) -> int:
    """Delete some of the oldest events; numbers grow with the time of arrival, so only what is old is looked at."""
    kept = select(events.c.number).where(events.c.received_ms >= before_ms).order_by(events.c.number).limit(1)
    first_kept = group.connection.execute(kept).scalar()
    old = select(events.c.number).order_by(events.c.number).limit(PRUNE_AT_ONCE)
    old = old.where(events.c.number < first_kept) if first_kept is not None else old
    return group.connection.execute(delete(events).where(events.c.number.in_(old))).rowcount


def open_sqlite(path: Path, grace_s: float) -> SqlStore:
    """Open the SQLite file at `path`, making it or bringing its schema up to date; raises `NewerData` and `HoldfastError`."""
    writing, reading = open_engines(path)
    return SqlStore(writing, reading, grace_s)
