"""The verbs of the control socket over a real spool and a real state; the core's own part is a fake that records."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import msgpack

from agent.clock import SystemClock
from agent.control_server import Later, Peer
from agent.responder import Deed
from agent.spool.spool import Spool, SpoolLimits
from agent.state import State
from agent.supervision import Look
from agent.verbs import Verbs
from contracts.action import Command, Result
from contracts.coverage import Coverage
from contracts.errors import HoldfastError, Malformed, UsageError
from contracts.event import Envelope, Event, Severity
from contracts.frames import Advance
from contracts.outcome import Ok
from contracts.snapshot import EncodedChanges

ROOT = Peer(pid=1, uid=0, gid=0)
NOTIFY = Deed(action="notify", worker="messenger", arguments={"channel": "str", "count": "int"})


class FakeIntake:
    full = ""


class FakeCore:
    def __init__(self) -> None:
        self.intake = FakeIntake()
        self.listeners: list[Callable[[Envelope], None]] = []
        self.judged: list[str] = []
        self.commands: list[tuple[Command, Callable[[Result], None], Callable[[Advance], None]]] = []

    def sight(self) -> Coverage:
        return Coverage()

    def looks_at(self, subject: str) -> bool:
        return subject == "firewall"

    def accepted(self, subject: str) -> None:
        self.judged.append(subject)

    def look(self, subject: str, done: Callable[[Look], None]) -> bool:
        if subject == "ports":
            done(Look(id=1, subject=subject, outcome=Ok()))
        return subject == "ports"

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        self.commands.append((command, done, progress))


class FakeAnswer:
    def __init__(self) -> None:
        self.sent: list[tuple[Any, bool]] = []
        self.error: HoldfastError | None = None
        self.closed: Callable[[], None] = lambda: None

    def send(self, value: Any, last: bool = True) -> None:
        self.sent.append((value, last))

    def fail(self, error: HoldfastError) -> None:
        self.error = error

    def on_close(self, callback: Callable[[], None]) -> None:
        self.closed = callback


class Bench:
    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.core = FakeCore()
        self.state, _ = State.open(folder / "state.db", clock)
        self.spool, _ = Spool.open(folder / "spool.db", "a" * 32, SpoolLimits(), clock)
        self.verbs = Verbs(
            self.core,  # type: ignore[arg-type]
            self.state,
            self.spool,
            clock,
            lambda envelope: f"text of {envelope.event.key}",
            lambda: {"notify": NOTIFY},
            lambda: "id",
        )
        self.state.apply("ports", EncodedChanges(put={"tcp/22": msgpack.encode({"port": 22})}), 5)
        for number in range(5):
            kind = "ports.listener_opened" if number % 2 else "firewall.rule_added"
            self.spool.append(
                [Event(kind=kind, key=f"k{number}", severity=Severity.LOW, observed_ms=1000, dedup=f"{number:032x}")]
            )

    def later(self, answer: Any) -> FakeAnswer:
        assert isinstance(answer, Later)
        made = FakeAnswer()
        answer.start(made)  # type: ignore[arg-type]
        return made


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.spool.close()
    made.state.close()


def sent(answer: Any) -> Any:
    return json.loads(msgspec.json.encode(answer))


def keys(answer: Any) -> list[str]:
    return [each["event"]["key"] for each in answer]


def test_events_come_oldest_first_with_their_text(bench: Bench) -> None:
    found = bench.verbs.events(ROOT, {})
    assert keys(found) == ["k0", "k1", "k2", "k3", "k4"]
    assert found[0]["text"] == "text of k0"
    assert keys(bench.verbs.events(ROOT, {"limit": 2})) == ["k3", "k4"]


def test_events_are_chosen_by_kind_or_by_a_family_of_kinds(bench: Bench) -> None:
    assert keys(bench.verbs.events(ROOT, {"kind": "ports.listener_opened"})) == ["k1", "k3"]
    assert keys(bench.verbs.events(ROOT, {"kind": "firewall.*", "limit": 2})) == ["k2", "k4"]
    assert bench.verbs.events(ROOT, {"since_ms": 1 << 50}) == []


def test_following_goes_on_until_the_peer_has_gone(bench: Bench) -> None:
    answer = bench.later(bench.verbs.events(ROOT, {"follow": True, "limit": 1, "kind": "ports.*"}))
    assert [last for _, last in answer.sent] == [False] * len(answer.sent)
    event = Event(kind="ports.listener_opened", key="new", severity=Severity.LOW)
    for kind in ("ports.listener_opened", "other.kind"):
        envelope = Envelope(
            id="i", agent="a", lane=event.lane, seq=9, event=Event(kind=kind, key="new", severity=Severity.LOW)
        )
        for listener in bench.core.listeners:
            listener(envelope)
    assert answer.sent[-1][0]["event"]["key"] == "new"
    assert sum(each["event"]["key"] == "new" for each, _ in answer.sent) == 1
    answer.closed()
    assert bench.core.listeners == []


def test_a_subject_shows_its_rows_and_what_was_accepted(bench: Bench) -> None:
    before = sent(bench.verbs.subject(ROOT, {"subject": "ports"}))
    assert (before["rows"], before["accepted"]) == ({"tcp/22": {"port": 22}}, None)
    bench.verbs.accept(ROOT, {"subject": "ports"})
    assert bench.core.judged == ["ports"], "judges conclude anew"
    assert sent(bench.verbs.subject(ROOT, {"subject": "ports"}))["accepted"] == {"tcp/22": {"port": 22}}
    assert bench.state.acceptance("ports")[0] == "root"


def test_a_subject_that_was_not_seen_yet_is_known_and_another_is_not(bench: Bench) -> None:
    assert bench.verbs.subject(ROOT, {"subject": "firewall"})["revision"] == 0
    with pytest.raises(UsageError, match='no subject "prots"; name one of these: ports'):
        bench.verbs.subject(ROOT, {"subject": "prots"})


def test_a_look_answers_how_it_ended(bench: Bench) -> None:
    assert bench.later(bench.verbs.look(ROOT, {"subject": "ports"})).sent[0][0]["outcome"] == Ok()
    assert "nothing looks at" in str(bench.later(bench.verbs.look(ROOT, {"subject": "x"})).error)


def test_on_a_full_disk_who_asks_for_a_look_is_told_at_once(bench: Bench) -> None:
    bench.core.intake.full = "spool.db cannot be written"
    with pytest.raises(HoldfastError, match=r"spool\.db cannot be written") as told:
        bench.verbs.look(ROOT, {"subject": "ports"})
    assert "Free space" in told.value.advice


def test_an_action_gets_its_arguments_and_tells_progress_and_result(bench: Bench) -> None:
    answer = bench.later(
        bench.verbs.do(ROOT, {"action": "notify", "arguments": {"channel": "admins"}, "dry_run": False})
    )
    command, done, progress = bench.core.commands[0]
    assert (command.arguments, command.who, command.dry_run) == ({"channel": "admins"}, "root", False)
    progress(Advance(id=1, done=1, total=2, unit="channels"))
    done(Result(summary="told admins"))
    assert [last for _, last in answer.sent] == [False, True]
    assert answer.sent[-1][0]["ok"] and answer.sent[-1][0]["summary"] == "told admins"


def test_an_action_is_a_dry_run_unless_told_otherwise(bench: Bench) -> None:
    bench.later(bench.verbs.do(ROOT, {"action": "notify"}))
    assert bench.core.commands[0][0].dry_run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "dance"}, "no action"),
        ({"action": "notify", "arguments": {"chanel": "x"}}, "takes no"),
        ({"action": "notify", "arguments": {"channel": 5}}, "must be str"),
        ({"action": "notify", "arguments": {"count": True}}, "must be int"),
    ],
)
def test_what_an_action_does_not_take_is_refused(bench: Bench, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bench.verbs.do(ROOT, arguments)


@pytest.mark.parametrize("limit", [-1, "5", 1.5, True, 10**9])
def test_a_number_out_of_bounds_is_refused(bench: Bench, limit: Any) -> None:
    with pytest.raises(UsageError, match="whole number"):
        bench.verbs.events(ROOT, {"limit": limit})


def test_words_of_the_wrong_shape_are_malformed(bench: Bench) -> None:
    for call in (
        lambda: bench.verbs.accept(ROOT, {"subject": "ports", "keys": "x"}),
        lambda: bench.verbs.look(ROOT, {}),
    ):
        with pytest.raises(Malformed):
            call()


def test_the_table_names_every_documented_verb(bench: Bench) -> None:
    table = bench.verbs.table(lambda: "up", lambda: "reloaded")
    assert set(table) == {"status", "coverage", "ledger", "events", "subject", "look", "accept", "reload", "do"}
    assert table["status"](ROOT, {}) == "up"
