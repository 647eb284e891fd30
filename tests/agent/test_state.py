"""The agent's memory: revisions, what the console lacks, baselines, facts, damage."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import state as state_module
from agent.clock import SystemClock
from agent.state import STATE_SET_ASIDE, State
from agent.state_parts import last_key
from contracts.errors import HoldfastError, NewerData, Why
from contracts.outcome import Cost, Failed, Run, Unavailable
from contracts.snapshot import EncodedChanges
from contracts.wire import SubjectPart

DAY_MS = 86_400_000


@pytest.fixture
def state(tmp_path: Path) -> State:
    opened, events = State.open(tmp_path / "state.db", SystemClock())
    assert events == ()
    return opened


def row(**fields: object) -> bytes:
    return msgspec.msgpack.encode(fields)


def change(put: dict[str, object] | None = None, removed: tuple[str, ...] = ()) -> EncodedChanges:
    return EncodedChanges(put={key: row(v=value) for key, value in (put or {}).items()}, removed=removed)


class Copy:
    """A console's copy of one subject, by the rules of docs/design/lanes.md."""

    def __init__(self) -> None:
        self.revision = 0
        self.rows: dict[str, bytes] = {}
        self.pages: list[SubjectPart] = []

    def take(self, part: SubjectPart) -> None:
        assert part.base in (0, self.revision)
        if self.pages and (self.pages[0].base, self.pages[0].revision) != (part.base, part.revision):
            self.pages = []
        self.pages.append(part)
        if part.more:
            return
        rows = {} if part.base == 0 else dict(self.rows)
        for page in self.pages:
            for key in page.removed:
                rows.pop(key, None)
            rows.update(page.put)
        self.rows, self.revision, self.pages = rows, part.revision, []

    def follow(self, state: State, subject: str, max_bytes: int = 200) -> None:
        after = None
        while (part := state.part(subject, self.revision, max_bytes, after)) is not None:
            self.take(part)
            after = last_key(part) if part.more else None


def test_first_look_without_rows_makes_revision_one(state: State) -> None:
    assert state.revision("ports") == 0
    state.touch("ports", 5)
    state.touch("ports", 7)
    assert (state.revision("ports"), state.at_ms("ports"), state.rows("ports")) == (1, 7, {})


def test_changes_add_up_and_survive_a_restart(state: State, tmp_path: Path) -> None:
    assert state.apply("ports", change({"a": 1, "b": 2}), 1) == 1
    assert state.apply("ports", change({"b": 3}, ("a",)), 2) == 2
    state.close()
    state, _ = State.open(tmp_path / "state.db", SystemClock())
    assert state.rows("ports") == {"b": row(v=3)}
    assert state.subjects() == {"ports": 2}


def test_the_console_gets_only_what_changed_as_json(state: State) -> None:
    state.apply("ports", change({"a": 1, "b": 2}), 1)
    state.apply("ports", change({"b": 3}, ("a",)), 2)
    assert state.part("ports", 1, 1000) == SubjectPart(
        subject="ports", base=1, revision=2, put={"b": b'{"v":3}'}, removed=("a",), at_ms=2
    )
    assert state.part("ports", 2, 1000) is None
    assert state.part("ports", 0, 1000).removed == ()
    assert state.part("ports", 9, 1000).base == 0


def test_a_base_older_than_the_tombstones_gets_everything(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MAX_TOMBSTONES", 3)
    state.apply("ports", change({str(n): n for n in range(10)}), 1)
    for number in range(8):
        state.apply("ports", change(removed=(str(number),)), 2)
    old = state.part("ports", 1, 10_000)
    assert (old.base, sorted(old.put)) == (0, ["8", "9"])
    assert state.part("ports", 8, 10_000).removed == ("7",)


def test_a_row_too_large_for_the_console_says_so(state: State) -> None:
    state.apply("ports", change({"a": "x" * 70_000}), 1)
    assert state.part("ports", 0, 1000).put["a"].startswith(b'{"too_large":')


def test_only_what_was_acknowledged_out_of_this_file_is_built_upon(state: State) -> None:
    state.touch("ports", 1)
    assert state.base_held("ports") == 0
    state.hold("ports", 1)
    assert state.base_held("ports") == 1


@settings(max_examples=40, deadline=None)
@given(
    looks=st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=8),
            st.lists(st.text(max_size=3), max_size=4),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_the_copy_equals_the_rows_whenever_it_follows(tmp_path_factory: pytest.TempPathFactory, looks: list) -> None:
    state, _ = State.open(tmp_path_factory.mktemp("state") / "state.db", SystemClock())
    copy = Copy()
    for put, removed, follow in looks:
        state.apply("s", change(put, tuple(removed)), 1)
        if follow:
            copy.follow(state, "s", 60)
            assert copy.rows == {
                key: b'{"v":%d}' % msgspec.msgpack.decode(raw)["v"] for key, raw in state.rows("s").items()
            }
    state.close()


def test_accepting_takes_all_or_the_keys_named(state: State) -> None:
    with pytest.raises(HoldfastError, match="nothing is known of ports yet"):
        state.accept("ports", "root", 1)
    assert state.accepted("ports") == (0, {})
    state.apply("ports", change({"a": 1, "b": 2}), 1)
    assert state.accept("ports", "root", 5) == 1
    state.apply("ports", change({"c": 3, "b": 9}, ("a",)), 2)
    assert state.accept("ports", "eve", 6, ["a", "c"]) == 2
    assert state.accepted("ports") == (2, {"b": row(v=2), "c": row(v=3)})
    assert state.acceptance("ports") == ("eve", 6)


def test_the_ledger_adds_up_per_day_and_forgets(state: State) -> None:
    now = SystemClock().now_ms()
    state.record(Run(name="ports", started_ms=now, outcome=Failed(error="x"), cost=Cost(cpu_s=1, peak_bytes=7), rows=3))
    state.record(
        Run(
            name="ports",
            started_ms=now,
            outcome=Unavailable(why=Why.OTHER, detail=""),
            cost=Cost(cpu_s=2, peak_bytes=5),
        )
    )
    (line,) = state.ledger()
    assert (line.runs, line.ok, line.unavailable, line.failed, line.cpu_s, line.peak_bytes) == (2, 0, 1, 1, 3.0, 7)
    state._day = ""
    state.record(Run(name="old", started_ms=now - 40 * DAY_MS, outcome=Failed(error="x")))
    assert [line.name for line in state.ledger()] == ["ports"]
    assert state.ledger("1999-01-01") == []


def test_small_facts_are_kept(state: State) -> None:
    assert state.get("a") is None
    state.put("a", b"1")
    state.put("a", b"2")
    assert state.get("a") == b"2"


def test_damage_is_set_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(os.urandom(9000))
    state, (event,) = State.open(tmp_path / "state.db", SystemClock())
    assert event.kind == STATE_SET_ASIDE.name
    assert (tmp_path / event.fields["file"]).exists()
    assert state.subjects() == {}


def test_newer_state_is_left_untouched(state: State, tmp_path: Path) -> None:
    state._db.execute("PRAGMA user_version = 9")
    state.close()
    before = (tmp_path / "state.db").read_bytes()
    with pytest.raises(NewerData):
        State.open(tmp_path / "state.db", SystemClock())
    assert (tmp_path / "state.db").read_bytes() == before


def test_a_failed_change_leaves_nothing_behind(state: State) -> None:
    state.apply("ports", change({"a": 1}), 1)
    with pytest.raises(UnicodeEncodeError):
        state.apply("ports", EncodedChanges(put={"b": b"1", "\ud800": b"1"}, removed=("a",)), 1)
    assert (state.revision("ports"), state.rows("ports")) == (1, {"a": row(v=1)})
