"""Change notifications within the process: what changed, so that open pages ask again or redraw."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum

from contracts.record import Record


class Topic(StrEnum):
    """What a change is about."""

    AGENT = "agent"
    """An agent's heartbeat, state, coverage or identity."""
    SUBJECT = "subject"
    """Rows of `subject` of an agent."""
    EVENTS = "events"
    """New events of an agent."""
    FINDING = "finding"
    """The console found something about an agent."""
    RESYNC = "resync"
    """This subscriber was too slow and missed changes: read everything anew."""


class Change(Record):
    """One change. `state` is set when an agent's state became another one; `count` is the number of new events."""

    topic: Topic
    agent: str = ""
    subject: str = ""
    state: str = ""
    count: int = 0
    at_ms: int = 0


class Hub:
    """Hands every change to every subscriber; a slow one loses changes and is told so, and slows nobody."""

    def __init__(self, max_waiting: int = 1000) -> None:
        self._max_waiting = max_waiting
        self._subscribers: set[asyncio.Queue[Change | None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish(self, change: Change) -> None:
        """Tell all subscribers; to be called on the event loop's thread."""
        for queue in self._subscribers:
            if queue.qsize() < self._max_waiting:
                queue.put_nowait(change)
                continue
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(Change(topic=Topic.RESYNC, at_ms=change.at_ms))

    async def subscribe(self) -> AsyncIterator[Change]:
        """Yield changes from now on until the hub closes."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        if self._closed:
            return
        self._subscribers.add(queue)
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """End every subscription, so that open streams let the process stop."""
        self._closed = True
        for queue in self._subscribers:
            queue.put_nowait(None)
