"""Writing down what the console finds about an agent; bounded, so that a hostile agent cannot fill the database with complaints."""

from sqlalchemy import Connection, func, insert, select, update

from console.store.database import clean
from console.store.records import FindingKind
from console.store.schema import LANES, findings
from contracts.event import Lane

MAX_OPEN_FINDINGS = 500
COLLECTING = frozenset({FindingKind.CHALLENGE_FAILED})
"""Of these each occurrence tells of other things: an open one says all of them, up to `MOST_DETAIL` characters."""
MOST_DETAIL = 4000


def add_finding(
    connection: Connection, number: int, kind: FindingKind, detail: str, at_ms: int, lane: Lane | None, seq: int
) -> None:
    """Record a finding, or count it to the open one that says the same; bounded per agent."""
    code = None if lane is None else LANES[lane]
    is_open = (findings.c.agent == number) & (findings.c.acknowledged_ms == 0)
    same = (findings.c.kind == kind.value) & (findings.c.lane.is_(None) if code is None else findings.c.lane == code)
    equal = connection.execute(
        select(findings.c.number, findings.c.detail).where(is_open & same & (findings.c.seq == seq)).limit(1)
    ).first()
    found = equal.number if equal is not None else None
    told = {"detail": _joined(equal.detail, clean(detail))} if equal is not None and kind in COLLECTING else {}
    if found is None:
        count = connection.execute(select(func.count()).select_from(findings).where(is_open)).scalar_one()
        if count >= MAX_OPEN_FINDINGS:
            found = connection.execute(select(func.max(findings.c.number)).where(is_open)).scalar_one()
    if found is not None:
        grown = update(findings).where(findings.c.number == found)
        connection.execute(grown.values(last_ms=at_ms, count=findings.c.count + 1, **told))
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


def _joined(held: str, detail: str) -> str:
    """Return what both say, once each."""
    if detail in held.split("; "):
        return held
    whole = f"{held}; {detail}"
    return whole if len(whole) <= MOST_DETAIL else f"{whole[: MOST_DETAIL - 1]}…"
