"""Finding one event again: by its place, which is when it was observed and its number in this console."""

import re

from console.store.interface import FleetStore
from console.store.records import EventFilter, EventRow

PLACE = re.compile(r"([0-9]{1,16})-([0-9]{1,16})")
_PAGE = 500
_MOST_PAGES = 40


def place_of(row: EventRow) -> str:
    """Return what an event's address holds."""
    return f"{row.envelope.event.observed_ms}-{row.number}"


async def event_at(store: FleetStore, place: str) -> EventRow | None:
    """Return the event at `place`, or None when there is none (any more)."""
    found = PLACE.fullmatch(place)
    if found is None:
        return None
    at, number = int(found[1]), int(found[2])
    wanted = EventFilter(since_ms=at, until_ms=at + 1)
    cursor = ""
    for _ in range(_MOST_PAGES):
        page = await store.events(wanted, limit=_PAGE, cursor=cursor)
        for row in page.events:
            if row.number == number and row.envelope.event.observed_ms == at:
                return row
        cursor = page.next
        if not cursor:
            return None
    return None
