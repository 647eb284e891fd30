"""Judges get decoded views and become looks; a broken one is an outcome, not a crash."""

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import msgpack

from agent.judging import Judging
from contracts.collector import Report
from contracts.event import Kind, Severity
from contracts.judge import View
from contracts.outcome import Failed, Ok, Unavailable
from contracts.record import Record
from contracts.snapshot import Changes, Snapshot

CROWDED = Kind(
    name="crowd.formed", meaning="There are many.", title="{count} rows", severity=Severity.LOW, fields={"count": "int"}
)


class Row(Record):
    size: int


class Verdict(Record):
    crowded: bool


class Crowd:
    """States once that there is more than one row that nobody accepted."""

    name: ClassVar[str] = "crowd"
    kinds: ClassVar[tuple[Kind, ...]] = (CROWDED,)
    subjects: ClassVar[Mapping[str, type[Record]]] = {"ports": Row}
    row = Verdict
    every_s: ClassVar[float] = 0.0

    def judge(self, view: View, before: Snapshot[Verdict]) -> Report[Verdict]:
        accepted = view.accepted["ports"].rows
        crowded = len([key for key in view.snapshots["ports"].rows if key not in accepted]) > 1
        if not crowded or "all" in before.rows:
            return Report()
        return Report(events=(CROWDED.event("all", count=2),), changes=Changes(put={"all": Verdict(crowded=True)}))


class Broken(Crowd):
    name = "broken"

    def judge(self, view: View, before: Snapshot[Verdict]) -> Report[Verdict]:
        raise KeyError("a defect")


class Store:
    def __init__(self) -> None:
        self.subjects: dict[str, dict[str, Any]] = {"ports": {"a": Row(size=1), "b": Row(size=2)}}
        self.baseline: dict[str, Any] = {}

    def revision(self, subject: str) -> int:
        return 1 if subject in self.subjects else 0

    def rows(self, subject: str) -> dict[str, bytes]:
        return {key: msgpack.encode(row) for key, row in self.subjects.get(subject, {}).items()}

    def at_ms(self, subject: str) -> int:
        return 5

    def accepted(self, subject: str) -> tuple[int, dict[str, bytes]]:
        return int(bool(self.baseline)), {key: msgpack.encode(row) for key, row in self.baseline.items()}


class Clock:
    def now_ms(self) -> int:
        return 7000

    def monotonic(self) -> float:
        return 1.0


def test_a_conclusion_comes_as_a_look_with_stamped_events_and_encoded_rows() -> None:
    look = Judging([Crowd()], Store(), Clock()).judge("crowd")
    assert look.outcome == Ok()
    assert look.events[0].dedup and look.events[0].observed_ms == 7000
    assert look.changes.put == {"all": msgpack.encode(Verdict(crowded=True))}


def test_accepted_rows_are_in_the_view() -> None:
    store = Store()
    store.baseline = {"a": Row(size=1)}
    assert Judging([Crowd()], store, Clock()).judge("crowd").events == ()


def test_a_held_conclusion_is_not_stated_again() -> None:
    store = Store()
    store.subjects["crowd"] = {"all": Verdict(crowded=True)}
    assert Judging([Crowd()], store, Clock()).judge("crowd").events == ()


def test_a_judge_that_breaks_is_a_failed_look() -> None:
    look = Judging([Broken()], Store(), Clock()).judge("broken")
    assert isinstance(look.outcome, Failed)
    assert "KeyError" in look.outcome.error


def test_rows_of_another_shape_are_unavailable_and_own_old_conclusions_are_made_anew() -> None:
    store = Store()
    store.subjects["crowd"] = {"all": Row(size=3)}
    assert Judging([Crowd()], store, Clock()).judge("crowd").events
    store.subjects["ports"] = {"a": Verdict(crowded=True)}
    assert isinstance(Judging([Crowd()], store, Clock()).judge("crowd").outcome, Unavailable)


def test_a_changed_subject_calls_for_the_judges_that_look_at_it() -> None:
    judging = Judging([Crowd(), Broken()], Store(), Clock())
    assert judging.concerned("ports") == ("crowd", "broken")
    assert judging.concerned("firewall") == ()
