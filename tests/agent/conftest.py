"""A team for tests of the worker machinery: a real launcher, real worker processes, and plug-ins whose deeds a test chooses.

Worker processes are forked, so the classes here need not be importable there.
"""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.hosting import Hosting
from agent.launcher import Launcher
from agent.loop import Loop
from agent.supervision import Look, WorkerSpec
from agent.supervisor import Supervisor, Timing
from contracts.action import Command, Result
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.event import Kind, Severity
from contracts.options import ActionOptions, CollectorOptions
from contracts.record import Record
from contracts.snapshot import compare
from tests.roomy import ROOMY

APPEARED = Kind(
    name="probe.appeared",
    meaning="A row appeared.",
    title="{key} appeared",
    severity=Severity.LOW,
    fields={"value": "str"},
)
UNDECLARED = Kind(name="probe.undeclared", meaning="Nobody declares this.", title="?", severity=Severity.LOW)
TICKED = Kind(
    name="ticker.ticked", meaning="The ticker ticked.", title="tick", severity=Severity.LOW, fields={"count": "int"}
)
DONE = Kind(name="deed.done", meaning="A deed was done.", title="done", severity=Severity.LOW)


class Row(Record):
    value: str


class Strict(Record):
    value: int


class ProbeOptions(CollectorOptions):
    script: str = ""


class Probe:
    """Looks as its script says at the time: rows to see, or a way to fail."""

    name = "probe"
    kinds = (APPEARED,)
    row = Row
    options = ProbeOptions

    def __init__(self, options: ProbeOptions) -> None:
        self._path = options.script

    def collect(self, host, before):
        script = json.loads(Path(self._path).read_text()) if self._path else {}
        how = script.get("how", "rows")
        if how != "rows":
            return getattr(self, how)(host, before)
        rows = {key: Row(value=value) for key, value in script.get("rows", {}).items()}
        for number in range(script.get("many", 0)):
            rows[f"key-{number:06d}"] = Row(value=f"value {number} {script.get('salt', '')}")
        changes = compare(before.rows, rows)
        events = tuple(
            APPEARED.event(key, value=row.value) for key, row in changes.put.items() if key not in before.rows
        )
        return Report(events=() if script.get("many") else events, changes=changes)

    def crash(self, host, before):
        return 1 // 0

    def unavailable(self, host, before):
        raise Unavailable(Why.TOOL_MISSING, "nft is not there", advice="Install nftables.")

    def condition(self, host, before):
        raise HoldfastError("a condition")

    def nothing(self, host, before):
        return None

    def loop(self, host, before):
        while True:
            try:
                while True:
                    pass
            except Exception:  # noqa: BLE001  # the deadline must get through this
                continue

    def sleep(self, host, before):
        time.sleep(600)

    def stop_self(self, host, before):
        os.kill(os.getpid(), 19)

    def leave(self, host, before):
        os._exit(7)

    def system_exit(self, host, before):
        raise SystemExit(3)

    def surrogate(self, host, before):
        return Report(changes=compare({}, {"\udcff": Row(value="x")}))

    def huge_row(self, host, before):
        return Report(changes=compare({}, {"small": Row(value="x"), "huge": Row(value="x" * (2 << 20))}))

    def undeclared(self, host, before):
        return Report(events=(UNDECLARED.event("x"),))

    def twice(self, host, before):
        return Report(events=(APPEARED.event("same", value="a"), APPEARED.event("same", value="b")))

    def blind(self, host, before):
        return Report(blind=(Blind(what="half of it", why=Why.PERMISSION),))


class Ticker:
    """Watches as its script says."""

    name = "ticker"
    kinds = (TICKED,)
    options = ProbeOptions

    def __init__(self, options: ProbeOptions) -> None:
        self._path = options.script

    def watch(self, host, emit, stop):
        script = json.loads(Path(self._path).read_text()) if self._path else {}
        if script.get("how") == "unavailable":
            raise Unavailable(Why.PERMISSION, "not allowed")
        if script.get("how") == "crash":
            raise KeyError("broken")
        emit.blind((Blind(what="the other half", why=Why.PERMISSION),))
        for number in range(script.get("ticks", 0)):
            emit.event(TICKED.event(f"tick {number}", count=number))
        for _ in range(script.get("changes", 0)):
            emit.changed("probe")
        stop.wait(600)


class Deed:
    """Does what the command's argument `how` says."""

    name = "deed"
    kinds = (DONE,)
    options = ActionOptions
    arguments = {"how": "str"}

    def __init__(self, options: ActionOptions) -> None:
        pass

    def do(self, host, command: Command, progress):
        how = command.arguments.get("how", "")
        if how == "crash":
            raise RuntimeError("broken")
        if how == "sleep":
            time.sleep(600)
        if how == "leave":
            os._exit(9)
        progress(1, 2, "steps")
        answer = {"dry": host.dry, "pid": os.getpid()}
        return Result(summary="did it", events=(DONE.event("x"),), answer=answer)


class PlainSockets:
    def fingerprint(self, ephemeral_udp=True):
        return b""


class PlainHost:
    """A host that knows the time."""

    read_bytes = 0
    state = ""
    files = commands = packages = processes = netfilter = nftables = programs = trees = clamd = openings = change = (
        write
    ) = None
    sockets = PlainSockets()

    def __init__(self, dry: bool = False) -> None:
        self.dry = dry

    def capabilities(self):
        return frozenset()

    def now(self):
        return datetime.now(UTC)

    def monotonic(self):
        return time.monotonic()


def plain_hosting(_name: str) -> Hosting:
    return Hosting(
        collectors={"probe": Probe},
        watchers={"ticker": Ticker},
        actions={"deed": Deed},
        make_host=PlainHost,
        make_dry=lambda host: PlainHost(dry=True),
    )


class MemorySnapshots:
    """What the core has stored."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[int, dict[str, bytes], int]] = {}

    def revision(self, subject):
        return self.stored.get(subject, (0, {}, 0))[0]

    def rows(self, subject):
        return self.stored.get(subject, (0, {}, 0))[1]

    def at_ms(self, subject):
        return self.stored.get(subject, (0, {}, 0))[2]

    def apply(self, look: Look) -> int:
        revision, rows, _ = self.stored.get(look.subject, (0, {}, 0))
        rows = {key: row for key, row in rows.items() if key not in look.changes.removed} | look.changes.put
        self.stored[look.subject] = (revision + 1, rows, 1)
        return revision + 1


class RecordingSink:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.changes: list[Any] = []
        self.gaps: list[Any] = []
        self.states: list[Any] = []
        self.own: list[Any] = []

    def emitted(self, worker, watcher, event):
        self.events.append(event)

    def changed(self, watcher, subject):
        self.changes.append((watcher, subject))

    def gap(self, watcher, reason, seconds):
        self.gaps.append((watcher, reason, seconds))

    def watching(self, watcher, outcome, blind):
        self.states.append((watcher, outcome, blind))

    def agent_event(self, event):
        self.own.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.own]


class SystemClock:
    def now_ms(self):
        return int(time.time() * 1000)

    def monotonic(self):
        return time.monotonic()


QUICK = Timing(
    handshake_s=30.0, ping_s=0.2, pong_s=4.0, farewell_s=2.0, first_wait_s=0.02, longest_wait_s=0.1, stable_s=5.0
)


class Team:
    """A loop, a supervisor and whatever connector the test chose."""

    def __init__(self, connector: Any, specs: list[WorkerSpec], timing: Timing = QUICK) -> None:
        self.loop = Loop()
        self.connector = connector
        self.snapshots, self.sink = MemorySnapshots(), RecordingSink()
        self.supervisor = Supervisor(self.loop, specs, connector, self.snapshots, self.sink, SystemClock(), timing)

    def until(self, holds: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """Run the loop until `holds` and return its answer; fails after `timeout_s`."""
        end = time.monotonic() + timeout_s
        answer: Any = None

        def check() -> None:
            nonlocal answer
            answer = holds()
            if answer or time.monotonic() > end:
                self.loop.stop()
            else:
                self.loop.call_later(0.005, check)

        check()
        if not answer:
            self.loop.run()
        assert answer, (self.supervisor.states(), self.sink.own)
        return answer

    def state(self, name: str = "reader"):
        return next(state for state in self.supervisor.states() if state.name == name)

    def running(self, name: str = "reader"):
        return self.until(lambda: self.state(name) if self.state(name).state == "running" else None)

    def look(self, subject: str = "probe", deadline_s: float = 60.0, store: bool = True) -> Look:
        looks: list[Look] = []
        self.supervisor.collect(subject, deadline_s, looks.append)
        look = self.until(lambda: looks and looks[0], deadline_s + 15)
        if store and type(look.outcome).__name__ == "Ok":
            self.supervisor.stored(look.id, look.subject, self.snapshots.apply(look))
        return look

    def do(self, worker: str = "messenger", deadline_s: float = 60.0, progress=None, **arguments: Any):
        answers: list[Any] = []
        command = Command(id="c1", action="deed", arguments=arguments, dry_run=False)
        self.supervisor.do(worker, command, deadline_s, lambda result, cost: answers.append((result, cost)), progress)
        return self.until(lambda: answers and answers[0], deadline_s + 15)

    def close(self) -> None:
        self.supervisor.stop()
        self.loop.close()


def spec_of(name: str = "reader", script: str = "", **more: Any) -> WorkerSpec:
    """A worker that hosts the plug-ins above."""
    import msgspec

    options = {"probe": msgspec.msgpack.encode(ProbeOptions(script=script))}
    options["ticker"] = msgspec.msgpack.encode(ProbeOptions(script=more.pop("ticker", "")))
    plain: dict[str, Any] = {
        "subjects": ("probe",),
        "actions": ("deed",),
        "options": options,
        "kinds": {"probe": (APPEARED.name,), "ticker": (TICKED.name,), "deed": (DONE.name,)},
    }
    return WorkerSpec(name=name, **(plain | more))


@pytest.fixture
def spec():
    return spec_of


@pytest.fixture
def script(tmp_path):
    """A file that says what the probe does, readable by every worker's user; call it to write it."""
    folder = Path(f"/tmp/holdfast-test-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o755)
    path = folder / "script.json"

    def write(**what: Any) -> str:
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").chmod(0o644)
        path.with_suffix(".new").rename(path)
        return str(path)

    write.path = str(path)
    write()
    yield write
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


@pytest.fixture
def launch():
    """Start a launcher whose workers host what `prepare` says; it ends with the test."""
    started: list[Launcher] = []

    def start(prepare=plain_hosting, catalogue=ROOMY, **more) -> Launcher:
        started.append(Launcher.start(catalogue, prepare, **more))
        return started[-1]

    yield start
    for launcher in started:
        launcher.stop()


@pytest.fixture
def team(launch):
    """Make a team: `team(spec, …)` supervises real workers."""
    teams: list[Team] = []

    def make(*specs: WorkerSpec, connector: Any = None, timing: Timing = QUICK) -> Team:
        teams.append(Team(connector if connector is not None else launch(), list(specs), timing))
        teams[-1].supervisor.start()
        return teams[-1]

    yield make
    for made in teams:
        made.close()
