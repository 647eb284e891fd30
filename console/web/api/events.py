"""Events of the fleet."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter

from console.store.records import EventFilter
from console.web.api.paging import Limit
from console.web.api.schemas import EventDetailShape, EventsPage
from console.web.api.shapes import event_shape
from console.web.context import GivenConsole
from console.web.lookup import event_at
from console.web.ocsf_view import as_ocsf

TAG = ["events"]


@get("/events", tags=TAG, summary="Events, newest first")
async def events(
    console: GivenConsole,
    agent: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    q: FromQuery[str] = "",
    severity_min: Annotated[int, QueryParameter(ge=0, le=6)] = 0,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str] = "",
) -> EventsPage:
    """Return events; `kind` with a trailing dot means every kind of that subject, `q` searches keys, kinds and fields."""
    wanted = EventFilter(
        agent=agent,
        kind=kind,
        severity_min=severity_min,
        since_ms=_ms(since),
        until_ms=_ms(until),
        text=q,
    )
    page = await console.store.events(wanted, limit=limit, cursor=cursor)
    return EventsPage(items=[event_shape(row) for row in page.events], next=page.next)


@get("/events/{event:str}", tags=TAG, summary="One event, also as OCSF")
async def event(console: GivenConsole, event: FromPath[str]) -> EventDetailShape:
    """Return one event by the place that `href` names."""
    row = await event_at(console.store, event)
    if row is None:
        raise NotFoundException("there is no event here; it may be older than this console keeps events")
    return EventDetailShape(event=event_shape(row), ocsf=as_ocsf(row)[1])


HANDLERS: tuple[Any, ...] = (events, event)


def _ms(when: datetime | None) -> int:
    """Return Unix ms; a time without a zone is in UTC, as all times of this console."""
    if when is None:
        return 0
    return max(0, int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000))
