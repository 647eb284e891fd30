"""Making room: history before what waits, whole losses, the newest record stays."""

from pathlib import Path

from agent.clock import SystemClock
from agent.spool import room
from agent.spool.spool import Spool, SpoolLimits
from contracts.event import Event, Lane, Loss, Severity


def spool_of(tmp_path: Path, **limits: int) -> Spool:
    return Spool.open(tmp_path / "spool.db", "0" * 32, SpoolLimits(**limits), SystemClock())[0]


def facts(count: int) -> list[Event]:
    return [Event(kind="a.b", key="x" * 200, severity=Severity.LOW) for _ in range(count)]


def test_history_goes_before_anything_that_waits(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, total_bytes=45_000, history_bytes=45_000)
    for _ in range(40):
        spool.append(facts(1))
    spool.acknowledge(Lane.NORMAL, 30)
    for _ in range(60):
        spool.append(facts(1))
    assert spool.states()[1].lost == 0
    assert len(spool.recent(1000)) < 100


def test_the_newest_record_of_a_lane_is_never_history_to_drop(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, history_bytes=0)
    for _ in range(5):
        spool.append(facts(1))
    spool.acknowledge(Lane.NORMAL, 5)
    assert [one.seq for one in spool.recent(10)] == [5]


def test_a_loss_that_the_console_has_half_of_is_told_only_once(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, total_bytes=10_000)
    for _ in range(60):
        spool.append(facts(1))
    first = spool.pending(Lane.NORMAL, 1).items[0]
    assert isinstance(first, Loss)
    for _ in range(60):
        spool.append(facts(1))
    spool.acknowledge(Lane.NORMAL, first.last)
    rest = spool.pending(Lane.NORMAL, 1).items[0]
    assert rest.first == first.last + 1
    assert rest.count == rest.last - rest.first + 1


def test_a_half_acknowledged_bundle_counts_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, total_bytes=12_000)
    spool.append(facts(20))
    spool.acknowledge(Lane.NORMAL, 15)
    for _ in range(40):
        spool.append(facts(1))
    loss = spool.pending(Lane.NORMAL, 1).items[0]
    assert (loss.first, loss.count) == (16, loss.last - 15)
    spool.rewind(Lane.NORMAL, 3)
    (again, *_) = spool.pending(Lane.NORMAL, 1).items
    assert (again.first, again.last, again.count) == (4, loss.last, loss.last - 3)


def test_a_loss_names_its_lane_and_numbers() -> None:
    lost = room.Lost(Lane.BULK, 1, 4, 4, bytes(32))
    assert (lost.lane, lost.last - lost.first + 1) == (Lane.BULK, lost.count)
