"""Frames between core and worker are told apart by their tag, and each side's are not the other's."""

import msgspec
import pytest

from contracts.action import Command, Result
from contracts.event import Event, Severity
from contracts.frames import (
    Advance,
    Changed,
    Collect,
    Do,
    Done,
    Emitted,
    Finished,
    FromCore,
    FromWorker,
    Gap,
    Goodbye,
    Hello,
    NeedSnapshot,
    Ping,
    Pong,
    Ready,
    ReportPage,
    SnapshotPage,
    Stored,
    Watching,
)
from contracts.outcome import Cost, Ok

EVENT = Event(kind="a.b", key="k", severity=Severity.LOW)
CORE = (
    Hello(protocol=1, options={}),
    Collect(id=1, subject="s", revision=0, deadline_s=1),
    SnapshotPage(id=1, subject="s", revision=1, rows={"a": b"x"}, at_ms=1, last=True),
    Stored(id=1, subject="s", revision=2),
    Do(id=1, command=Command(id="1", action="a"), deadline_s=1),
    Ping(nonce=1),
    Goodbye(),
)
WORKER = (
    Ready(protocol=1, worker="w", pid=1, uid=1, capabilities=()),
    NeedSnapshot(id=1, subject="s"),
    ReportPage(id=1, events=(EVENT,), put={"a": b"x"}),
    Done(id=1, outcome=Ok(), cost=Cost()),
    Emitted(watcher="w", event=EVENT),
    Changed(watcher="w", subject="s"),
    Gap(watcher="w", reason="r", seconds=1),
    Watching(watcher="w", outcome=Ok()),
    Advance(id=1, done=1, total=2, unit="B"),
    Finished(id=1, result=Result(), cost=Cost()),
    Pong(nonce=1),
)


@pytest.mark.parametrize(("frames", "side"), [(CORE, FromCore), (WORKER, FromWorker)])
def test_every_frame_comes_back_as_itself(frames: tuple, side: object) -> None:
    for frame in frames:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=side) == frame


def test_a_worker_cannot_say_what_only_the_core_may() -> None:
    for frame in CORE:
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=FromWorker)
