"""The reporter against a real TLS console that comes and goes, answers badly, or holds something else."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from agent.clock import SystemClock
from agent.enrolment import Input, enrol
from agent.identity import Identity
from agent.reporter import BEAT_GAP_S, Reporter, ReporterSettings
from agent.spool.spool import Spool, SpoolLimits
from agent.sqlite_file import FileFull
from agent.state import State
from contracts.coverage import Coverage
from contracts.event import Event, Kind, Lane, Severity
from contracts.snapshot import EncodedChanges
from contracts.wire import Heartbeat

_spec = importlib.util.spec_from_file_location("fake_console", Path(__file__).with_name("fake_console.py"))
fake_console = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_console)
console, facts = fake_console.console, fake_console.facts

CLOCK = SystemClock()
KIND = Kind(name="test.happened", meaning="m", title="t", severity=Severity.LOW, fields={"n": "int", "pad": "str"})


def fact(number: int, lane: Lane = Lane.NORMAL, pad: int = 0) -> Event:
    event = KIND.event(f"k{number}", n=number, pad="x" * pad, observed_ms=number + 1)
    return msgspec.structs.replace(event, lane=lane)


class Agent:
    """Spool, state, identity and reporter of one agent in a folder."""

    def __init__(self, path: Path, console, limits: SpoolLimits | None = None, **settings: float) -> None:
        path.mkdir(exist_ok=True, mode=0o700)
        self.console = console
        self.identity = Identity(path, CLOCK)
        self.spool, _ = Spool.open(path / "spool.db", self.identity.agent, limits or SpoolLimits(), CLOCK)
        self.state, _ = State.open(path / "state.db", CLOCK)
        self.happened: list[Event] = []
        values = {"every": 5.0, "timeout": 30.0, "longest_pause": 0.2, "gather": 0.005, **settings}
        self.reporter = Reporter(
            self.spool, self.state, self.identity, self.beat, ReporterSettings(**values), CLOCK, self.happened.append
        )

    def enrol(self) -> None:
        self.console.tokens.setdefault(self.console.authority.token(), (b"", b""))
        asked = Input(url=self.console.url, token=self.console.authority.token(), facts=fake_console.FACTS, version="1")
        enrol(self.identity, asked, CLOCK)

    def beat(self) -> Heartbeat:
        return Heartbeat(
            sent_ms=0, instance="i", version="1", facts=fake_console.FACTS, uptime_s=1, every_s=1, coverage=Coverage()
        )

    def append(self, *events: Event) -> None:
        self.spool.append(events)
        self.reporter.wake()

    def delivered(self) -> bool:
        return all(acked == head for acked, head in self.spool.positions().values())

    def close(self) -> None:
        self.reporter.stop(2.0)
        self.spool.close()
        self.state.close()


@pytest.fixture
def agent(tmp_path: Path, console) -> Iterator[Agent]:
    made = Agent(tmp_path / "agent", console)
    made.enrol()
    yield made
    made.close()


def until(holds: Callable[[], object], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.01)


def numbers(console, lane: Lane = Lane.NORMAL) -> list[int]:
    return [one.event.fields["n"] for one in console.events[lane] if one.event.kind == KIND.name]


def test_the_first_heartbeat_comes_at_once_and_events_follow_within_moments(tmp_path, console) -> None:
    console.interval_s = 600.0
    agent = Agent(tmp_path / "agent", console, every=600.0)
    agent.enrol()
    agent.reporter.start()
    until(lambda: agent.reporter.status().connected)
    agent.append(fact(1))
    until(lambda: numbers(console) == [1])
    assert len(console.beats) == 1, "the event waited for the next heartbeat"
    status = agent.reporter.status()
    assert (status.enrolled, status.connected, status.last_error) == (True, True, "")
    agent.close()


def test_what_a_full_disk_cannot_note_as_acknowledged_stops_no_report(tmp_path, console, monkeypatch) -> None:
    """The console has it; it is sent again, skipped there, and noted once there is room."""
    agent = Agent(tmp_path / "agent", console, every=0.3)
    agent.enrol()
    acknowledge, full = agent.spool.acknowledge, True

    def noted(lane: Lane, seq: int) -> None:
        if full:
            raise FileFull("no space left")
        acknowledge(lane, seq)

    monkeypatch.setattr(agent.spool, "acknowledge", noted)
    agent.spool.append([fact(1)])
    agent.reporter.start()
    until(lambda: numbers(console) == [1])
    sent = len(console.beats)
    until(lambda: len(console.beats) >= sent + 3)
    status = agent.reporter.status()
    assert (status.connected, status.last_error) == (True, "") and not agent.delivered()
    full = False
    until(agent.delivered)
    assert numbers(console) == [1]
    agent.close()


def test_a_heartbeat_that_is_asked_for_does_not_wait_for_its_time(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, every=60.0)
    agent.enrol()
    agent.reporter.start()
    until(lambda: console.beats)
    sent = len(console.beats)
    agent.reporter.beat()
    until(lambda: len(console.beats) > sent)
    for _ in range(100):
        agent.reporter.beat()
        time.sleep(0.02)
    until(lambda: len(console.beats) > sent + 1)
    # Each is sent so long after the answer to the one before, however slow the machine is.
    came = [at for at, _ in console.beats]
    assert len(came) <= (came[-1] - came[0]) / BEAT_GAP_S + 1, "they are bounded in rate"
    agent.reporter.stop(2.0)


def test_heartbeats_keep_their_time_while_a_backlog_is_sent(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, every=0.5)
    agent.enrol()
    for number in range(160):
        agent.spool.append([fact(number * 100 + one, Lane.BULK, pad=1000) for one in range(100)])
    console.faults = [lambda _handler: time.sleep(0.3) for _ in range(400)]
    agent.reporter.start()
    until(agent.delivered)
    agent.close()
    assert len(console.beats) >= 4
    # Judged by the reports between them, each of which takes 0.3 s: no more than fit into the time, and the one that was under way.
    had = [number for number, with_beat in enumerate(console.reports) if with_beat]
    assert max(later - before for before, later in pairwise(had)) <= 3


def test_the_critical_lane_goes_first(agent, console) -> None:
    agent.spool.append([fact(number, Lane.BULK, pad=3000) for number in range(300)])
    agent.spool.append([fact(number, Lane.CRITICAL) for number in range(5)])
    agent.reporter.start()
    until(agent.delivered)
    assert console.order[0] == Lane.CRITICAL


def test_subjects_travel_as_changes_and_whole_after_the_state_was_lost(agent, console, tmp_path) -> None:
    rows = {f"key{number:04}": msgspec.msgpack.encode({"v": "x" * 1000}) for number in range(2000)}
    agent.state.apply("ports", EncodedChanges(put=rows), 1)
    agent.reporter.start()
    until(lambda: console.subjects.get("ports") == 1)
    agent.state.apply("ports", EncodedChanges(put={"new": msgspec.msgpack.encode({"v": 1})}, removed=("key0000",)), 2)
    agent.reporter.wake()
    until(lambda: console.subjects.get("ports") == 2)
    assert console.rows["ports"]["new"] == b'{"v":1}'
    assert len(console.rows["ports"]) == 2000
    agent.reporter.stop(2)
    agent.spool.close()
    agent.state.close()
    for file in (tmp_path / "agent").glob("state.db*"):
        file.unlink()
    again = Agent(tmp_path / "agent", console)
    for number in range(3):
        again.state.apply("ports", EncodedChanges(put={"only": msgspec.msgpack.encode(number)}), 3)
    again.reporter.start()
    until(lambda: console.rows["ports"] == {"only": b"2"})
    again.close()


@pytest.mark.parametrize("fault", ["drop", "half", "lose the answer", 503, 429, 413, 500, 409])
def test_an_answer_gone_wrong_loses_nothing_and_repeats_nothing(agent, console, fault) -> None:
    agent.reporter.start()
    until(lambda: console.beats)
    console.faults = [fault, fault]
    agent.append(*[fact(number) for number in range(50)])
    until(agent.delivered)
    assert numbers(console) == list(range(50))
    assert not console.breaks or fault == 409


def test_a_slow_answer_is_given_up_and_the_report_repeated(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, timeout=0.3)
    agent.enrol()
    agent.reporter.start()
    until(lambda: console.beats)
    console.faults = [lambda _handler: time.sleep(1.0)]
    agent.append(fact(1))
    until(agent.delivered)
    assert numbers(console) == [1]
    agent.close()


def test_after_an_outage_everything_arrives_in_order(agent, console) -> None:
    agent.reporter.start()
    until(lambda: console.beats)
    for turn in range(3):
        console.stop()
        agent.append(*[fact(turn * 100 + number) for number in range(100)])
        until(lambda: "is not reachable" in agent.reporter.status().last_error)
        assert agent.reporter.status().advice
        console.start()
        until(agent.delivered)
    assert numbers(console) == list(range(300))
    assert not console.breaks


def test_an_outage_longer_than_the_spool_holds_is_counted(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, SpoolLimits(total_bytes=100_000, history_bytes=10_000))
    agent.enrol()
    agent.reporter.start()
    until(lambda: console.beats)
    console.stop()
    for number in range(500):
        agent.append(fact(number, pad=500))
    console.start()
    until(agent.delivered)
    lost = sum(loss.count for loss in console.losses[Lane.NORMAL])
    assert lost > 0
    commitments = [one for one in console.events[Lane.NORMAL] if one.event.kind == "agent.events_lost"]
    assert commitments
    assert lost + len(console.events[Lane.NORMAL]) == console.held[Lane.NORMAL]
    assert numbers(console)[-1] == 499
    agent.close()


def test_a_console_restored_from_a_backup_is_sent_what_it_lacks(agent, console) -> None:
    agent.reporter.start()
    agent.append(*[fact(number) for number in range(20)])
    until(agent.delivered)
    with console.lock:
        chain = fake_console.GENESIS
        for envelope in console.events[Lane.NORMAL][:5]:
            chain = fake_console.link(chain, msgspec.msgpack.encode(envelope))
        console.events[Lane.NORMAL] = console.events[Lane.NORMAL][:5]
        console.held[Lane.NORMAL], console.chains[Lane.NORMAL] = 5, chain
    agent.append(fact(20))
    until(lambda: numbers(console) == list(range(21)))
    assert any(event.kind == "agent.console_behind" for event in agent.happened)


def test_a_console_that_holds_more_makes_the_agent_begin_a_new_chain(agent, console) -> None:
    console.held[Lane.NORMAL], console.chains[Lane.NORMAL] = 700, b"x" * 32
    agent.append(fact(1))
    agent.reporter.start()
    until(lambda: numbers(console) == [1])
    assert console.breaks == [(Lane.NORMAL, 701, 700)]


def test_a_fork_makes_the_agent_begin_a_new_chain_above_it(agent, console) -> None:
    agent.append(*[fact(number) for number in range(10)])
    console.held[Lane.NORMAL], console.chains[Lane.NORMAL] = 4, b"x" * 32
    agent.reporter.start()
    until(lambda: numbers(console) == list(range(10)))
    assert len(console.breaks) == 1


def test_a_revoked_agent_says_so_once_and_waits(agent, console) -> None:
    console.faults = [403] * 50
    agent.reporter.start()
    until(lambda: agent.happened)
    assert [event.kind for event in agent.happened] == ["agent.console_refused"]
    time.sleep(0.3)
    assert len(console.faults) == 49
    until(lambda: "refuses this agent" in agent.reporter.status().last_error)
    until(lambda: agent.reporter.status().retry_in_s > 100)


def test_an_agent_that_is_not_enrolled_says_what_to_do_and_starts_once_it_is(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console)
    agent.reporter.start()
    until(lambda: agent.reporter.status().last_error)
    assert "holdfast enroll" in agent.reporter.status().advice
    agent.enrol()
    until(lambda: console.beats)
    agent.close()


def test_the_clock_skew_is_noted_and_told(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, every=1.0)
    agent.enrol()
    console.skew_ms = 3_600_000
    agent.reporter.start()
    until(lambda: len(console.beats) > 1)
    assert console.beats[1][1].clock_skew_ms == pytest.approx(-3_600_000, abs=2000)
    agent.close()


def test_a_certificate_past_its_time_is_renewed_without_a_pause(agent, console, tmp_path) -> None:
    console.renew_after_ms = 1
    agent.enrol()
    console.renew_after_ms = 2**50
    before = agent.identity.current()
    agent.reporter.start()
    until(lambda: any(event.kind == "agent.certificate_renewed" for event in agent.happened), 60)
    assert agent.identity.current() != before
    agent.append(fact(1))
    until(lambda: numbers(console) == [1])
    assert console.renewals == 1


def test_proxies_in_the_environment_are_ignored(agent, console, monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    agent.reporter.start()
    until(lambda: console.beats)


def test_stopping_sends_the_last_event_and_never_hangs(agent, console) -> None:
    agent.reporter.start()
    until(lambda: console.beats)
    agent.spool.append([fact(9)])
    agent.reporter.stop(20.0)
    assert numbers(console) == [9]


def test_stopping_does_not_wait_for_a_console_that_hangs(tmp_path, console) -> None:
    agent = Agent(tmp_path / "agent", console, timeout=100.0)
    agent.enrol()
    hangs, over = threading.Event(), threading.Event()
    console.faults = [lambda _handler: (hangs.set(), over.wait(100))] * 5
    agent.reporter.start()
    assert hangs.wait(60)
    begun = time.monotonic()
    agent.reporter.stop(0.3)
    assert time.monotonic() - begun < 30
    assert not agent.reporter._thread.is_alive()
    over.set()
    agent.spool.close()


CHILD = """
import sys, importlib.util
from pathlib import Path
here = Path(sys.argv[1])
spec = importlib.util.spec_from_file_location("reporting", here)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
agent = module.Agent(Path(sys.argv[2]), None)
agent.reporter.start()
number = int(sys.argv[3])
while True:
    agent.append(module.fact(number, list(module.Lane)[number % 3])); print(number, flush=True); number += 1
"""


def test_killed_again_and_again_while_the_console_comes_and_goes_nothing_is_lost_or_told_twice(
    tmp_path, console
) -> None:
    agent = Agent(tmp_path / "agent", console)
    agent.enrol()
    agent.close()
    told: list[int] = []
    for turn in range(8):
        words = [sys.executable, "-c", CHILD, __file__, str(tmp_path / "agent"), str(turn * 100_000)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE)
        child.stdout.readline()
        told.append(turn * 100_000)
        if turn % 2:
            console.stop()
            time.sleep(0.05)
            console.start()
        time.sleep(0.05 + 0.02 * turn)
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.communicate()[0].split(b"\n")[:-1] if line]
    agent = Agent(tmp_path / "agent", console)
    agent.reporter.start()
    until(agent.delivered, 60)
    found = [one.event.fields["n"] for lane in Lane for one in console.events[lane]]
    assert len(found) == len(set(found))
    assert set(told) <= set(found)
    assert not console.breaks
    agent.close()
