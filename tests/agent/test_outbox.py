"""The outbox: what goes first, how much, and what an answer means. No network."""

from pathlib import Path

import msgspec
import pytest

from agent.clock import SystemClock
from agent.outbox import MIN_BUDGET, Outbox
from agent.spool.spool import Spool, SpoolLimits
from agent.state import State
from contracts.event import Event, Lane, Severity
from contracts.snapshot import EncodedChanges
from contracts.wire import Ack, Problem


class Desk:
    def __init__(self, path: Path) -> None:
        self.spool, _ = Spool.open(path / "spool.db", "0" * 32, SpoolLimits(), SystemClock())
        self.state, _ = State.open(path / "state.db", SystemClock())
        self.happened: list[Event] = []
        self.outbox = Outbox(self.spool, self.state, "0" * 32, self.happened.append)

    def put(self, lane: Lane, count: int, size: int = 10) -> None:
        self.spool.append([Event(kind="a.b", key="x" * size, severity=Severity.LOW, lane=lane) for _ in range(count)])

    def lanes(self, budget: int = 1 << 20) -> dict[Lane, int]:
        return {part.lane: len(part.items) for part in self.outbox.compose(None, budget).lanes}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def ack(lanes: dict[Lane, int] | None = None, subjects: dict[str, int] | None = None) -> Ack:
    return Ack(lanes=lanes or {}, subjects=subjects or {}, now_ms=1)


def test_urgent_lanes_take_the_room(desk) -> None:
    desk.put(Lane.BULK, 50)
    desk.put(Lane.CRITICAL, 50, 1000)
    assert list(desk.lanes()) == [Lane.CRITICAL, Lane.BULK]
    assert list(desk.lanes(MIN_BUDGET)) == [Lane.CRITICAL]


def test_subjects_wait_until_the_console_has_said_what_it_holds(desk) -> None:
    desk.state.touch("ports", 1)
    assert desk.outbox.compose(None, 1 << 20).subjects == ()
    desk.outbox.acknowledged(ack())
    assert [part.base for part in desk.outbox.compose(None, 1 << 20).subjects] == [0]
    assert desk.outbox.waiting()


def test_subjects_have_a_share_beside_a_backlog(desk) -> None:
    desk.state.touch("ports", 1)
    desk.put(Lane.BULK, 100, 2000)
    desk.outbox.acknowledged(ack())
    batch = desk.outbox.compose(None, MIN_BUDGET)
    assert batch.lanes
    assert batch.subjects


def test_pages_go_on_only_after_an_answer(desk) -> None:
    rows = {f"k{n:03}": msgspec.msgpack.encode("x" * 500) for n in range(100)}
    desk.state.apply("ports", EncodedChanges(put=rows), 1)
    desk.outbox.acknowledged(ack())
    first = desk.outbox.compose(None, MIN_BUDGET).subjects
    desk.outbox.failed()
    assert desk.outbox.compose(None, MIN_BUDGET).subjects == first
    desk.outbox.acknowledged(ack())
    second = desk.outbox.compose(None, MIN_BUDGET).subjects
    assert min(second[0].put) > max(first[-1].put)


def test_an_acknowledgement_counts_only_for_what_was_sent(desk) -> None:
    desk.put(Lane.NORMAL, 10)
    desk.outbox.acknowledged(ack({Lane.NORMAL: 5}))
    assert desk.spool.positions()[Lane.NORMAL] == (0, 10)
    desk.lanes()
    desk.outbox.acknowledged(ack({Lane.NORMAL: 5}))
    assert desk.spool.positions()[Lane.NORMAL] == (5, 10)
    assert desk.outbox.progress
    desk.lanes()
    desk.outbox.acknowledged(ack({Lane.NORMAL: 5}))
    assert not desk.outbox.progress


def test_a_conflict_without_a_culprit_is_narrowed_down_to_one_lane(desk) -> None:
    desk.put(Lane.CRITICAL, 1)
    desk.put(Lane.NORMAL, 1)
    assert len(desk.lanes()) == 2
    assert desk.outbox.conflicted(Problem(error="broken"))
    assert list(desk.lanes()) == [Lane.CRITICAL]
    desk.outbox.acknowledged(ack({Lane.CRITICAL: 1}))
    assert list(desk.lanes()) == [Lane.NORMAL]
    assert desk.outbox.conflicted(Problem(error="broken", lanes={Lane.CRITICAL: 1}))
    assert desk.spool.positions()[Lane.NORMAL] == (1, 3)
    desk.lanes()
    assert not desk.outbox.conflicted(Problem(error="broken", lanes={Lane.CRITICAL: 1}))


def test_a_subject_refused_on_its_very_revision_is_sent_whole(desk) -> None:
    desk.state.touch("ports", 1)
    desk.state.hold("ports", 1)
    desk.state.apply("ports", EncodedChanges(put={"a": b"\x01"}), 2)
    desk.outbox.acknowledged(ack(subjects={"ports": 1}))
    assert [part.base for part in desk.outbox.compose(None, 1 << 20).subjects] == [1]
    assert desk.outbox.conflicted(Problem(error="no", subjects={"ports": 1}))
    assert [part.base for part in desk.outbox.compose(None, 1 << 20).subjects] == [0]
