"""Live updates: a stream of server-sent events that says what changed, never what it is; the page then asks again."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Stream

from console.hub import Change, Topic
from console.web.context import Console, GivenConsole, PeopleRequest, session_of
from console.web.login_session import digest

COMMENT_EVERY_S = 15.0
GATHER_S = 0.05
"""Changes that come together are told together."""
CALM_S = 0.25
"""Shortest time between two messages of one stream."""
LIFETIME_S = 3600.0
RETRY_MS = 2000


@get("/live", include_in_schema=False)
async def live(request: PeopleRequest, console: GivenConsole, agent: FromQuery[str] = "") -> Response[bytes] | Stream:
    """Tell what changes, of one agent or of all, until the page is closed or the login ends."""
    user = session_of(request).user
    if console.streams.full(user):
        return Response(
            b"too many pages are open; close some\n",
            status_code=503,
            media_type="text/plain",
            headers={"retry-after": "10"},
        )
    stream = _stream(console, user, request.auth, agent)
    return Stream(
        stream, media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


def topics_of(change: Change) -> set[str]:
    """Return the names under which regions of a page ask to hear of `change`."""
    if change.topic is Topic.RESYNC:
        return {"*"}
    names = {change.topic.value}
    if change.subject:
        names.add(f"{change.topic.value}:{change.subject}")
    return names


def concerns(change: Change, agent: str) -> bool:
    """Say whether a page about `agent` (all when empty) has anything to do with `change`."""
    return not agent or not change.agent or change.agent == agent


async def _stream(console: Console, user: str, secret: str, agent: str) -> AsyncIterator[bytes]:
    waiting: set[str] = set()
    wake = asyncio.Event()
    pump = asyncio.create_task(_pump(console, agent, waiting, wake))
    console.streams.opened(user)
    clock = asyncio.get_running_loop().time
    ends = clock() + LIFETIME_S
    check = clock() + COMMENT_EVERY_S
    try:
        await asyncio.sleep(
            0
        )  # the pump subscribes before the page hears that it is connected and asks for what it missed
        yield f"retry: {RETRY_MS}\n: connected\n\n".encode()
        while clock() < ends and not pump.done():
            if clock() >= check:
                if await console.store.session(digest(secret), console.now_ms()) is None:
                    yield b"event: ended\ndata: {}\n\n"
                    return
                yield b": still here\n\n"
                check = clock() + COMMENT_EVERY_S
            if not await _woken(wake, check - clock()):
                continue
            await asyncio.sleep(GATHER_S)
            wake.clear()
            if waiting:
                body = msgspec.json.encode({"topics": sorted(waiting)})
                waiting.clear()
                yield b"event: changed\ndata: " + body + b"\n\n"
                await asyncio.sleep(CALM_S)
    finally:
        console.streams.closed(user)
        pump.cancel()


async def _pump(console: Console, agent: str, waiting: set[str], wake: asyncio.Event) -> None:
    async for change in console.hub.subscribe():
        if concerns(change, agent):
            waiting |= topics_of(change)
            wake.set()
    wake.set()


async def _woken(wake: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(wake.wait(), max(0.0, timeout_s))
    except TimeoutError:
        return False
    return True
