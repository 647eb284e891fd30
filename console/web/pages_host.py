"""The page of one server, its firewall page, and the few things one may do about a server."""

from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from console.store.records import AgentDetail, EventFilter, EventRow, Finding, FindingKind
from console.web import words
from console.web.antivirus_view import antivirus_view
from console.web.backup_view import backup_view
from console.web.charts import presence_chart
from console.web.context import Console, GivenConsole, PeopleRequest, address_of, session_of
from console.web.drawing import draw
from console.web.events_view import event_view
from console.web.exposure_view import exposure_view
from console.web.finding_words import FINDINGS, advice
from console.web.firewall_view import firewall_view, ruleset
from console.web.forms import field
from console.web.integrity_view import TRANSACTION, UNPROVED, UNTRUSTED, ChallengeView, challenge_view, integrity_view
from console.web.policy_view import policy_view
from console.web.ports_view import ports_view
from console.web.sight_view import coverage_view
from console.web.traffic_view import traffic_view
from contracts.errors import HoldfastError
from contracts.event import Severity
from contracts.outcome import Failed, Ok, Run, Unavailable
from contracts.subjects import (
    antivirus,
    backup,
    exposure,
    firewall,
    holdings,
    integrity,
    policy,
    policy_drift,
    ports,
    traffic,
)

DAY_MS = 86_400_000
OK = words.Sign("ok", "up", "good", "")
BLIND = words.Sign("could not look", "blind", "warn", "")
BROKE = words.Sign("failed", "down", "bad", "")
UNREADABLE = words.Sign("Not known", "blind", "bad", "What this console remembers of its challenges cannot be read.")


class FindingView(NamedTuple):
    """One finding in words."""

    number: int
    word: str
    meaning: str
    detail: str
    first_ms: int
    last_ms: int
    times: int


class LaneView(NamedTuple):
    """One lane: what arrived, what waits, what was lost."""

    name: str
    held: str
    waiting: str
    lost: int


class RunView(NamedTuple):
    """One line of the ledger in words."""

    name: str
    sign: words.Sign
    detail: str
    started_ms: int
    rows: int
    wall: str
    cpu: str
    peak: str


@get("/agents/{agent:str}", include_in_schema=False)
async def host(request: PeopleRequest, console: GivenConsole, agent: FromPath[str]) -> Response[str]:
    """Show one server."""
    now = console.now_ms()
    detail = await _known(console, agent)
    store = console.store
    page = await store.events(EventFilter(agent=agent), limit=25)
    since = now - DAY_MS
    chart, said = presence_chart(await store.presence(agent, since), since, detail.agent.enrolled_ms, now)
    return draw(
        request,
        "host.html",
        live=f"/live?agent={agent}",
        agent=detail.agent,
        sign=words.state_sign(detail.agent.state.value),
        advice=advice(detail.agent),
        heartbeat=detail.heartbeat,
        skew=_skew(detail.agent.skew_ms),
        certificate=_certificate(detail.agent.certificate_ends_ms, now),
        findings=[_finding(row) for row in await store.findings(agent, open_only=True)],
        coverage=coverage_view(detail),
        firewall=firewall_view(detail, await store.subject(agent, firewall.SUBJECT)),
        exposure=exposure_view(detail, await store.subject(agent, exposure.SUBJECT)),
        policy=policy_view(
            detail, await store.subject(agent, policy.SUBJECT), await store.subject(agent, policy_drift.SUBJECT)
        ),
        ports=ports_view(detail, await store.subject(agent, ports.SUBJECT)),
        traffic=traffic_view(detail, await store.subject(agent, traffic.SUBJECT)),
        backups=backup_view(
            detail,
            await store.subject(agent, backup.SUBJECT),
            await store.subject(agent, backup.STATES),
            await store.subject(agent, holdings.GAPS),
        ),
        antivirus=antivirus_view(
            detail,
            await store.subject(agent, antivirus.SUBJECT),
            await store.subject(agent, antivirus.RUNS),
            await store.subject(agent, antivirus.STATES),
        ),
        integrity=integrity_view(
            detail,
            await store.subject(agent, integrity.SUBJECT),
            await _file_changes(console, agent),
            now,
            await _challenge(console, agent, now),
        ),
        events=[event_view(row) for row in page.events],
        uptime={"chart": chart, "summary": said},
        lanes=_lanes(detail),
        losses=await store.losses(agent, limit=10),
        chain=await _chain(console, agent),
        runs=[_run(run) for run in _last_runs(detail)],
    )


@get("/agents/{agent:str}/firewall", include_in_schema=False)
async def rules(request: PeopleRequest, console: GivenConsole, agent: FromPath[str]) -> Response[str]:
    """Show the rules of one server's firewall as a tree."""
    detail = await _known(console, agent)
    subject = await console.store.subject(agent, firewall.SUBJECT)
    tables, shown, total, unread = ruleset(subject) if subject else ((), 0, 0, "")
    view = firewall_view(detail, subject)
    return draw(
        request,
        "firewall.html",
        live=f"/live?agent={agent}",
        agent=detail.agent,
        firewall=view._replace(dated=" ".join(part for part in (view.dated, unread) if part)),
        tables=tables,
        shown=shown,
        total=total,
        cut=shown < total,
    )


@post("/agents/{agent:str}/name", include_in_schema=False)
async def rename(request: PeopleRequest, console: GivenConsole, agent: FromPath[str]) -> Redirect:
    """Give a server another name on these pages."""
    name = (await field(request, "name", 100)).strip()
    if name and await console.store.rename_agent(agent, name):
        await _audit(request, console, "agent.renamed", agent, f"to {name}")
    return Redirect(f"/agents/{agent}", status_code=303)


@post("/agents/{agent:str}/revoke", include_in_schema=False)
async def revoke(request: PeopleRequest, console: GivenConsole, agent: FromPath[str]) -> Redirect:
    """Let an agent in no more."""
    if await console.store.revoke_agent(agent, console.now_ms()):
        await _audit(request, console, "agent.revoked", agent)
    return Redirect(f"/agents/{agent}", status_code=303)


@post("/findings/{number:int}/acknowledge", include_in_schema=False)
async def acknowledge(request: PeopleRequest, console: GivenConsole, number: FromPath[int]) -> Redirect:
    """Close a finding, in one's own name."""
    who = session_of(request).who
    agent = await field(request, "agent", 64)
    if await console.store.acknowledge_finding(number, who, console.now_ms()):
        await _audit(request, console, "finding.acknowledged", f"finding:{number}", agent)
    known = agent and await console.store.agent(agent, console.now_ms())
    return Redirect(f"/agents/{agent}" if known else "/", status_code=303)


HANDLERS: tuple[Any, ...] = (host, rules, rename, revoke, acknowledge)


async def _known(console: Console, agent: str) -> AgentDetail:
    detail = await console.store.agent(agent, console.now_ms())
    if detail is None:
        raise NotFoundException("there is no server with this id")
    return detail


async def _file_changes(console: Console, agent: str) -> list[EventRow]:
    """Return the latest events about watched files; runs of package tools and a baseline in doubt are not crowded out by the rest."""
    low = EventFilter(agent=agent, kind="integrity.", severity_min=Severity.LOW)
    wanted = [(low, 15), *((EventFilter(agent=agent, kind=kind), 5) for kind in (TRANSACTION, UNPROVED))]
    wanted.append((EventFilter(agent=agent, kind=UNTRUSTED), 1))
    return [row for each, limit in wanted for row in (await console.store.events(each, limit=limit)).events]


async def _challenge(console: Console, agent: str, now: int) -> ChallengeView | None:
    """Return how the last challenge ended."""
    challenges = console.challenges
    if challenges is None:
        return None
    try:
        return challenge_view(await challenges.standing(agent), challenges.settings.every, now)
    except (HoldfastError, OSError) as error:
        return ChallengeView(UNREADABLE, str(error), 0, 0)


async def _audit(request: PeopleRequest, console: Console, what: str, about: str, detail: str = "") -> None:
    who = session_of(request).who
    await console.store.audit(console.now_ms(), who, what, about, detail, address_of(request))


def _finding(row: Finding) -> FindingView:
    word, meaning = FINDINGS.get(row.kind, (FindingKind(row.kind).value, ""))
    where = f"lane {row.lane.value}, number {row.seq}" if row.lane else ""
    detail = "; ".join(part for part in (where, row.detail) if part)
    return FindingView(row.number, word, meaning, detail, row.first_ms, row.last_ms, row.count)


def _lanes(detail: AgentDetail) -> list[LaneView]:
    if detail.heartbeat is None:
        return []
    return [
        LaneView(
            name=lane.lane.value,
            held=str(detail.lanes[lane.lane]) if lane.lane in detail.lanes else "nothing yet",
            waiting=f"{lane.waiting:,} ({words.size(lane.bytes)})" if lane.waiting else "none",
            lost=lane.lost,
        )
        for lane in detail.heartbeat.lanes
    ]


async def _chain(console: Console, agent: str) -> str:
    broken = [
        row
        for row in await console.store.findings(agent)
        if row.kind in (FindingKind.CHAIN, FindingKind.CONFLICT, FindingKind.GAP, FindingKind.NEW_EPOCH)
    ]
    if not broken:
        return "Every record is verified against its lane's hash chain when it arrives; no break was found."
    last = max(row.last_ms for row in broken)
    return f"{words.plural(len(broken), 'break')} of a hash chain found so far, the last one {words.moment(last)}."


def _last_runs(detail: AgentDetail) -> list[Run]:
    """Return the last run of each collector and judge that the heartbeat lists, by name; a heartbeat lists all since the one before."""
    runs = detail.heartbeat.runs if detail.heartbeat else ()
    last = {run.name: run for run in sorted(runs, key=lambda run: run.started_ms)}
    return [last[name] for name in sorted(last)]


def _run(run: Run) -> RunView:
    match run.outcome:
        case Ok():
            sign, detail = OK, ""
        case Unavailable(why=why, detail=text, fix=fix):
            sign = BLIND
            detail = "; ".join(part for part in (words.why_words(why.value), text, fix) if part)
        case Failed(error=error):
            sign, detail = BROKE, error
    cost = run.cost
    return RunView(
        name=run.name,
        sign=sign,
        detail=detail,
        started_ms=run.started_ms,
        rows=run.rows,
        wall=f"{cost.wall_s * 1000:.0f} ms",
        cpu=f"{cost.cpu_s * 1000:.0f} ms",
        peak=words.size(cost.peak_bytes) if cost.peak_bytes else "not measured",
    )


def _skew(skew_ms: int) -> str:
    if abs(skew_ms) < 1000:
        return "agrees with this console's"
    return f"{abs(skew_ms) / 1000:.0f} s {'ahead of' if skew_ms > 0 else 'behind'} this console's"


def _certificate(ends_ms: int, now_ms: int) -> str:
    if not ends_ms:
        return "not known"
    if ends_ms <= now_ms:
        return f"ended {words.moment(ends_ms)}"
    return f"ends {words.moment(ends_ms)}, in {words.duration((ends_ms - now_ms) / 1000)}"
