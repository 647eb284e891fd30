"""Turns what the store answers into what the API says."""

from console.store.records import Agent, AgentDetail, ApiToken, AuditEntry, EventRow, Finding, Token, User
from console.web.api.schemas import (
    AgentDetailShape,
    AgentShape,
    ApiTokenShape,
    AuditShape,
    BlindShape,
    CoverageShape,
    EventShape,
    FindingShape,
    LaneShape,
    SightShape,
    TokenShape,
    UserShape,
    WorkerShape,
)
from console.web.finding_words import FINDINGS
from console.web.lookup import place_of
from console.web.words import iso
from contracts.coverage import Sight


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


def api_token_shape(token: ApiToken, now_ms: int) -> ApiTokenShape:
    """Return one token of a program."""
    state = "revoked" if token.revoked_ms else "ended" if token.expires_ms <= now_ms else "valid"
    return ApiTokenShape(
        id=token.id,
        name=token.name,
        role=token.role.value,
        state=state,
        created=iso(token.created_ms),
        created_by=token.created_by,
        expires=iso(token.expires_ms),
        last_used=iso(token.used_ms),
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
