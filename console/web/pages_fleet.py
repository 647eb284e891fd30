"""The first page: every server with its state, its last heartbeat, what it sees, its firewall and what needs attention."""

from collections import Counter
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter

from console.store.interface import Store
from console.store.records import Agent, AgentDetail
from console.web import words
from console.web.context import GivenConsole, PeopleRequest
from console.web.drawing import draw
from console.web.firewall_view import backend_words, firewall_view
from console.web.sight_view import current, sight_of
from contracts.subjects import firewall, ports

PAGE = 50
InState = Annotated[str, QueryParameter(name="state", description="Only agents in this state.")]
"""Litestar keeps the plain name `state` for itself."""
ORDERS = (
    ("state", "worst first"),
    ("name", "name"),
    ("heartbeat", "longest silent first"),
    ("events", "most severe events"),
)
_RANK = {name: rank for rank, name in enumerate(words.STATE_ORDER)}


class FleetRow(NamedTuple):
    """One line of the table."""

    agent: Agent
    sign: words.Sign
    sight: str
    sight_tone: str
    sight_icon: str
    firewall: str
    firewall_more: str
    ports: str
    attention: tuple[tuple[str, str, str], ...]


@get("/", include_in_schema=False)
async def fleet(
    request: PeopleRequest,
    console: GivenConsole,
    q: FromQuery[str] = "",
    in_state: InState = "",
    sort: FromQuery[str] = "state",
    page: FromQuery[int] = 1,
) -> Response[str]:
    """Show the fleet, searched, filtered, ordered and paged."""
    agents = await console.store.agents(console.now_ms())
    wanted = ordered([agent for agent in agents if matches(agent, q, in_state)], sort)
    page = max(1, min(page, -(-len(wanted) // PAGE) or 1))
    rows = [await _row(console.store, agent, console.now_ms()) for agent in wanted[(page - 1) * PAGE : page * PAGE]]
    tally = Counter(agent.state.value for agent in agents)
    query = {"q": q, "state": in_state, "sort": sort}
    return draw(
        request,
        "fleet.html",
        live="/live",
        total=len(agents),
        counts=[(name, tally[name]) for name in words.STATE_ORDER if tally[name]],
        rows=rows,
        q=q,
        state=in_state,
        sort=sort,
        orders=ORDERS,
        previous=_link(query, page - 1) if page > 1 else "",
        following=_link(query, page + 1) if page * PAGE < len(wanted) else "",
    )


def matches(agent: Agent, text: str, state: str) -> bool:
    """Say whether `agent` has every word of `text` somewhere and is in `state` (any when empty)."""
    if state and agent.state.value != state:
        return False
    where = " ".join((agent.name, agent.hostname, agent.id, agent.os_name, agent.kernel, agent.version)).casefold()
    return all(word in where for word in text.casefold().split())


def ordered(agents: list[Agent], sort: str) -> list[Agent]:
    """Return `agents` in the order asked for; equal ones by name."""
    by_name = sorted(agents, key=lambda agent: agent.name.casefold())
    if sort == "heartbeat":
        return sorted(by_name, key=lambda agent: agent.heartbeat_ms)
    if sort == "events":
        return sorted(by_name, key=lambda agent: -agent.severe_24h)
    if sort == "name":
        return by_name
    return sorted(by_name, key=lambda agent: _RANK.get(agent.state.value, 0))


def attention(agent: Agent) -> tuple[tuple[str, str, str], ...]:
    """Return what asks for a person: text, tone and icon of each."""
    out = []
    if agent.problems:
        out.append(
            (words.plural(agent.problems, "finding about its reports", "findings about its reports"), "bad", "degraded")
        )
    if agent.severe_24h:
        out.append(
            (words.plural(agent.severe_24h, "severe event in 24 hours", "severe events in 24 hours"), "bad", "sev-high")
        )
    if agent.lost:
        out.append((words.plural(agent.lost, "event lost", "events lost"), "warn", "degraded"))
    if agent.sights.workers_down:
        out.append((words.plural(agent.sights.workers_down, "worker down", "workers down"), "warn", "down"))
    return tuple(out)


async def _row(store: Store, agent: Agent, now_ms: int) -> FleetRow:
    detail = await store.agent(agent.id, now_ms)
    sight, tone, icon = _sight(agent, now_ms)
    fire, more = await _firewall(store, detail) if detail else ("not known", "")
    return FleetRow(
        agent, words.state_sign(agent.state.value), sight, tone, icon, fire, more, _ports(detail), attention(agent)
    )


def _sight(agent: Agent, now_ms: int) -> tuple[str, str, str]:
    sights = agent.sights
    total = sights.seen + sights.partial + sights.unseen + sights.unknown
    if not agent.heartbeat_ms or not total:
        return "not known yet", "", "unproven"
    if not current(agent):
        return f"nothing seen for {words.duration((now_ms - agent.heartbeat_ms) / 1000)}", "warn", "blind"
    if sights.seen == total:
        return f"all {total} seen", "", "eye"
    return f"{sights.seen} of {total} wholly seen", "warn" if sights.blind else "", "blind"


def _ports(detail: AgentDetail | None) -> str:
    sight = sight_of(detail.coverage, ports.SUBJECT) if detail else None
    if sight is None or sight.state == "unknown":
        return "not looked yet"
    return "not seen" if sight.state == "unseen" else words.plural(sight.rows, "port")


async def _firewall(store: Store, detail: AgentDetail) -> tuple[str, str]:
    revision = detail.agent.subjects.get(firewall.SUBJECT, 0)
    if not revision:
        sight = sight_of(detail.coverage, firewall.SUBJECT)
        return ("not seen", "") if sight and sight.state == "unseen" else ("not looked yet", "")
    known = _SUMMARIES.get((detail.agent.id, revision))
    if known is None:
        view = firewall_view(detail, await store.subject(detail.agent.id, firewall.SUBJECT))
        rules = words.plural(view.summary.rules, "rule") if view.summary else "rules not known"
        more = f"IPv4 {view.sign4.word.lower()}, IPv6 {view.sign6.word.lower()}" if view.summary else ""
        known = (f"{backend_words(view.summary)}, {rules}", more)
        if len(_SUMMARIES) > 5000:
            _SUMMARIES.clear()
        _SUMMARIES[detail.agent.id, revision] = known
    return known


_SUMMARIES: dict[tuple[str, int], tuple[str, str]] = {}
"""The firewall column by agent and revision: reading ten thousand rules for one line of a table is done once per change."""


def _link(query: dict[str, str], page: int) -> str:
    return "/?" + urlencode({name: value for name, value in query.items() if value} | {"page": str(page)})
