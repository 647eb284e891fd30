"""What a collector is: anything with its shape; its report is empty until it says something."""

from contracts.collector import Collector, Report
from contracts.event import Kind, Severity
from contracts.host import ReadOnlyHost
from contracts.options import CollectorOptions
from contracts.record import Record
from contracts.snapshot import Snapshot, compare

SEEN = Kind(name="lamp.lit", meaning="The lamp was lit.", title="lit", severity=Severity.LOW)


class Lamp(Record):
    lit: bool


class Lamps:
    name = "lamps"
    kinds = (SEEN,)
    row = Lamp
    options = CollectorOptions

    def collect(self, host: ReadOnlyHost, before: Snapshot[Lamp]) -> Report[Lamp]:
        changes = compare(before.rows, {"hall": Lamp(lit=True)})
        events = () if before.first else tuple(SEEN.event(key) for key in changes.put)
        return Report(events=events, changes=changes)


def test_a_class_of_this_shape_is_a_collector() -> None:
    lamps: Collector[Lamp] = Lamps()
    report = lamps.collect(None, Snapshot(subject="lamps"))  # type: ignore[arg-type]
    assert report.events == ()
    assert set(report.changes.put) == {"hall"}
    changed = lamps.collect(None, Snapshot(subject="lamps", revision=1))  # type: ignore[arg-type]
    assert [event.key for event in changed.events] == ["hall"]


def test_a_report_says_nothing_by_itself() -> None:
    assert Report[Lamp]() == Report(events=(), blind=())
    assert not Report[Lamp]().changes
