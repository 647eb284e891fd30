"""How an agent is: a pure function of what was last heard and the time."""

import math

from console.store.records import Sights, State
from contracts.coverage import Sight
from contracts.errors import Why
from contracts.record import Record
from contracts.wire import Heartbeat

NOT_A_FAILURE = frozenset({Why.NOT_PRESENT, Why.DISABLED})
"""Reasons that are findings or the admin's will, and do not degrade an agent."""
WORKING = frozenset({"running", "idle", "starting"})
DUPLICATE_SHOWN_MS = 10 * 60 * 1000
"""A cloned identity is shown for this long after it was last noticed."""
SHORTEST_PERIOD_S = 0.1
LONGEST_PERIOD_S = 3600.0
USUAL_PERIOD_S = 30.0
SKEW_SHOWN_MS = 5_000
"""Clock differences under this are travel time and noise."""


class Vitals(Record):
    """What the state depends on. Times in Unix ms by the console's clock, 0 for never."""

    heartbeat_ms: int = 0
    every_s: float = 30.0
    revoked_ms: int = 0
    duplicate_ms: int = 0
    sights: Sights = Sights()


def period_s(stated: float) -> float:
    """Return the period an agent is judged by: the one it states, within bounds, so that none can name one that never ends."""
    if not math.isfinite(stated) or stated <= 0:
        return USUAL_PERIOD_S
    return min(max(stated, SHORTEST_PERIOD_S), LONGEST_PERIOD_S)


def late_after_ms(every_s: float) -> int:
    """Return how old a heartbeat may be before its agent is late: one and a half periods, at least one second over."""
    return int((every_s + max(every_s * 0.5, 1.0)) * 1000)


def state(vitals: Vitals, now_ms: int, grace_s: float) -> State:
    """Say how an agent is. Late after one and a half periods, down when `grace_s` seconds more have passed."""
    if vitals.revoked_ms:
        return State.REVOKED
    if not vitals.heartbeat_ms:
        return State.NEVER
    age_ms = now_ms - vitals.heartbeat_ms
    late_ms = late_after_ms(vitals.every_s)
    if age_ms > late_ms + grace_s * 1000:
        return State.DOWN
    if vitals.duplicate_ms and now_ms - vitals.duplicate_ms < DUPLICATE_SHOWN_MS:
        return State.DUPLICATE
    if age_ms > late_ms:
        return State.LATE
    if vitals.sights.blind or vitals.sights.workers_down:
        return State.DEGRADED
    return State.UP


def summarise(heartbeat: Heartbeat) -> Sights:
    """Count what a heartbeat says of its agent's sight and workers."""
    states = {"seen": 0, "partial": 0, "unseen": 0, "unknown": 0}
    blind = 0
    for sight in heartbeat.coverage.sights:
        states[sight.state if sight.state in states else "unknown"] += 1
        blind += _is_blind(sight)
    return Sights(
        **states,
        blind=blind,
        workers_down=sum(worker.state not in WORKING for worker in heartbeat.workers),
    )


def _is_blind(sight: Sight) -> bool:
    """Say whether something of this subject cannot be seen that should be; a state without a reason counts as blind."""
    if sight.state not in ("partial", "unseen"):
        return False
    return not sight.blind or any(spot.why not in NOT_A_FAILURE for spot in sight.blind)
