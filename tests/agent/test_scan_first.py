"""What changed is remembered until a scan has gone through it, over a restart too, in bounded number."""

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.scan_first import MOST, MOST_CHARS, ScanFirst
from analysis.integrity.wording import line
from contracts.action import Changed, Command, Result
from contracts.event import Envelope, Event, Lane, Severity
from contracts.file_change import CREATED, Change
from contracts.outcome import Failed
from contracts.text import escape


class Kept:
    def __init__(self) -> None:
        self.facts: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.facts.get(name)

    def put(self, name: str, value: bytes) -> None:
        self.facts[name] = value


class Bench:
    def __init__(self) -> None:
        self.kept = Kept()
        self.calls: list[Callable[[], None]] = []
        self.ids: Iterator[int] = iter(range(1000))
        self.start()

    def start(self) -> None:
        self.first = ScanFirst(self.kept, lambda _, call: self.calls.append(call))

    def write(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def scan(self, **arguments: Any) -> Command:
        given = arguments or {"delta": True}
        plain = Command(id=str(next(self.ids)), action="scan", arguments=given, dry_run=False)
        return self.first.prepare(plain)


def modified(path: str, at_ms: int = 1, kind: str = "integrity.modified", **more: Any) -> Event:
    return Event(kind=kind, key=path, severity=Severity.LOW, fields={"path": path, **more}, observed_ms=at_ms)


def test_a_scan_of_what_changed_gets_it_in_order_and_forgets_it_only_when_gone_through() -> None:
    bench = Bench()
    for path in ("/b", "/a", "/c"):
        bench.first.take(modified(path))
    command = bench.scan()
    assert command.arguments == {"delta": True, "first": ["/b", "/a", "/c"], "beyond": 0}
    bench.first.ended(command, Result(outcome=Failed(error="clamd went away"), answer={"code": 2}))
    command = bench.scan()
    bench.first.take(modified("/b", 2))
    bench.first.ended(command, Result(answer={"first": 2}))
    assert bench.scan().arguments["first"] == ["/c", "/b"], "/b changed again meanwhile, /c was not reached"


def test_other_commands_and_scans_of_what_a_person_names_stay_as_they_are() -> None:
    bench = Bench()
    bench.first.take(modified("/a"))
    assert "first" not in bench.scan(delta=True, paths=["/srv"]).arguments
    assert "first" not in bench.scan(paths=["/srv"]).arguments
    other = Command(id="x", action="backup", arguments={"delta": True}, dry_run=False)
    assert bench.first.prepare(other) == other


def test_what_a_backup_found_changed_is_taken() -> None:
    bench = Bench()
    backup = Command(id="x", action="backup", dry_run=False)
    bench.first.ended(backup, Result(changed=Changed(paths=("/srv/a", "/srv/b"), beyond=7)))
    bench.start()  # at once over a restart: no event says it again
    command = bench.scan()
    assert (command.arguments["first"], command.arguments["beyond"]) == (["/srv/a", "/srv/b"], 7)
    bench.first.ended(command, Result(answer={"first": 2}))
    assert "first" not in bench.scan().arguments


def test_it_outlives_the_process_and_what_was_not_written_is_taken_from_the_events() -> None:
    bench = Bench()
    bench.first.take(modified("/a", 10))
    bench.write()
    bench.start()
    late = [
        Envelope(id="1", agent="a", lane=Lane.NORMAL, seq=1, event=modified(path, at))
        for path, at in (("/a", 10), ("/b", 11), ("/c", 11))
    ]
    bench.first.resume(late)
    assert bench.scan().arguments["first"] == ["/a", "/b", "/c"]


def test_what_another_version_kept_is_left_out() -> None:
    bench = Bench()
    bench.kept.put("scan.first", b"\xc1")
    bench.start()
    assert "first" not in bench.scan().arguments


def test_the_oldest_give_way_and_are_counted() -> None:
    bench = Bench()
    for number in range(MOST + 5):
        bench.first.take(modified(f"/f{number}"))
    command = bench.scan()
    paths: Any = command.arguments["first"]
    assert (len(paths), paths[0], command.arguments["beyond"]) == (MOST, "/f5", 5)
    bench.first.take(modified("/" + "x" * (MOST_CHARS - 1)))
    assert len(bench.scan().arguments["first"]) == 1  # type: ignore[arg-type]


def test_events_of_something_else_and_of_what_is_gone_say_nothing() -> None:
    bench = Bench()
    bench.first.take(modified("/a", kind="integrity.deleted"))
    bench.first.take(modified("/a", kind="ports.listener_opened"))
    assert "first" not in bench.scan().arguments


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=30).filter(lambda raw: b"\0" not in raw))
def test_paths_in_a_list_of_many_changes_are_found_again(name: bytes) -> None:
    path = b"/srv/" + name
    told = line(Change(kinds=(CREATED,), path=path, profile="shop", found_by="watch", at_ms=1))
    bench = Bench()
    bench.first.take(
        Event(kind="integrity.many_changed", key="/srv", severity=Severity.LOW, fields={"changes": [told]})
    )
    paths: Any = bench.scan().arguments["first"]
    assert escape(path) in paths or " -> /" in told
