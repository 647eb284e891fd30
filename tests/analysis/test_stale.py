"""Stale collectors: told once with numbers, and not for a step of the clock."""

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stale import Stale
from contracts.runs import RunState

STALE, FRESH = "agent.collector_stale", "agent.collector_fresh_again"
HOUR = 3_600_000


def _run(last_ok_s: float, every_s: float = 60.0, since_s: float = 0.0, outcome: str = "ok") -> dict[str, RunState]:
    row = RunState(
        collector="ports",
        every_s=every_s,
        outcome=outcome,
        last_ok_ms=int(last_ok_s * 1000),
        since_ms=int(since_s * 1000),
    )
    return {"ports": row}


def test_a_collector_that_looks_in_time_is_not_mentioned(court) -> None:
    bench = court(Stale())
    for now_s in range(0, 600, 30):
        assert bench.judge({"agent.runs": _run(now_s - now_s % 60)}, now_ms=now_s * 1000) == []


def test_one_that_stopped_is_stale_within_four_periods_and_fresh_when_it_looks(court) -> None:
    bench = court(Stale())
    kinds = {now_s: bench.judge({"agent.runs": _run(1000)}, now_ms=now_s * 1000) for now_s in range(1000, 1300, 30)}
    said = [now_s for now_s, what in kinds.items() if what]
    assert len(said) == 1
    assert 1120 < said[0] <= 1270
    assert bench.events[0].kind == STALE
    assert bench.events[0].fields["age_s"] == said[0] - 1000
    assert bench.judge({"agent.runs": _run(1310)}, now_ms=1_320_000) == [FRESH]
    assert bench.events[1].fields["age_s"] == 310


def test_one_that_never_looked_is_noticed_from_when_it_was_due(court) -> None:
    bench = court(Stale())
    for now_s in range(5000, 5400, 30):
        bench.judge({"agent.runs": _run(0, since_s=5000, outcome="never")}, now_ms=now_s * 1000)
    assert [event.kind for event in bench.events] == [STALE]
    assert "never" in bench.events[0].fields["detail"]


def test_a_clock_set_forward_makes_nobody_stale(court) -> None:
    bench = court(Stale())
    assert bench.judge({"agent.runs": _run(1000)}, now_ms=1_030_000) == []
    assert bench.judge({"agent.runs": _run(1000)}, now_ms=1_060_000 + HOUR) == []
    assert bench.judge({"agent.runs": _run(1065 + 3600)}, now_ms=1_090_000 + HOUR) == []
    assert bench.events == []


def test_a_clock_set_back_makes_nobody_stale_and_hides_nobody(court) -> None:
    bench = court(Stale())
    assert bench.judge({"agent.runs": _run(7200)}, now_ms=3_600_000) == []
    assert bench.judge({"agent.runs": _run(3630)}, now_ms=3_640_000) == []
    dead = court(Stale())
    for now_s in range(3600, 3900, 30):
        dead.judge({"agent.runs": _run(7200)}, now_ms=now_s * 1000)
    assert [event.kind for event in dead.events] == [STALE]


def test_a_collector_that_is_no_longer_asked_is_not_stale(court) -> None:
    bench = court(Stale())
    for now_s in range(1000, 1300, 30):
        bench.judge({"agent.runs": _run(1000)}, now_ms=now_s * 1000)
    assert bench.judge({"agent.runs": {}}, now_ms=1_300_000) == [FRESH]


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.sampled_from([0, 0, 0, 3600, -3600])), max_size=30))
@settings(deadline=None, max_examples=150)
def test_each_conclusion_begins_once_and_ceases_once(court, history) -> None:
    bench = court(Stale())
    now_s, last_s = 100_000, 100_000
    for passed_s, looked, step_s in history:
        now_s += passed_s + step_s
        last_s = now_s if looked else last_s
        bench.judge({"agent.runs": _run(last_s)}, now_ms=now_s * 1000)
        held = bench.holding(STALE, FRESH)
        assert held == {key for key, row in bench.before.rows.items() if row.stale}
        if looked:
            assert not held
