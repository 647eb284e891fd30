"""What a look found, cut into pages of about `PAGE_BYTES`, so that a subject of any size travels in bounded frames."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from contracts.errors import TooLarge
from contracts.event import Event
from contracts.frames import MAX_FRAME, PAGE_BYTES, ReportPage
from contracts.record import Record

_OVERHEAD = 16
"""More than what MessagePack adds to a key and a row."""
_ROOM = MAX_FRAME - PAGE_BYTES - 1024
"""The largest single item: a page is closed by the item that fills it, and must still fit a frame."""


class _Page:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.put: dict[str, bytes] = {}
        self.removed: list[str] = []
        self.size = 0

    def grow(self, what: str, size: int) -> bool:
        """Account for an item; True when the page is full with it."""
        if size > _ROOM:
            raise TooLarge(f"{what} takes {size} bytes, more than the {_ROOM} that travel in one piece")
        self.size += size + _OVERHEAD
        return self.size >= PAGE_BYTES

    def close(self, run: int) -> ReportPage:
        return ReportPage(id=run, events=tuple(self.events), put=self.put, removed=tuple(self.removed))


def report_pages(
    run: int, events: Iterable[Event], put: Mapping[str, Record], removed: Iterable[str]
) -> Iterator[ReportPage]:
    """Yield the pages of run `run`, none when it found nothing new.

    Raises `TooLarge` for an event or row that no frame can carry, and what msgspec raises for one it cannot encode.
    """
    encoder = msgspec.msgpack.Encoder()
    page = _Page()
    for event in events:
        page.events.append(event)
        if page.grow(f"the event {event.kind}", len(encoder.encode(event))):
            yield page.close(run)
            page = _Page()
    for key, row in put.items():
        page.put[key] = body = encoder.encode(row)
        if page.grow(f"the row {key[:80]!r}", len(key.encode()) + len(body)):
            yield page.close(run)
            page = _Page()
    for key in removed:
        page.removed.append(key)
        if page.grow("a removed key", len(key.encode())):
            yield page.close(run)
            page = _Page()
    if page.size:
        yield page.close(run)


def row_pages(rows: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Yield `rows` in pages, at least one (perhaps empty); a row too large to travel is left out, as a worker could not have sent it."""
    page: dict[str, bytes] = {}
    size = 0
    for key, body in rows.items():
        weight = len(key.encode()) + len(body) + _OVERHEAD
        if weight > _ROOM:
            continue
        page[key] = body
        size += weight
        if size >= PAGE_BYTES:
            yield page
            page, size = {}, 0
    yield page
