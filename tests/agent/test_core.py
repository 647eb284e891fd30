"""The way of a fact, with fakes at every end: nothing advances before it is durable, and every failure to look is stated."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import msgpack

from agent.core import MAX_RECENT_RUNS, Core, Plan
from agent.coverage import CoverageBook
from agent.intake import Intake
from agent.judging import Judging
from agent.responder import Deed, Responder
from agent.scheduler import Job, Scheduler
from agent.settings import Rule
from agent.sqlite_file import FileFull
from agent.supervision import Look
from agent.timed import Timed, TimedDeeds
from contracts.action import Command, Result
from contracts.collector import Report
from contracts.coverage import Blind, Sight
from contracts.errors import Why
from contracts.event import Envelope, Event, Kind, Severity
from contracts.frames import Advance
from contracts.judge import View
from contracts.outcome import Cost, Ok, Run, Unavailable
from contracts.proof import Proof, Verb
from contracts.record import Record
from contracts.runs import RunState
from contracts.snapshot import Changes, EncodedChanges, Snapshot
from contracts.wire import WorkerState

OPENED = Event(kind="ports.listener_opened", key="tcp/22", severity=Severity.LOW, fields={"port": 22})
NOTED = Kind(name="stale.noted", meaning="A judge noted.", title="noted", severity=Severity.LOW)


class World:
    """Clock, timers, spool, store and workers in one, recording the order of what happens."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.seconds = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.spooled: list[Event] = []
        self.full = self.state_full = False
        self.subjects: dict[str, dict[str, bytes]] = {}
        self.revisions: dict[str, int] = {}
        self.facts: dict[str, bytes] = {}
        self.ledger: list[Run] = []
        self.asked: list[tuple[str, Callable[[Look], None]]] = []
        self.workers = (WorkerState(name="reader", state="running"),)
        self.gone: tuple[Blind, ...] = ()
        self.commands: list[tuple[Command, Callable[[Result, Cost], None]]] = []

    def now_ms(self) -> int:
        return 1_800_000_000_000 + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        entry = (self.seconds + delay_s, callback)
        self.timers.append(entry)
        return type("Timer", (), {"cancel": lambda _: self.timers.remove(entry) if entry in self.timers else None})()

    def advance(self, seconds: float) -> None:
        end = self.seconds + seconds
        while due := [entry for entry in self.timers if entry[0] <= end]:
            entry = min(due, key=lambda each: each[0])
            self.timers.remove(entry)
            self.seconds = max(self.seconds, entry[0])
            entry[1]()
        self.seconds = end

    def append(self, events: Sequence[Event]) -> list[Envelope]:
        if self.full:
            raise FileFull("no space left")
        self.spooled += events
        self.log += [f"spool {event.kind}" for event in events]
        return [Envelope(id=event.dedup, agent="a", lane=event.lane, seq=1, event=event) for event in events]

    def revision(self, subject: str) -> int:
        return self.revisions.get(subject, 0)

    def rows(self, subject: str) -> dict[str, bytes]:
        return self.subjects.get(subject, {})

    def at_ms(self, subject: str) -> int:
        return 0

    def accepted(self, subject: str) -> tuple[int, dict[str, bytes]]:
        return 0, {}

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        if self.state_full:
            raise FileFull("no space left")
        self.log.append(f"store {subject}")
        rows = self.subjects.setdefault(subject, {})
        rows.update(changes.put)
        for key in changes.removed:
            rows.pop(key, None)
        self.revisions[subject] = self.revision(subject) + 1
        return self.revisions[subject]

    def touch(self, subject: str, at_ms: int) -> None:
        self.revisions.setdefault(subject, 1)

    def record(self, run: Run) -> None:
        self.ledger.append(run)

    def get(self, name: str) -> bytes | None:
        return self.facts.get(name)

    def put(self, name: str, value: bytes) -> None:
        self.facts[name] = value

    def collect(self, subject: str, deadline_s: float, done: Callable[[Look], None]) -> None:
        self.asked.append((subject, done))

    def stored(self, look_id: int, subject: str, revision: int) -> None:
        self.log.append(f"stored {subject} {revision}")

    def do(
        self, worker: str, command: Command, deadline_s: float, done: Callable[[Result, Cost], None], progress: Any
    ) -> None:
        self.commands.append((command, done))
        self.progress = progress

    def states(self) -> tuple[WorkerState, ...]:
        return self.workers

    def lost(self) -> dict[str, tuple[Blind, ...]]:
        return {"reader": self.gone}

    def kinds(self) -> list[str]:
        return [event.kind for event in self.spooled]


class Stale:
    name = "stale"
    kinds = (NOTED,)
    subjects = {"agent.runs": RunState, "ports": Record}
    row = RunState
    every_s = 300.0

    def __init__(self) -> None:
        self.views: list[View] = []

    def judge(self, view: View, before: Snapshot[RunState]) -> Report[RunState]:
        self.views.append(view)
        held = view.snapshots["agent.runs"].rows["ports"]
        return Report(events=(NOTED.event("ports"),), changes=Changes(put={"ports": held}))


class Bench:
    def __init__(self, *rules: Rule, judges: Sequence[Any] = ()) -> None:
        self.world = world = World()
        self.core = Core(world, world, CoverageBook())
        self.chores: list[str] = []
        deeds = {"notify": Deed(action="notify", worker="messenger", arguments={"channel": "str"})}
        self.core.bind(
            Intake(world, world, world, "i", self.core.stored),
            Scheduler(world, world, world, self.core.run, chance=lambda: 0.5),
            world,
            Judging(judges, world, world),
            Responder(rules, deeds, self.core.do, world, lambda: "command-id"),
            {"trim": lambda: self.chores.append("trim")},
        )
        self.core.follow(Plan(looks={"ports": 60.0}, watchers={"ruleset": "ports"}, hosts={"reader": ("ports",)}))

    def finish(self, **more: Any) -> None:
        subject, done = self.world.asked.pop(0)
        base: dict[str, Any] = {"id": 7, "subject": subject, "outcome": Ok(), "started_ms": self.world.now_ms()}
        done(Look(**{**base, **more}))

    def sight(self, subject: str = "ports") -> Sight:
        return next(sight for sight in self.core.sight().sights if sight.subject == subject)


ROW = EncodedChanges(put={"tcp/22": msgpack.encode({})})


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.world.advance(0)
    return made


def test_events_are_spooled_before_the_snapshot_and_the_worker_hears_of_it_last(bench: Bench) -> None:
    bench.finish(events=(OPENED,), changes=ROW)
    assert bench.world.log == ["spool ports.listener_opened", "store ports", "stored ports 1"]
    assert bench.sight().state == "seen"
    assert bench.sight().rows == 1
    assert (bench.world.ledger[0].name, bench.world.ledger[0].events) == ("ports", 1)


def test_a_look_that_found_nothing_new_still_proves_that_it_looked(bench: Bench) -> None:
    bench.finish()
    assert bench.sight().last_ok_ms == bench.world.now_ms()
    assert bench.world.revision("ports") == 1


def test_a_failure_to_look_changes_nothing_and_is_stated(bench: Bench) -> None:
    bench.finish(outcome=Unavailable(why=Why.TOOL_MISSING, detail="ss is missing"), changes=ROW)
    assert bench.world.rows("ports") == {}
    assert bench.world.kinds() == ["agent.collector_unavailable"]
    assert bench.sight().state == "unseen"
    bench.world.advance(61)
    bench.finish()
    assert bench.world.kinds()[-1] == "agent.collector_recovered"


def test_on_a_full_disk_the_snapshot_does_not_advance_and_nothing_is_lost(bench: Bench) -> None:
    bench.world.full = True
    bench.finish(events=(OPENED,), changes=ROW)
    assert (bench.world.rows("ports"), bench.world.log) == ({}, [])
    assert bench.sight().blind[0].detail == "no space left"
    bench.world.advance(300)
    assert not bench.world.asked, "a subject whose result waits is not looked at again"
    bench.world.full = False
    bench.world.advance(10)
    assert bench.world.log[:3] == ["spool ports.listener_opened", "store ports", "stored ports 1"]
    assert "agent.disk_full" in bench.world.kinds()
    bench.world.advance(61)
    assert bench.world.asked


def test_who_asked_for_a_look_that_finds_the_disk_full_is_told_so() -> None:
    bench = Bench()
    bench.world.advance(0.05)
    told: list[Look] = []
    assert bench.core.look("ports", told.append)
    bench.world.full = True
    bench.finish(events=(OPENED,), changes=ROW)
    outcome = told[0].outcome
    assert isinstance(outcome, Unavailable) and (outcome.detail, outcome.why) == ("no space left", Why.OTHER)
    bench.world.full = False
    bench.world.advance(10)
    assert bench.world.rows("ports") and len(told) == 1


def test_a_judge_of_the_runs_waits_for_room_and_then_judges() -> None:
    """What the core itself writes to the state is in the same order, and a full disk is no end of it."""
    judge = Stale()
    bench = Bench(judges=[judge])
    bench.world.advance(0.05)
    bench.world.state_full, before = True, len(judge.views)
    bench.finish(events=(OPENED,), changes=ROW)
    bench.world.advance(5)
    assert bench.core.intake.full and len(judge.views) == before
    assert bench.core.sight().sights[0].subject == "state disk"
    bench.world.state_full = False
    bench.world.advance(20)
    assert len(judge.views) > before and not bench.core.intake.full


def test_what_goes_beside_every_deed_prepares_it_and_hears_of_its_end() -> None:
    bench = Bench()

    class Beside:
        ended_with: Any = None

        def prepare(self, command: Command) -> Command:
            return msgspec.structs.replace(command, arguments={**command.arguments, "more": 1})

        def ended(self, command: Command, result: Result) -> None:
            self.ended_with = (command.arguments, result.summary)

    bench.core.beside = beside = Beside()
    bench.core.do_for(
        Deed(action="scan", worker="steward"),
        Command(id="1", action="scan", dry_run=False),
        lambda _: None,
        lambda _: None,
    )
    command, done = bench.world.commands[0]
    done(Result(summary="done"), Cost())
    assert (command.arguments, beside.ended_with) == ({"more": 1}, ({"more": 1}, "done"))


def test_a_changed_subject_wakes_its_judge_which_sees_how_the_runs_ended() -> None:
    judge = Stale()
    bench = Bench(judges=[judge])
    bench.world.advance(0.05)
    bench.finish(events=(OPENED,), changes=ROW)
    bench.world.advance(1)
    assert judge.views[-1].snapshots["agent.runs"].rows["ports"].outcome == "ok"
    assert bench.world.kinds()[-1] == "stale.noted"
    assert "store stale" in bench.world.log


def test_a_rule_answers_an_event_and_states_what_came_of_it() -> None:
    bench = Bench(Rule(when="ports.*", do="notify", arguments={"channel": "admins"}, dry_run=False))
    bench.world.advance(0)
    bench.finish(events=(OPENED,), changes=ROW)
    command, done = bench.world.commands[0]
    assert command.arguments == {"channel": "admins"}
    proof = Proof(subject="notify/admins", verb=Verb.REACHED, at_ms=1, valid_s=60)
    done(Result(summary="told admins", proof=proof), Cost(wall_s=1))
    assert bench.world.kinds() == ["ports.listener_opened", "agent.action_done"]
    assert bench.core.proofs["notify/admins", "reached"] == proof
    assert Core(bench.world, bench.world, CoverageBook()).proofs == bench.core.proofs, "it outlives a restart"


def test_a_rule_whose_action_found_nothing_to_do_is_no_event() -> None:
    bench = Bench(Rule(when="ports.*", do="notify", arguments={"channel": "admins"}, dry_run=False))
    bench.world.advance(0)
    bench.finish(events=(OPENED,), changes=ROW)
    _, done = bench.world.commands[0]
    done(Result(), Cost(wall_s=1))
    assert bench.world.kinds() == ["ports.listener_opened"]


def test_what_ends_after_a_while_is_looked_at_then_whatever_was_looked_at_before() -> None:
    bench = Bench(Rule(when="ports.*", do="notify", arguments={"channel": "admins"}, dry_run=False))
    bench.world.advance(0)
    bench.finish(events=(OPENED,), changes=ROW)
    _, done = bench.world.commands[0]
    done(Result(looks={"ports": 20.0, "nothing": 1.0}), Cost())
    bench.core.changed("ruleset", "ports")
    bench.world.advance(1)
    bench.finish()
    bench.world.advance(18)
    assert bench.world.asked == []
    bench.world.advance(2)
    assert [subject for subject, _ in bench.world.asked] == ["ports"]


def test_what_an_action_caused_does_not_trigger_its_rule_again() -> None:
    bench = Bench(Rule(when="*", do="notify", arguments={"channel": "admins"}, dry_run=False))
    bench.world.advance(0)
    bench.finish(events=(OPENED,), changes=ROW)
    _, done = bench.world.commands.pop()
    done(Result(outcome=Unavailable(why=Why.OTHER, detail="no route"), events=(OPENED,)), Cost())
    assert bench.world.kinds() == ["ports.listener_opened", "ports.listener_opened", "agent.action_failed"]
    assert not bench.world.commands


def test_a_dry_run_only_says_what_it_would_do() -> None:
    bench = Bench(Rule(when="*", do="notify", arguments={"channel": "admins"}))
    bench.world.advance(0)
    bench.finish(events=(OPENED,), changes=ROW)
    command, done = bench.world.commands.pop()
    assert command.dry_run
    done(Result(summary="would tell admins"), Cost())
    assert bench.world.kinds()[-1] == "agent.action_would_run"


def test_a_watcher_makes_its_subject_be_looked_at_soon(bench: Bench) -> None:
    bench.finish()
    bench.core.changed("ruleset", "ports")
    bench.world.advance(0.2)
    assert [subject for subject, _ in bench.world.asked] == ["ports"]


def test_a_gap_is_stated_and_followed_by_a_full_look(bench: Bench) -> None:
    bench.finish()
    bench.core.gap("ruleset", "overflow", 3.0)
    bench.world.advance(0.2)
    assert bench.world.kinds() == ["agent.watch_gap"]
    assert len(bench.world.asked) == 1


def test_a_watcher_that_cannot_watch_makes_its_subject_partial_until_it_can(bench: Bench) -> None:
    bench.finish()
    bench.core.watching("ruleset", Unavailable(why=Why.PERMISSION, detail="no CAP_NET_ADMIN"), ())
    assert bench.sight().state == "partial"
    bench.world.advance(0.2)
    assert not bench.world.asked
    bench.core.watching("ruleset", Ok(), ())
    bench.world.advance(0.2)
    assert len(bench.world.asked) == 1, "what happened meanwhile is found by a full look"
    assert bench.sight().state == "seen"


def test_a_subject_that_is_only_watched_has_its_own_sight(bench: Bench) -> None:
    bench.core.follow(Plan(watchers={"traffic": "traffic"}))
    assert bench.sight("traffic").state == "unknown"
    bench.core.watching("traffic", Unavailable(why=Why.PERMISSION, detail="no CAP_NET_RAW"), ())
    assert bench.sight("traffic").state == "unseen"
    bench.core.watching("traffic", Ok(), (Blind(what="loopback", why=Why.DISABLED),))
    assert bench.sight("traffic").state == "partial"


def test_someone_may_wait_for_a_look(bench: Bench) -> None:
    bench.finish()
    seen: list[Look] = []
    assert bench.core.look("ports", seen.append)
    assert not bench.core.look("nothing", seen.append)
    bench.world.advance(0.2)
    bench.finish(events=(OPENED,))
    assert seen[0].events == (OPENED,)


def test_a_subject_switched_off_by_a_reload_is_unseen_on_purpose_and_not_looked_at(bench: Bench) -> None:
    bench.finish()
    bench.core.follow(Plan(disabled=("ports",), chores=(Job(name="trim", every_s=60),)))
    bench.world.advance(70)
    assert not bench.world.asked
    assert bench.sight().blind[0].why == Why.DISABLED
    assert bench.chores == ["trim", "trim"]


def test_the_runs_that_a_heartbeat_tells_of_are_the_newest(bench: Bench) -> None:
    bench.finish()
    assert [run.name for run in bench.core.recent_runs] == ["ports"]
    bench.core.recent_runs = bench.core.recent_runs * MAX_RECENT_RUNS
    bench.world.advance(70)
    bench.finish()
    assert len(bench.core.recent_runs) == MAX_RECENT_RUNS


def test_while_its_worker_is_down_a_subject_is_unseen_and_looked_at_soon_after(bench: Bench) -> None:
    bench.finish()
    bench.world.workers = (WorkerState(name="reader", state="backing_off", detail="killed"),)
    assert bench.sight().state == "unseen"
    assert bench.sight().blind[0].why == Why.WORKER_DOWN
    bench.world.advance(61)
    bench.finish(id=0, outcome=Unavailable(why=Why.WORKER_DOWN, detail="worker reader is backing off"))
    bench.world.workers = (WorkerState(name="reader", state="running"),)
    bench.world.advance(3)
    bench.finish()
    assert bench.sight().state == "seen"


def test_what_a_worker_lacks_is_taken_from_the_sight_of_its_subjects(bench: Bench) -> None:
    bench.finish()
    bench.world.gone = (Blind(what="other users' processes", why=Why.PERMISSION),)
    assert (bench.sight().state, bench.sight().blind) == ("partial", bench.world.gone)


def test_what_a_worker_lacks_that_looks_at_nothing_has_a_sight_of_its_own(bench: Bench) -> None:
    """The worker that backs up ends when it is idle and has no subject: what it may not read must be told all the same."""
    world = bench.world
    plan = Plan(looks={"ports": 60.0}, hosts={"reader": ("ports",), "backup": (), "steward": ()})
    bench.core.follow(plan)
    bench.finish()
    assert [sight.subject for sight in bench.core.sight().sights] == ["ports"], (
        "nothing is wrong with it: it is not named"
    )
    closed = Blind(what="files that are closed to other users", why=Why.PERMISSION, fix="Run the agent as root.")
    world.lost = lambda: {"reader": (), "backup": (closed,), "steward": (), "unknown": (closed,)}  # type: ignore[method-assign]
    began = world.now_ms()
    assert bench.sight("worker backup") == Sight(
        subject="worker backup", state="partial", blind=(closed,), since_ms=began
    )
    assert bench.sight().state == "seen", "what it lacks takes nothing from what others see"
    world.advance(10)
    assert bench.sight("worker backup").since_ms == began
    world.workers = (WorkerState(name="backup", state="backing_off", detail="killed"),)
    spot = bench.sight("worker backup")
    assert (spot.state, spot.since_ms, spot.blind[0].why) == ("unseen", began + 10_000, Why.WORKER_DOWN)
    world.workers, world.lost = (), lambda: {"backup": ()}  # type: ignore[method-assign]
    assert [sight.subject for sight in bench.core.sight().sights] == ["ports"]


def test_how_far_a_deed_is_is_known_until_it_ends(bench: Bench) -> None:
    deed = Deed(action="backup", worker="backup", arguments={"job": "str"})
    command = Command(id="c1", action="backup", arguments={"job": "etc"}, dry_run=False)
    told: list[float] = []
    bench.core.do_for(deed, command, lambda _: None, lambda advance: told.append(advance.done))
    began = bench.world.now_ms()
    for done in (1.0, 2.0):
        bench.world.progress(Advance(id=1, done=done, total=9.0, unit="bytes", what="files"))
        bench.world.advance(5)
    (work,) = bench.core.work.values()
    assert (work.action, work.key, work.done, work.since_ms) == ("backup", "etc", 2.0, began)
    assert told == [1.0, 2.0]
    bench.world.commands[0][1](Result(), Cost())
    assert bench.core.work == {}


def test_a_deed_with_a_time_of_day_is_run_by_its_name_and_its_end_frees_its_turn(bench: Bench) -> None:
    deeds = TimedDeeds(bench.core, lambda: "c1")
    deed = Deed(action="backup", worker="backup")
    deeds.use({"backup etc": Timed(action="backup", arguments={"job": "etc"}, at="02:15")}, {"backup": deed})
    bench.core._timed = deeds
    bench.core.run("timed:backup etc")
    ((command, done),) = bench.world.commands
    assert (command.arguments, command.who, command.dry_run) == ({"job": "etc"}, "schedule", False)
    done(Result(), Cost())
    assert "agent.action_done" in bench.world.kinds()
