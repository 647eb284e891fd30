"""What agents and console say to one another fits its limits and says what it does not hold."""

import msgspec
import pytest

from contracts.coverage import Coverage
from contracts.event import GENESIS, Lane, Loss, Sealed
from contracts.host import Facts
from contracts.wire import MAX_BATCH_BYTES, MAX_BATCH_RAW_BYTES, Ack, Batch, Heartbeat, LanePart, Problem, SubjectPart

FACTS = Facts(hostname="h", machine_id="", boot_id="", kernel="", os_name="", architecture="", cpus=1, memory_bytes=1)


def beat() -> Heartbeat:
    return Heartbeat(sent_ms=1, instance="i", version="1", facts=FACTS, uptime_s=1, every_s=30, coverage=Coverage())


def test_a_report_comes_back_unchanged() -> None:
    part = LanePart(
        lane=Lane.BULK,
        previous=GENESIS,
        items=(Loss(first=1, last=2, count=2, chain=GENESIS), Sealed(seq=3, chain=GENESIS, body=b"x")),
    )
    subject = SubjectPart(subject="ports", base=0, revision=2, put={"a": b"{}"}, removed=("b",))
    batch = Batch(agent="a", heartbeat=beat(), lanes=(part,), subjects=(subject,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch


def test_an_answer_names_lanes_by_their_words() -> None:
    raw = msgspec.msgpack.encode(Ack(lanes={Lane.CRITICAL: 4}, subjects={}, now_ms=1))
    assert msgspec.msgpack.decode(raw)["lanes"] == {"critical": 4}
    assert msgspec.msgpack.decode(raw, type=Ack).lanes == {Lane.CRITICAL: 4}


def test_a_problem_needs_only_to_say_what_it_is() -> None:
    assert Problem(error="x") == msgspec.msgpack.decode(msgspec.msgpack.encode({"error": "x"}), type=Problem)


def test_a_heartbeat_without_its_instance_is_refused() -> None:
    raw = msgspec.to_builtins(beat())
    del raw["instance"]
    with pytest.raises(msgspec.ValidationError, match="instance"):
        msgspec.convert(raw, Heartbeat)


def test_the_limits_leave_room_for_compression() -> None:
    assert MAX_BATCH_BYTES < MAX_BATCH_RAW_BYTES
