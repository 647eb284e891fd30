"""What the API answers with: its own shapes, so that the store can change without breaking anybody's program. Times are RFC 3339."""

from typing import Annotated, Any

from msgspec import Meta

from console.store.records import Agent, AgentDetail, AuditEntry, EventRow, Finding, Token, User
from console.web.finding_words import FINDINGS
from console.web.lookup import place_of
from console.web.words import iso
from contracts.coverage import Sight
from contracts.event import Value
from contracts.record import Record

Time = Annotated[str, Meta(description="RFC 3339 in UTC; empty for never.", examples=["2026-11-21T18:30:02.000Z"])]
Cursor = Annotated[str, Meta(description="Pass it as `cursor` for the next page; empty at the end.")]


class AgentShape(Record):
    """One agent. `state` is revoked, duplicate, down, never, late, degraded or up."""

    id: str
    name: str
    hostname: str
    state: str
    version: str
    os_name: str
    kernel: str
    enrolled: Time
    last_heartbeat: Time
    heartbeat_every_s: float
    certificate_ends: Time
    clock_skew_ms: int
    open_findings: int
    severe_events_24h: int
    events_lost: int
    subjects: Annotated[dict[str, int], Meta(description="Revision held of each subject.")]


class AgentPage(Record):
    """Some of the agents, by name."""

    items: list[AgentShape]
    next: Cursor = ""


class BlindShape(Record):
    """One thing that is not seen: `why` is from a closed list, `fix` says what would help."""

    what: str
    why: str
    detail: str
    fix: str


class SightShape(Record):
    """The view of one subject: `state` is seen, partial, unseen or unknown (not yet looked)."""

    subject: str
    state: str
    since: Time
    last_ok: Time
    rows: int
    blind: list[BlindShape]


class CoverageShape(Record):
    """What the agent said it sees; `stated` is when, empty when it never said anything."""

    agent: str
    stated: Time
    sights: list[SightShape]


class WorkerShape(Record):
    """One process of the agent."""

    name: str
    state: str
    uid: int
    pid: int
    restarts: int
    detail: str


class LaneShape(Record):
    """One queue of the agent: `held` is the last number this console holds, -1 for none."""

    lane: str
    held: int
    waiting: int
    bytes: int
    lost: int


class AgentDetailShape(Record):
    """One agent with what its last heartbeat said."""

    agent: AgentShape
    uptime_s: float
    workers: list[WorkerShape]
    lanes: list[LaneShape]
    coverage: CoverageShape


class SubjectPage(Record):
    """Rows of one subject as the agent sent them; `complete` is false while parts are still on their way."""

    agent: str
    subject: str
    revision: int
    seen: Time
    complete: bool
    total: int
    rows: dict[str, Any]
    next: Cursor = ""


class EventShape(Record):
    """One event. `href` is its own address in this API."""

    id: str
    href: str
    agent: str
    hostname: str
    kind: str
    key: str
    severity_id: int
    severity: str
    observed: Time
    received: Time
    lane: str
    seq: int
    fields: dict[str, Value]
    evidence: dict[str, str]
    dedup: str
    drill: str
    repeats: int


class EventsPage(Record):
    """Some of the events, newest observed first."""

    items: list[EventShape]
    next: Cursor = ""


class EventDetailShape(Record):
    """One event with its OCSF form."""

    event: EventShape
    ocsf: dict[str, Any]


class FindingShape(Record):
    """Something this console found wrong with an agent's reports."""

    number: int
    agent: str
    kind: str
    meaning: str
    detail: str
    first: Time
    last: Time
    count: int
    acknowledged: Time
    acknowledged_by: str


class FindingsPage(Record):
    """The findings, newest first, at most 1000."""

    items: list[FindingShape]


class TokenShape(Record):
    """An enrolment token, without its secret. `state` is waiting, used, revoked or expired."""

    id: str
    note: str
    state: str
    hostname: str
    created: Time
    created_by: str
    expires: Time
    agent: str


class TokensPage(Record):
    """Some of the tokens, newest first."""

    items: list[TokenShape]
    next: Cursor = ""


class NewToken(Record):
    """What a new token is for."""

    note: Annotated[str, Meta(min_length=1, max_length=200)]
    hostname: Annotated[str, Meta(max_length=253, description="The only host name it may enrol; empty for any.")] = ""
    valid_s: Annotated[float, Meta(ge=60, le=604800)] = 86400.0


class TokenMadeShape(Record):
    """A new token: `token` and `command` are shown only this once."""

    token: str
    command: str
    id: str
    expires: Time


class UserShape(Record):
    """A person."""

    name: str
    role: str
    disabled: bool
    has_password: bool
    created: Time
    last_login: Time


class UsersPage(Record):
    """All users by name."""

    items: list[UserShape]


class AuditShape(Record):
    """One entry of the audit log."""

    number: int
    at: Time
    who: str
    what: str
    about: str
    detail: str
    address: str


class AuditPage(Record):
    """Some of the audit log, newest first."""

    items: list[AuditShape]
    next: Cursor = ""


class Revoked(Record):
    """`changed` is false when it was revoked before."""

    changed: bool


def agent_shape(agent: Agent) -> AgentShape:
    """Return `agent` as the API says it."""
    return AgentShape(
        id=agent.id,
        name=agent.name,
        hostname=agent.hostname,
        state=agent.state.value,
        version=agent.version,
        os_name=agent.os_name,
        kernel=agent.kernel,
        enrolled=iso(agent.enrolled_ms),
        last_heartbeat=iso(agent.heartbeat_ms),
        heartbeat_every_s=agent.every_s,
        certificate_ends=iso(agent.certificate_ends_ms),
        clock_skew_ms=agent.skew_ms,
        open_findings=agent.problems,
        severe_events_24h=agent.severe_24h,
        events_lost=agent.lost,
        subjects=dict(agent.subjects),
    )


def detail_shape(detail: AgentDetail) -> AgentDetailShape:
    """Return one agent with its last heartbeat."""
    heartbeat = detail.heartbeat
    workers = heartbeat.workers if heartbeat else ()
    lanes = heartbeat.lanes if heartbeat else ()
    return AgentDetailShape(
        agent=agent_shape(detail.agent),
        uptime_s=detail.agent.uptime_s,
        workers=[
            WorkerShape(name=w.name, state=w.state, uid=w.uid, pid=w.pid, restarts=w.restarts, detail=w.detail)
            for w in workers
        ],
        lanes=[
            LaneShape(
                lane=lane.lane.value,
                held=detail.lanes.get(lane.lane, -1),
                waiting=lane.waiting,
                bytes=lane.bytes,
                lost=lane.lost,
            )
            for lane in lanes
        ],
        coverage=coverage_shape(detail),
    )


def coverage_shape(detail: AgentDetail) -> CoverageShape:
    """Return what the agent sees."""
    return CoverageShape(
        agent=detail.agent.id,
        stated=iso(detail.agent.heartbeat_ms),
        sights=[_sight(sight) for sight in detail.coverage.sights],
    )


def _sight(sight: Sight) -> SightShape:
    return SightShape(
        subject=sight.subject,
        state=sight.state,
        since=iso(sight.since_ms),
        last_ok=iso(sight.last_ok_ms),
        rows=sight.rows,
        blind=[BlindShape(what=b.what, why=b.why.value, detail=b.detail, fix=b.fix) for b in sight.blind],
    )


def event_shape(row: EventRow) -> EventShape:
    """Return one event."""
    envelope = row.envelope
    event = envelope.event
    return EventShape(
        id=envelope.id,
        href=f"/api/v1/events/{place_of(row)}",
        agent=envelope.agent,
        hostname=row.hostname,
        kind=event.kind,
        key=event.key,
        severity_id=int(event.severity),
        severity=event.severity.name.lower(),
        observed=iso(event.observed_ms),
        received=iso(row.received_ms),
        lane=envelope.lane.value,
        seq=envelope.seq,
        fields=dict(event.fields),
        evidence=dict(event.evidence),
        dedup=event.dedup,
        drill=event.drill,
        repeats=event.repeats,
    )


def finding_shape(row: Finding) -> FindingShape:
    """Return one finding."""
    return FindingShape(
        number=row.number,
        agent=row.agent,
        kind=row.kind.value,
        meaning=FINDINGS.get(row.kind, ("", ""))[1],
        detail=row.detail,
        first=iso(row.first_ms),
        last=iso(row.last_ms),
        count=row.count,
        acknowledged=iso(row.acknowledged_ms),
        acknowledged_by=row.acknowledged_by,
    )


def token_shape(token: Token, now_ms: int) -> TokenShape:
    """Return one token."""
    state = "expired" if token.expires_ms <= now_ms else "waiting"
    state = "used" if token.used_ms else "revoked" if token.revoked_ms else state
    return TokenShape(
        id=token.id,
        note=token.note,
        state=state,
        hostname=token.hostname,
        created=iso(token.created_ms),
        created_by=token.created_by,
        expires=iso(token.expires_ms),
        agent=token.agent,
    )


def user_shape(user: User) -> UserShape:
    """Return one user."""
    return UserShape(
        name=user.name,
        role=user.role.value,
        disabled=user.disabled,
        has_password=bool(user.password),
        created=iso(user.created_ms),
        last_login=iso(user.last_login_ms),
    )


def audit_shape(entry: AuditEntry) -> AuditShape:
    """Return one entry of the audit log."""
    return AuditShape(
        number=entry.number,
        at=iso(entry.at_ms),
        who=entry.who,
        what=entry.what,
        about=entry.about,
        detail=entry.detail,
        address=entry.address,
    )
