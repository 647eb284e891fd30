"""Judges whether every collector still looks: one that has not managed to for three of its periods is stale.

Ages are measured on the wall clock, which people set. So an age that is too great is first only a suspicion, and holds
when it has lasted for one more period: a collector that still works has looked by then.
"""

from collections.abc import Mapping
from typing import ClassVar

from analysis.conclusions import turn
from contracts import runs
from contracts.collector import Report
from contracts.event import Event, Kind, Severity
from contracts.judge import View
from contracts.record import Record
from contracts.runs import RunState
from contracts.snapshot import Snapshot, compare

COLLECTOR_STALE = Kind(
    name="agent.collector_stale",
    meaning="A collector has not managed to look for several of its periods; its subject may have changed unseen.",
    title="{subject} was last seen {age_s:.0f} s ago, is due every {every_s:.0f} s ({detail})",
    severity=Severity.MEDIUM,
    fields={"subject": "str", "age_s": "float", "every_s": "float", "detail": "str"},
    attack=("T1562.001",),
    advice="See `holdfast coverage` for why, and `holdfast diagnose` for what would do.",
    ocsf_class=6008,
)
COLLECTOR_FRESH = Kind(
    name="agent.collector_fresh_again",
    meaning="A stale collector has looked again, or is no longer asked to.",
    title="{subject} is seen again after {age_s:.0f} s",
    severity=Severity.INFORMATIONAL,
    fields={"subject": "str", "age_s": "float"},
    ocsf_class=6008,
)

_PERIODS = 2.0
_GRACE_S = 15.0
_FUTURE_S = 5.0


class Suspicion(Record):
    """A collector's last look is too old, as first noticed at `since_ms`; `stale` once that has lasted."""

    since_ms: int
    last_ok_ms: int
    stale: bool = False


class Stale:
    """Collectors that no longer look, each stated when it becomes stale and when it looks again."""

    name: ClassVar[str] = "stale"
    kinds: ClassVar[tuple[Kind, ...]] = (COLLECTOR_STALE, COLLECTOR_FRESH)
    subjects: ClassVar[Mapping[str, type[Record]]] = {runs.SUBJECT: RunState}
    row: type[Suspicion] = Suspicion
    every_s: ClassVar[float] = 30.0

    def judge(self, view: View, before: Snapshot[Suspicion]) -> Report[Suspicion]:
        """Conclude."""
        states: Mapping[str, RunState] = view.snapshots[runs.SUBJECT].rows
        now = {}
        for key, state in states.items():
            suspicion = _suspicion(state, before.rows.get(key), view.now_ms)
            if suspicion is not None:
                now[key] = suspicion
        held = {key: row for key, row in before.rows.items() if row.stale}
        turned = turn(held, {key: row for key, row in now.items() if row.stale})
        events = [_stale(key, states[key], view.now_ms) for key in turned.begun]
        events += [_fresh(key, states.get(key), held[key], view.now_ms) for key in turned.ceased]
        return Report(events=tuple(events), changes=compare(before.rows, now))


def _suspicion(state: RunState, former: Suspicion | None, now_ms: int) -> Suspicion | None:
    """Return the suspicion against a collector, None when its last look is recent enough."""
    last_ms = max(state.last_ok_ms, state.since_ms)
    age_s = (now_ms - last_ms) / 1000
    if -_FUTURE_S <= age_s <= _PERIODS * state.every_s + _GRACE_S:
        return None
    if former is None or former.last_ok_ms != last_ms or former.since_ms > now_ms:
        is_stale = former is not None and former.stale and former.last_ok_ms == last_ms
        return Suspicion(since_ms=now_ms, last_ok_ms=last_ms, stale=is_stale)
    lasted_s = (now_ms - former.since_ms) / 1000
    return Suspicion(
        since_ms=former.since_ms, last_ok_ms=last_ms, stale=former.stale or lasted_s > state.every_s + _GRACE_S
    )


def _stale(key: str, state: RunState, now_ms: int) -> Event:
    detail = state.outcome + (f": {state.detail}" if state.detail else "")
    age_s = max(0.0, (now_ms - max(state.last_ok_ms, state.since_ms)) / 1000)
    return COLLECTOR_STALE.event(key, subject=state.collector, age_s=age_s, every_s=state.every_s, detail=detail)


def _fresh(key: str, state: RunState | None, held: Suspicion, now_ms: int) -> Event:
    end_ms = now_ms if state is None else max(state.last_ok_ms, held.last_ok_ms)
    return COLLECTOR_FRESH.event(
        key, subject=state.collector if state else key, age_s=max(0.0, (end_ms - held.last_ok_ms) / 1000)
    )
