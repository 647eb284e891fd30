"""Reading events: filters and pages."""

from typing import Any

from sqlalchemy import Row, Select, and_, or_, select

from console.chains import ENVELOPES
from console.store.database import MAX_NUMBER, Database
from console.store.records import EventFilter, EventPage, EventRow
from console.store.schema import LANES, agents, events
from contracts.errors import UsageError

MAX_PAGE = 1000


class SqlEvents(Database):
    """The part of the store that shows events."""

    async def events(self, wanted: EventFilter, limit: int = 50, cursor: str = "") -> EventPage:
        """Return a page of events, newest observed first."""
        limit = max(1, min(limit, MAX_PAGE))
        query = _filtered(wanted)
        if cursor:
            at, number = _place(cursor)
            query = query.where(
                or_(events.c.observed_ms < at, and_(events.c.observed_ms == at, events.c.number < number))
            )
        query = query.order_by(events.c.observed_ms.desc(), events.c.number.desc()).limit(limit + 1)
        rows = await self.read(lambda connection: connection.execute(query).all())
        shown = rows[:limit]
        return EventPage(
            events=tuple(_event(row) for row in shown),
            next=f"{shown[-1].observed_ms}-{shown[-1].number}" if len(rows) > limit else "",
        )

    async def event(self, number: int) -> EventRow | None:
        """Return the event with this number."""
        if not 0 < number <= MAX_NUMBER:
            return None
        query = _SHOWN.where(events.c.number == number)
        row = await self.read(lambda connection: connection.execute(query).first())
        return _event(row) if row is not None else None


_SHOWN: Select[Any] = select(
    events.c.number, events.c.observed_ms, events.c.received_ms, events.c.body, agents.c.hostname
).join(agents, events.c.agent == agents.c.number)


def _event(row: Row[Any]) -> EventRow:
    return EventRow(
        number=row.number,
        hostname=row.hostname,
        received_ms=row.received_ms,
        envelope=ENVELOPES.decode(row.body),
    )


def _filtered(wanted: EventFilter) -> Select[Any]:
    query = _SHOWN
    if wanted.agent:
        query = query.where(agents.c.id == wanted.agent)
    if wanted.kind.endswith("."):
        query = query.where(events.c.kind.startswith(wanted.kind, autoescape=True))
    elif wanted.kind:
        query = query.where(events.c.kind == wanted.kind)
    if wanted.severity_min:
        query = query.where(events.c.severity >= wanted.severity_min)
    if wanted.lane is not None:
        query = query.where(events.c.lane == LANES[wanted.lane])
    if wanted.since_ms:
        query = query.where(events.c.observed_ms >= wanted.since_ms)
    if wanted.until_ms:
        query = query.where(events.c.observed_ms < wanted.until_ms)
    if wanted.text:
        query = query.where(events.c.text.contains(wanted.text.lower(), autoescape=True))
    return query


def _place(cursor: str) -> tuple[int, int]:
    at, _, number = cursor.partition("-")
    if not (at.isascii() and at.isdigit() and number.isascii() and number.isdigit() and len(cursor) < 40):
        raise UsageError(f"{cursor[:60]!r} is not a cursor", advice="use the one that came with the page before")
    return min(int(at), MAX_NUMBER), min(int(number), MAX_NUMBER)
