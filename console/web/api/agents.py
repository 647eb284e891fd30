"""Agents, what they see, the rows of their subjects, and letting one in no more."""

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter

from console.store.records import AgentDetail
from console.web.api.paging import MAX_LIMIT, Limit, page_after
from console.web.api.schemas import AgentDetailShape, AgentPage, CoverageShape, FindingsPage, Revoked, SubjectPage
from console.web.api.shapes import agent_shape, coverage_shape, detail_shape, finding_shape
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.pages_fleet import InState, matches
from console.web.words import iso
from contracts.codec import UNDECODABLE
from contracts.errors import UsageError

TAG = ["agents"]


@get("/agents", tags=TAG, summary="The fleet")
async def agents(
    console: GivenConsole,
    q: FromQuery[str] = "",
    in_state: InState = "",
    limit: Limit = 100,
    cursor: FromQuery[str] = "",
) -> AgentPage:
    """Return agents by name; `q` searches, `state` filters."""
    found = [agent for agent in await console.store.agents(console.now_ms()) if matches(agent, q, in_state)]
    rows, following = page_after(sorted(found, key=lambda agent: agent.id), cursor, limit, lambda agent: agent.id)
    return AgentPage(items=[agent_shape(agent) for agent in rows], next=following)


@get("/agents/{agent:str}", tags=TAG, summary="One agent")
async def agent(console: GivenConsole, agent: FromPath[str]) -> AgentDetailShape:
    """Return one agent with what its last heartbeat said."""
    return detail_shape(await _known(console, agent))


@get("/agents/{agent:str}/coverage", tags=TAG, summary="What one agent sees")
async def coverage(console: GivenConsole, agent: FromPath[str]) -> CoverageShape:
    """Return what an agent can and cannot see, and why."""
    return coverage_shape(await _known(console, agent))


@get("/agents/{agent:str}/subjects/{subject:str}", tags=TAG, summary="The rows of one subject")
async def subject(
    console: GivenConsole,
    agent: FromPath[str],
    subject: FromPath[str],
    limit: Limit = MAX_LIMIT,
    cursor: FromQuery[str] = "",
) -> SubjectPage:
    """Return rows of a subject (`ports`, `firewall` …) by key. 404 means it was never sent, which is not "none"."""
    await _known(console, agent)
    held = await console.store.subject(agent, subject)
    if held is None:
        raise NotFoundException("this agent has not sent this subject, so nothing is known about it")
    rows, following = page_after(sorted(held.rows), cursor, limit, str)
    return SubjectPage(
        agent=agent,
        subject=subject,
        revision=held.revision,
        seen=iso(held.at_ms),
        complete=held.complete,
        total=len(held.rows),
        rows={key: _row(held.rows[key]) for key in rows},
        next=following,
    )


@get("/findings", tags=TAG, summary="What this console found wrong with reports")
async def findings(
    console: GivenConsole, agent: FromQuery[str] = "", only_open: Annotated[bool, QueryParameter(name="open")] = False
) -> FindingsPage:
    """Return findings, newest first."""
    rows = await console.store.findings(agent, open_only=only_open, limit=1000)
    return FindingsPage(items=[finding_shape(row) for row in rows])


@post("/agents/{agent:str}/revoke", tags=TAG, summary="Let an agent in no more", status_code=200)
async def revoke(request: PeopleRequest, console: GivenConsole, agent: FromPath[str]) -> Revoked:
    """Revoke an agent: its certificate stops working, what it reported stays."""
    await _known(console, agent)
    now = console.now_ms()
    changed = await console.store.revoke_agent(agent, now)
    if changed:
        who = session_of(request).who
        await console.store.audit(now, who, "agent.revoked", agent, "by API", address_of(request))
    return Revoked(changed=changed)


HANDLERS: tuple[Any, ...] = (agents, agent, coverage, subject, findings, revoke)


async def _known(console: Console, agent: str) -> AgentDetail:
    detail = await console.store.agent(agent, console.now_ms())
    if detail is None:
        raise NotFoundException("there is no agent with this id")
    return detail


def _row(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNDECODABLE as error:
        raise UsageError(f"a row of this subject is not JSON: {error}") from error
