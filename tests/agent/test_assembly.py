"""A look on its way: what a worker reports, put together and checked."""

import msgspec
import pytest

from agent import assembly
from agent.assembly import Assembly, checked_cost, own_event
from agent.stamping import stamp
from agent.worker_link import Violation
from contracts.errors import Why
from contracts.event import Event, Severity
from contracts.frames import Done, ReportPage
from contracts.outcome import Cost, Failed, Ok, Unavailable
from contracts.snapshot import EncodedChanges


def event(key="a", **more):
    return Event(kind="x.seen", key=key, severity=Severity.LOW, **more)


def look(pages, outcome=None, revision=4):
    made = Assembly(9, "x", revision, 5.0, 123, lambda look: None)
    for page in pages:
        made.add(page)
    return made.close(Done(id=9, outcome=outcome or Ok(), cost=Cost(wall_s=1.0)), ("x.seen",), "reader")


def test_pages_become_one_look():
    events = stamp([event("a"), event("a"), event("b")], "x", 4, 1000)
    whole = look(
        [ReportPage(id=9, events=events[:1], put={"k": b"1"}), ReportPage(id=9, events=events[1:], removed=("gone",))]
    )
    assert whole.events == events
    assert (whole.changes, whole.started_ms, whole.cost.wall_s) == (
        EncodedChanges(put={"k": b"1"}, removed=("gone",)),
        123,
        1.0,
    )


@pytest.mark.parametrize("outcome", [Failed(error="broke"), Unavailable(why=Why.TIMEOUT, detail="late")])
def test_nothing_of_a_look_that_did_not_end_well_counts(outcome):
    whole = look([ReportPage(id=9, events=(event(),), put={"k": b"1"}, removed=("gone",))], outcome)
    assert (whole.outcome, whole.events, whole.changes) == (outcome, (), EncodedChanges())


def test_a_dedup_key_counts_only_if_it_is_the_one_this_event_must_have():
    right = stamp([event()], "x", 4, 1)[0]
    stolen = msgspec.structs.replace(event(), dedup=stamp([event()], "firewall", 4, 1)[0].dedup)
    assert look([ReportPage(id=9, events=(right,))]).events[0].dedup == right.dedup
    assert look([ReportPage(id=9, events=(stolen,))]).events[0].dedup != stolen.dedup
    assert (
        own_event(stolen, ("x.seen",), "a").dedup
        == own_event(stolen, ("x.seen",), "a").dedup
        != own_event(stolen, ("x.seen",), "b").dedup
    )


def test_a_report_beyond_all_measure_is_a_violation(monkeypatch):
    monkeypatch.setattr(assembly, "MAX_REPORT_BYTES", 100)
    with pytest.raises(Violation):
        look([ReportPage(id=9, put={"a": bytes(60)}), ReportPage(id=9, put={"b": bytes(60)})])
    monkeypatch.setattr(assembly, "MAX_REPORT_EVENTS", 2)
    with pytest.raises(Violation):
        look([ReportPage(id=9, events=(event(),) * 3)])


@pytest.mark.parametrize(
    "cost", [Cost(wall_s=float("nan")), Cost(cpu_s=-1.0), Cost(read_bytes=-1), Cost(peak_bytes=-1)]
)
def test_a_cost_that_cannot_be_is_a_violation(cost):
    with pytest.raises(Violation):
        checked_cost(cost)
