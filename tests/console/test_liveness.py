"""The state of an agent, for every time and every view."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from console.liveness import Vitals, late_after_ms, state, summarise
from console.store.records import Sights, State
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why
from contracts.wire import WorkerState

NOW = 1_700_000_000_000
TIMES = st.integers(0, 2 * NOW)
VITALS = st.builds(
    Vitals,
    heartbeat_ms=TIMES,
    every_s=st.floats(0.1, 3600),
    revoked_ms=st.sampled_from([0, 0, 0, NOW]),
    duplicate_ms=st.sampled_from([0, 0, NOW]),
    sights=st.builds(Sights, blind=st.integers(0, 2), workers_down=st.integers(0, 2)),
)


def test_the_states_in_their_order() -> None:
    beat = Vitals(heartbeat_ms=NOW, every_s=30.0)
    assert state(Vitals(), NOW, 60) is State.NEVER
    assert state(beat, NOW + 45_000, 60) is State.UP
    assert state(beat, NOW + 45_001, 60) is State.LATE
    assert state(beat, NOW + 105_000, 60) is State.LATE
    assert state(beat, NOW + 105_001, 60) is State.DOWN
    assert state(msgspec.structs.replace(beat, sights=Sights(blind=1)), NOW, 60) is State.DEGRADED
    assert state(msgspec.structs.replace(beat, duplicate_ms=NOW), NOW, 60) is State.DUPLICATE
    assert state(msgspec.structs.replace(beat, revoked_ms=1), NOW, 60) is State.REVOKED


@given(VITALS, TIMES, st.floats(0, 86400))
def test_every_combination_has_a_state_and_silence_is_never_up(vitals: Vitals, now: int, grace_s: float) -> None:
    found = state(vitals, now, grace_s)
    silent = now - vitals.heartbeat_ms > late_after_ms(vitals.every_s)
    if found in (State.UP, State.DEGRADED):
        assert not silent
        assert vitals.heartbeat_ms
        assert not vitals.revoked_ms
    if vitals.revoked_ms:
        assert found is State.REVOKED


@given(VITALS, TIMES, st.integers(0, 10**9), st.floats(0, 86400))
def test_waiting_never_makes_an_agent_better(vitals: Vitals, now: int, more: int, grace_s: float) -> None:
    order = [State.UP, State.DEGRADED, State.LATE, State.DOWN]
    first, later = state(vitals, now, grace_s), state(vitals, now + more, grace_s)
    if first in order and later in order:
        assert order.index(later) >= order.index(first)


def test_what_was_switched_off_or_is_not_there_does_not_degrade(beat: Any) -> None:
    spot = Blind(what="x", why=Why.NOT_PRESENT)
    sights = (
        Sight(subject="a", state="partial", blind=(spot,)),
        Sight(subject="b", state="unseen", blind=(spot, Blind(what="y", why=Why.PERMISSION))),
        Sight(subject="c", state="unseen"),
        Sight(subject="d", state="unknown"),
        Sight(subject="e", state="nonsense"),
    )
    workers = (WorkerState(name="reader", state="backing_off"), WorkerState(name="backup", state="idle"))
    found = summarise(msgspec.structs.replace(beat(), coverage=Coverage(sights=sights), workers=workers))
    assert found == Sights(seen=0, partial=1, unseen=2, unknown=2, blind=2, workers_down=1)
