"""Finding one event again: by its place, which is when it was observed and its number in this console."""

import re

from console.store.interface import FleetStore
from console.store.records import EventRow

PLACE = re.compile(r"([0-9]{1,16})-([0-9]{1,16})")


def place_of(row: EventRow) -> str:
    """Return what an event's address holds."""
    return f"{row.envelope.event.observed_ms}-{row.number}"


async def event_at(store: FleetStore, place: str) -> EventRow | None:
    """Return the event at `place`, or None when there is none (any more)."""
    found = PLACE.fullmatch(place)
    if found is None:
        return None
    row = await store.event(int(found[2]))
    if row is None or row.envelope.event.observed_ms != int(found[1]):
        return None
    return row
