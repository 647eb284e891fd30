"""How often alerts become events; every one that does not is counted once and told."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.output.limits import Limiter, Limits
from contracts.event import Event, Severity

EVENT = Event(kind="traffic.alert", key="x", severity=Severity.LOW)


def test_the_first_is_stated_the_rest_counted_and_told_when_the_time_is_over() -> None:
    limiter = Limiter(Limits(again_s=60), 0.0)
    assert limiter.wants(1, "a", 0.0)
    assert limiter.stated(1, "a", 0.0) == 0
    for second in range(1, 6):
        assert not limiter.wants(1, "a", second)
        limiter.hold(1, "a", None if limiter.knows(1, "a") else EVENT)
    assert limiter.wants(1, "b", 6.0) and limiter.wants(2, "a", 6.0), "others are not held back"
    assert list(limiter.due(59.0)) == []
    (late,) = limiter.due(60.0)
    assert late.repeats == 4, "five in all: this one and four more"
    assert limiter.left_out(120.0) is None and limiter.held == 5


def test_one_rule_about_many_sources_is_bounded_and_counted_by_rule() -> None:
    limiter = Limiter(Limits(per_rule=10, per_second=50), 0.0)
    stated = 0
    for source in range(1000):
        if limiter.wants(7, source, 1.0):
            limiter.stated(7, source, 1.0)
            stated += 1
        else:
            limiter.hold(7, source, EVENT)
    assert stated == 10 and limiter.left_out(30.0) is None
    told = limiter.left_out(61.0)
    assert told is not None and told[7] == 990
    assert limiter.wants(7, "next", 62.0), "the next minute has room again"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.floats(0, 30)), max_size=200))
def test_nothing_is_lost_from_the_count(alerts: list[tuple[int, int, float]]) -> None:
    limiter, now, told = Limiter(Limits(again_s=20, per_rule=5, per_second=2), 0.0), 0.0, 0
    for sid, source, step in alerts:
        now += step
        if limiter.wants(sid, source, now):
            told += 1 + limiter.stated(sid, source, now)
        else:
            limiter.hold(sid, source, None if limiter.knows(sid, source) else EVENT)
        told += sum(1 + late.repeats for late in limiter.due(now))
        left_out = limiter.left_out(now)
        told += left_out.total() if left_out else 0
    told += sum(1 + late.repeats for late in limiter.due(now, at_end=True))
    left_out = limiter.left_out(now, at_end=True)
    assert told + (left_out.total() if left_out else 0) == len(alerts)
