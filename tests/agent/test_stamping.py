"""Times and dedup keys of events."""

import pytest

from agent.stamping import check_kinds, stamp
from contracts.event import Kind, Severity

SEEN = Kind(name="x.seen", meaning="It was seen.", title="seen", severity=Severity.LOW)


def test_two_alike_in_one_run_stay_two_and_a_repeat_of_the_run_is_the_same():
    events = [SEEN.event("a"), SEEN.event("a"), SEEN.event("b")]
    first, again, later = stamp(events, "x", 1, 5), stamp(events, "x", 1, 9), stamp(events, "x", 2, 5)
    assert len({event.dedup for event in first}) == 3
    assert [event.dedup for event in first] == [event.dedup for event in again]
    assert not {event.dedup for event in first} & {event.dedup for event in later}
    assert [event.observed_ms for event in first] == [5, 5, 5]


def test_what_the_observer_filled_in_stays():
    import msgspec

    own = msgspec.structs.replace(SEEN.event("a", observed_ms=3), dedup="mine")
    assert stamp([own], "x", 1, 5) == (own,)


def test_only_declared_kinds_pass():
    check_kinds([SEEN.event("a")], (SEEN,))
    with pytest.raises(ValueError, match=r"undeclared kind x\.seen"):
        check_kinds([SEEN.event("a")], ())
