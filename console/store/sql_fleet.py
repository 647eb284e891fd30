"""Reading the fleet: agents, subjects, findings, losses, presence."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from console.liveness import Vitals, state
from console.store.database import MAX_NUMBER, Database, clean, number_of
from console.store.records import (
    Agent,
    AgentDetail,
    Finding,
    FindingKind,
    LossRow,
    Presence,
    SeverityCount,
    Sights,
    Subject,
)
from console.store.schema import (
    LANE_NAMES,
    agents,
    certificates,
    event_counts,
    findings,
    lanes,
    losses,
    presence,
    subject_rows,
    subjects,
)
from contracts.event import Severity
from contracts.wire import Heartbeat

DAY_MS = 86_400_000
_HEARTBEATS = msgspec.msgpack.Decoder(Heartbeat)


class SqlFleet(Database):
    """The part of the store that pages show of agents."""

    async def agents(self, now_ms: int) -> tuple[Agent, ...]:
        """Return the fleet by host name."""
        return await self.read(lambda connection: self._fleet(connection, now_ms, None))

    async def agent(self, agent: str, now_ms: int) -> AgentDetail | None:
        """Return one agent."""

        def work(connection: Connection) -> AgentDetail | None:
            number = number_of(connection, agent)
            if number is None:
                return None
            (found,) = self._fleet(connection, now_ms, number)
            raw = connection.execute(select(agents.c.heartbeat).where(agents.c.number == number)).scalar()
            held = connection.execute(select(lanes.c.lane, lanes.c.seq).where(lanes.c.agent == number))
            return AgentDetail(
                agent=found,
                heartbeat=_HEARTBEATS.decode(raw) if raw else None,
                lanes={LANE_NAMES[row.lane]: row.seq for row in held},
            )

        return await self.read(work)

    async def subject(self, agent: str, subject: str) -> Subject | None:
        """Return the rows of one subject."""

        def work(connection: Connection) -> Subject | None:
            number = number_of(connection, agent)
            mine = (subjects.c.agent == number) & (subjects.c.subject == subject)
            found = connection.execute(select(subjects).where(mine)).first()
            if number is None or found is None:
                return None
            place = (subject_rows.c.agent == number) & (subject_rows.c.subject == subject)
            rows = connection.execute(select(subject_rows.c.key, subject_rows.c.row).where(place))
            return Subject(
                agent=agent,
                subject=subject,
                revision=found.revision,
                at_ms=found.at_ms,
                rows={row.key: row.row for row in rows},
                complete=not found.coming,
            )

        return await self.read(work)

    async def losses(self, agent: str = "", limit: int = 100) -> tuple[LossRow, ...]:
        """Return what was lost, newest first."""
        query = select(losses, agents.c.id.label("who")).join(agents, losses.c.agent == agents.c.number)
        query = query.where(agents.c.id == agent) if agent else query

        def work(connection: Connection) -> tuple[LossRow, ...]:
            return tuple(
                LossRow(
                    agent=row.who,
                    lane=LANE_NAMES[row.lane],
                    first=row.first,
                    last=row.last,
                    count=row._mapping["count"],
                    received_ms=row.received_ms,
                    explained=bool(row.explained),
                )
                for row in connection.execute(query.order_by(losses.c.number.desc()).limit(limit))
            )

        return await self.read(work)

    async def findings(self, agent: str = "", open_only: bool = False, limit: int = 100) -> tuple[Finding, ...]:
        """Return what the console found, newest first."""
        query = select(findings, agents.c.id.label("who")).join(agents, findings.c.agent == agents.c.number)
        query = query.where(agents.c.id == agent) if agent else query
        query = query.where(findings.c.acknowledged_ms == 0) if open_only else query
        query = query.order_by(findings.c.last_ms.desc(), findings.c.number.desc()).limit(limit)
        return await self.read(lambda connection: tuple(_finding(row) for row in connection.execute(query)))

    async def acknowledge_finding(self, number: int, who: str, at_ms: int) -> bool:
        """Close a finding."""
        if not 0 < number <= MAX_NUMBER:
            return False
        mine = update(findings).where((findings.c.number == number) & (findings.c.acknowledged_ms == 0))
        closed = mine.values(acknowledged_ms=at_ms, acknowledged_by=clean(who))
        return await self.write(lambda group: group.connection.execute(closed).rowcount > 0)

    async def presence(self, agent: str, since_ms: int) -> tuple[Presence, ...]:
        """Return in which minutes the agent was heard."""
        query = select(presence).join(agents, presence.c.agent == agents.c.number)
        query = query.where((agents.c.id == agent) & (presence.c.hour_ms > since_ms - 3_600_000))
        return await self.read(
            lambda connection: tuple(
                Presence(hour_ms=row.hour_ms, minutes=row.minutes)
                for row in connection.execute(query.order_by(presence.c.hour_ms))
            )
        )

    async def event_counts(self, since_ms: int, agent: str = "") -> tuple[SeverityCount, ...]:
        """Return events per hour and severity."""
        total = func.sum(event_counts.c.count).label("total")
        query = select(event_counts.c.hour_ms, event_counts.c.severity, total)
        if agent:
            query = query.join(agents, event_counts.c.agent == agents.c.number).where(agents.c.id == agent)
        query = query.where(event_counts.c.hour_ms > since_ms - 3_600_000)
        query = query.group_by(event_counts.c.hour_ms, event_counts.c.severity)
        query = query.order_by(event_counts.c.hour_ms, event_counts.c.severity)
        return await self.read(
            lambda connection: tuple(
                SeverityCount(hour_ms=row.hour_ms, severity=row.severity, count=int(row.total))
                for row in connection.execute(query)
            )
        )

    async def rename_agent(self, agent: str, name: str) -> bool:
        """Give an agent another display name."""
        renamed = update(agents).where(agents.c.id == agent).values(name=clean(name))
        return await self.write(lambda group: group.connection.execute(renamed).rowcount > 0)

    def _fleet(self, connection: Connection, now_ms: int, number: int | None) -> tuple[Agent, ...]:
        """Return all agents or one, with what is counted about them, in one query per table."""

        def mine(column: ColumnElement[int]) -> ColumnElement[bool]:
            return column == number if number is not None else column > 0

        problems = _pairs(
            connection,
            select(findings.c.agent, func.count())
            .where(mine(findings.c.agent) & (findings.c.acknowledged_ms == 0))
            .group_by(findings.c.agent),
        )
        severe = _pairs(
            connection,
            select(event_counts.c.agent, func.sum(event_counts.c.count))
            .where(mine(event_counts.c.agent) & (event_counts.c.hour_ms > now_ms - DAY_MS))
            .where(event_counts.c.severity >= int(Severity.HIGH))
            .group_by(event_counts.c.agent),
        )
        ends = _pairs(
            connection,
            select(certificates.c.agent, func.max(certificates.c.ends_ms))
            .where(mine(certificates.c.agent))
            .group_by(certificates.c.agent),
        )
        revisions: dict[int, dict[str, int]] = {}
        for row in connection.execute(select(subjects).where(mine(subjects.c.agent))):
            revisions.setdefault(row.agent, {})[row.subject] = row.revision
        columns = [column for column in agents.c if column.name != "heartbeat"]
        found = connection.execute(select(*columns).where(mine(agents.c.number)))
        fleet = [
            _agent(
                row,
                self._grace_s,
                now_ms,
                {
                    "problems": problems.get(row.number, 0),
                    "severe_24h": severe.get(row.number, 0),
                    "certificate_ends_ms": ends.get(row.number, 0),
                    "subjects": revisions.get(row.number, {}),
                },
            )
            for row in found
        ]
        return tuple(sorted(fleet, key=lambda one: (one.name or one.hostname, one.id)))


def _pairs(connection: Connection, query: Any) -> dict[int, int]:
    return {int(key): int(value) for key, value in connection.execute(query)}


def _agent(row: Row[Any], grace_s: float, now_ms: int, counted: dict[str, Any]) -> Agent:
    sights = Sights(
        seen=row.seen,
        partial=row.partial,
        unseen=row.unseen,
        unknown=row.unknown,
        blind=row.blind,
        workers_down=row.workers_down,
    )
    vitals = Vitals(
        heartbeat_ms=row.heartbeat_ms,
        every_s=row.every_s,
        revoked_ms=row.revoked_ms,
        duplicate_ms=row.duplicate_ms,
        sights=sights,
    )
    return Agent(
        id=row.id,
        name=row.name or row.hostname,
        hostname=row.hostname,
        version=row.version,
        os_name=row.os_name,
        kernel=row.kernel,
        state=state(vitals, now_ms, grace_s),
        enrolled_ms=row.enrolled_ms,
        revoked_ms=row.revoked_ms,
        heartbeat_ms=row.heartbeat_ms,
        every_s=row.every_s,
        skew_ms=row.skew_ms,
        uptime_s=row.uptime_s,
        duplicate_ms=row.duplicate_ms,
        sights=sights,
        lost=row.lost,
        **counted,
    )


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        number=row.number,
        agent=row.who,
        kind=FindingKind(row.kind),
        lane=None if row.lane is None else LANE_NAMES[row.lane],
        seq=row.seq,
        detail=row.detail,
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        count=row._mapping["count"],
        acknowledged_ms=row.acknowledged_ms,
        acknowledged_by=row.acknowledged_by,
    )
