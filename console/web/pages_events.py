"""Events of the whole fleet with filters and pages, and the page of one event."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from console.store.records import EventFilter, EventPage
from console.web.charts import severity_chart
from console.web.context import GivenConsole, PeopleRequest
from console.web.drawing import draw
from console.web.events_view import event_view
from console.web.lookup import event_at
from console.web.ocsf_view import as_ocsf
from contracts.errors import UsageError

DAY_MS = 86_400_000
SPANS = (
    ("", "ever"),
    ("1h", "the last hour"),
    ("1d", "the last day"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
)
_SPAN_MS = {"1h": DAY_MS // 24, "1d": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS}


class Wanted(NamedTuple):
    """What the form asks for."""

    q: str
    kind: str
    severity: int
    agent: str
    since: str


@get("/events", include_in_schema=False)
async def events(
    request: PeopleRequest,
    console: GivenConsole,
    q: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    severity: FromQuery[int] = 0,
    agent: FromQuery[str] = "",
    since: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> Response[str]:
    """Show events, newest first."""
    now = console.now_ms()
    wanted = Wanted(q[:200], kind[:200], severity, agent[:64], since)
    problem = ""
    page = EventPage(events=())
    try:
        page = await console.store.events(_filter(wanted, now), cursor=cursor)
    except UsageError as error:
        problem = f"{error.message}. {error.advice}"
    start = now - DAY_MS
    chart, said = severity_chart(await console.store.event_counts(start, wanted.agent), start, now)
    query = {name: str(value) for name, value in wanted._asdict().items() if value}
    return draw(
        request,
        "events.html",
        live="/live" + (f"?{urlencode({'agent': wanted.agent})}" if wanted.agent else ""),
        wanted=wanted,
        filtered=bool(query),
        spans=SPANS,
        agents=await console.store.agents(now),
        events=[event_view(row) for row in page.events],
        chart=chart,
        chart_summary=said,
        problem=problem,
        newest=f"/events?{urlencode(query)}" if cursor else "",
        following=f"/events?{urlencode(query | {'cursor': page.next})}" if page.next else "",
    )


@get("/events/{event:str}", include_in_schema=False)
async def event_page(request: PeopleRequest, console: GivenConsole, event: FromPath[str]) -> Response[str]:
    """Show one event with everything that is known of it."""
    row = await event_at(console.store, event)
    if row is None:
        raise NotFoundException("there is no event here; it may be older than this console keeps events")
    title, document = as_ocsf(row)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    return draw(request, "event.html", event=event_view(row), json=text, json_title=title)


HANDLERS: tuple[Any, ...] = (events, event_page)


def _filter(wanted: Wanted, now_ms: int) -> EventFilter:
    span = _SPAN_MS.get(wanted.since, 0)
    return EventFilter(
        agent=wanted.agent,
        kind=wanted.kind,
        severity_min=max(0, min(wanted.severity, 6)),
        since_ms=now_ms - span if span else 0,
        text=wanted.q,
    )
