"""Commands are dry unless they say otherwise, and travel with the event that caused them."""

import msgspec

from contracts.action import Command, Result
from contracts.event import Event, Severity
from contracts.outcome import Failed, Ok


def test_a_command_is_a_dry_run_unless_it_says_otherwise() -> None:
    assert Command(id="1", action="block").dry_run


def test_a_command_travels_with_its_cause() -> None:
    event = Event(kind="a.b", key="k", severity=Severity.HIGH)
    command = Command(id="1", action="block", arguments={"address": "192.0.2.1"}, cause="7", event=event)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Command) == command


def test_a_result_keeps_failure_apart_from_success() -> None:
    assert Result().outcome == Ok()
    failed = Result(outcome=Failed(error="x"), answer={"n": 1})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(failed), type=Result) == failed
