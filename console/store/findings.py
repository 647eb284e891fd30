"""Writing down what the console finds about an agent; bounded, so that a hostile agent cannot fill the database with complaints."""

from sqlalchemy import Connection, func, insert, select, update

from console.store.database import clean
from console.store.records import FindingKind
from console.store.schema import LANES, findings
from contracts.event import Lane

MAX_OPEN_FINDINGS = 500


def add_finding(
    connection: Connection, number: int, kind: FindingKind, detail: str, at_ms: int, lane: Lane | None, seq: int
) -> None:
    """Record a finding, or count it to the open one that says the same; bounded per agent."""
    code = None if lane is None else LANES[lane]
    is_open = (findings.c.agent == number) & (findings.c.acknowledged_ms == 0)
    same = (findings.c.kind == kind.value) & (findings.c.lane.is_(None) if code is None else findings.c.lane == code)
    found = connection.execute(
        select(findings.c.number).where(is_open & same & (findings.c.seq == seq)).limit(1)
    ).scalar()
    if found is None:
        count = connection.execute(select(func.count()).select_from(findings).where(is_open)).scalar_one()
        if count >= MAX_OPEN_FINDINGS:
            found = connection.execute(select(func.max(findings.c.number)).where(is_open)).scalar_one()
    if found is not None:
        grown = update(findings).where(findings.c.number == found)
        connection.execute(grown.values(last_ms=at_ms, count=findings.c.count + 1))
        return
    values = {
        "agent": number,
        "kind": kind.value,
        "lane": code,
        "seq": seq,
        "detail": clean(detail),
        "first_ms": at_ms,
        "last_ms": at_ms,
        "count": 1,
    }
    connection.execute(insert(findings).values(values))


def close_gaps(connection: Connection, number: int, lane: Lane, at_ms: int) -> None:
    """Close the findings of missing records in a lane: the agent has sent or accounted for them."""
    mine = (findings.c.agent == number) & (findings.c.kind == FindingKind.GAP.value) & (findings.c.acknowledged_ms == 0)
    closed = update(findings).where(mine & (findings.c.lane == LANES[lane]))
    connection.execute(closed.values(acknowledged_ms=at_ms, acknowledged_by="console"))
