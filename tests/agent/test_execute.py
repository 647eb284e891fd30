"""The one central execute: exactly one outcome, whatever a plug-in does."""

import errno
import os
import signal
import sqlite3
import time
from datetime import UTC, datetime

import msgspec
import pytest

from agent.execute import act, look, settle
from contracts.action import Command, Result
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Malformed, Refused, Unavailable, Why
from contracts.event import Event, Kind, Severity, dedup_key
from contracts.outcome import Failed, Ok
from contracts.outcome import Unavailable as CouldNot
from contracts.snapshot import Snapshot

SEEN = Kind(name="x.seen", meaning="It was seen.", title="seen", severity=Severity.LOW)
OTHER = Kind(name="x.other", meaning="Nobody declares it.", title="other", severity=Severity.LOW)
BEFORE = Snapshot(subject="x", revision=7)


class Host:
    read_bytes = 0
    dry = False

    def now(self):
        return datetime(2024, 5, 6, tzinfo=UTC)


class Looks:
    name, kinds = "x", (SEEN,)

    def __init__(self, how):
        self.how = how

    def collect(self, host, before):
        return self.how(host)

    def do(self, host, command, progress):
        return self.how(host)


def throw(error):
    def how(host):
        raise error

    return how


def test_a_good_look_is_ok_with_time_key_and_cost():
    def how(host):
        host.read_bytes += 4096
        return Report(
            events=(SEEN.event("a"), SEEN.event("b", observed_ms=5)), blind=(Blind(what="half", why=Why.OTHER),)
        )

    found = look(Looks(how), Host(), BEFORE)
    assert found.outcome == Ok()
    assert [event.observed_ms for event in found.events] == [1714953600000, 5]
    assert [event.dedup for event in found.events] == [
        dedup_key("x", 7, "x.seen", "a"),
        dedup_key("x", 7, "x.seen", "b"),
    ]
    assert found.cost.read_bytes == 4096 and found.cost.peak_bytes > 1 << 20 and found.blind


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            Unavailable(Why.TOOL_MISSING, "no nft", advice="Install it."),
            CouldNot(why=Why.TOOL_MISSING, detail="no nft", fix="Install it."),
        ),
        (HoldfastError("a condition", permanent=False), Failed(error="a condition", permanent=False)),
    ],
)
def test_conditions_keep_what_they_say(error, outcome):
    assert look(Looks(throw(error)), Host(), BEFORE).outcome == outcome


@pytest.mark.parametrize(
    "error",
    [
        msgspec.ValidationError("Expected int"),
        Malformed("odd"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_what_does_not_fit_its_type_could_not_be_looked_at(error):
    outcome = look(Looks(throw(error)), Host(), BEFORE).outcome
    assert isinstance(outcome, CouldNot) and outcome.why == Why.MALFORMED


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("x"),
        SystemExit(3),
        RecursionError(),
        MemoryError(),
        OSError(5, "I/O"),
        KeyError("\udcff" * 999),
    ],
)
def test_a_defect_is_failed_with_its_type_and_line_and_never_empty_ok(error):
    found = look(Looks(throw(error)), Host(), BEFORE)
    assert isinstance(found.outcome, Failed)
    assert found.outcome.error.startswith(type(error).__name__) and "agent/test_execute.py:" in found.outcome.error
    assert len(found.outcome.error) < 5000
    msgspec.msgpack.encode(found.outcome)
    assert not found.events and not found.changes


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_condition_with_advice_and_no_defect(number):
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    for error in (OSError(number, os.strerror(number), "/var/x"), full):
        outcome = look(Looks(throw(error)), Host(), BEFORE).outcome
        assert isinstance(outcome, CouldNot) and "no room on the disk" in outcome.detail
        assert outcome.fix.startswith("Free space")


def test_no_report_or_an_undeclared_kind_is_failed():
    assert "NoneType, not a Report" in look(Looks(lambda host: None), Host(), BEFORE).outcome.error
    assert (
        "undeclared kind x.other"
        in look(Looks(lambda host: Report(events=(OTHER.event("a"),))), Host(), BEFORE).outcome.error
    )


def test_a_look_past_its_deadline_is_interrupted_even_where_it_catches_everything():
    def stubborn(host):
        while True:
            try:
                time.sleep(100)
            except Exception:  # noqa: BLE001  # as a careless plug-in would
                continue

    started = time.monotonic()
    outcome = look(Looks(stubborn), Host(), BEFORE, deadline_s=0.1).outcome
    assert time.monotonic() - started < 30
    assert outcome.error.startswith("timeout: not done after 0.1 s (agent/test_execute.py:")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_deadline_does_not_ring_after_a_look_that_kept_it():
    assert look(Looks(lambda host: Report()), Host(), BEFORE, deadline_s=60.0).outcome == Ok()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_thread_that_settles_does_not_disarm_the_main_threads_deadline():
    outcome, _ = settle(lambda: (settle(lambda: None, None), time.sleep(5)), 0.1)
    assert "timeout" in outcome.error


def test_what_a_command_raises_leaves_the_exit_code_in_the_answer():
    command = Command(id="c", action="x")
    for error, code in ((Refused("no"), 77), (HoldfastError("no"), 1), (Unavailable(Why.OTHER, "no"), 1)):
        assert act(Looks(throw(error)), Host(), command, lambda *_: None)[0].answer == {"code": code}
    assert act(Looks(throw(ValueError("a defect"))), Host(), command, lambda *_: None)[0].answer == {}


def test_a_command_gives_a_result_with_keys_of_its_own_or_says_why_not():
    command = Command(id="c", action="x")
    result, cost = act(Looks(lambda host: Result(events=(SEEN.event("a"),))), Host(), command, lambda *_: None)
    assert (
        result.outcome == Ok() and isinstance(result.events[0], Event) and result.events[0].dedup and cost.wall_s >= 0
    )
    assert isinstance(act(Looks(lambda host: 3), Host(), command, lambda *_: None)[0].outcome, Failed)
    assert (
        act(Looks(throw(Unavailable(Why.PERMISSION, "no"))), Host(), command, lambda *_: None)[0].outcome.why
        == Why.PERMISSION
    )
