"""Spool first, in order, and across a full disk without loss."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from agent.intake import MAX_HELD_FACTS, Intake
from agent.sqlite_file import FileFull
from contracts.errors import TooLarge
from contracts.event import Envelope, Event, Kind, Lane, Severity


class FakeClock:
    seconds = 100.0

    def now_ms(self) -> int:
        return 1_800_000_000_000 + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class FakeTimers:
    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.calls.append(callback)

    def fire(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class FakeSpool:
    def __init__(self) -> None:
        self.full, self.max_bytes = False, 10_000
        self.events: list[Event] = []

    def append(self, events: Sequence[Event]) -> list[Envelope]:
        if self.full:
            raise FileFull("no space left", advice="free some")
        for event in events:
            if len(event.key) + sum(map(len, event.evidence.values())) > self.max_bytes:
                raise TooLarge("too large")
        self.events += events
        return [
            Envelope(id=f"{number}", agent="a", lane=e.lane, seq=number, event=e) for number, e in enumerate(events)
        ]

    def names(self) -> list[str]:
        return [event.key for event in self.events]


class Bench:
    def __init__(self) -> None:
        self.spool, self.timers, self.clock = FakeSpool(), FakeTimers(), FakeClock()
        self.after: list[tuple[str, frozenset[str]]] = []
        self.intake = Intake(self.spool, self.clock, self.timers, "instance", self.note)

    def note(self, envelopes: list[Envelope], trail: frozenset[str]) -> None:
        self.after += [(envelope.event.key, trail) for envelope in envelopes]


def event(key: str, kind: str = "ports.listener_opened", severity: Severity = Severity.LOW, **more: str) -> Event:
    return Event(kind=kind, key=key, severity=severity, evidence=more)


def test_what_follows_happens_after_the_events_are_durable() -> None:
    bench = Bench()
    seen: list[list[str]] = []
    bench.intake.put([event("a"), event("b")], lambda: seen.append(bench.spool.names()))
    assert seen == [["a", "b"]]
    assert [key for key, _ in bench.after] == ["a", "b"]


def test_time_and_dedup_are_filled_in_and_kept_where_they_are() -> None:
    bench = Bench()
    bench.intake.put(
        [event("a"), event("a"), Event(kind="x.y", key="k", severity=Severity.LOW, observed_ms=5, dedup="d")]
    )
    first, second, third = bench.spool.events
    assert first.observed_ms == bench.clock.now_ms()
    assert first.dedup and first.dedup != second.dedup
    assert (third.observed_ms, third.dedup) == (5, "d")


def test_the_configuration_overrides_a_severity_and_the_lane_follows() -> None:
    bench = Bench()
    bench.intake.override({"ports.listener_opened": Severity.CRITICAL, "firewall.flushed": Severity.LOW})
    bench.intake.put([event("a"), Event(kind="firewall.flushed", key="f", severity=Severity.FATAL, lane=Lane.CRITICAL)])
    assert [(each.severity, each.lane) for each in bench.spool.events] == [
        (Severity.CRITICAL, Lane.CRITICAL),
        (Severity.LOW, Lane.NORMAL),
    ]


def test_on_a_full_disk_a_look_waits_whole_and_nothing_overtakes() -> None:
    bench = Bench()
    advanced: list[str] = []
    bench.spool.full = True
    bench.intake.put([event("a")], lambda: advanced.append("a"))
    bench.intake.put([event("b")], lambda: advanced.append("b"))
    assert bench.intake.full == "no space left"
    assert (advanced, bench.spool.names(), bench.intake.held) == ([], [], 2)
    bench.timers.fire()
    assert advanced == []
    bench.spool.full, bench.clock.seconds = False, 160.0
    bench.timers.fire()
    assert advanced == ["a", "b"]
    assert bench.spool.names() == ["a", "b", "state"]
    told = bench.spool.events[-1]
    assert (told.kind, told.fields["seconds"], told.fields["held"]) == ("agent.disk_full", 60.0, 2)
    assert not bench.intake.full


class FakeDisk:
    """Gives up a reserve, once."""

    def __init__(self, spool: FakeSpool) -> None:
        self.spool, self.asked = spool, 0

    def ran_full(self) -> Sequence[Event]:
        self.asked += 1
        self.spool.full = False
        return (event("the disk is full"),)


def test_a_reserve_makes_room_and_the_fact_itself_comes_first() -> None:
    bench = Bench()
    disk = FakeDisk(bench.spool)
    bench.intake = Intake(bench.spool, bench.clock, bench.timers, "instance", bench.note, disk)
    bench.spool.full = True
    bench.intake.put([event("a")])
    bench.timers.fire()
    assert bench.spool.names() == ["the disk is full", "a", "state"]
    assert (disk.asked, bench.intake.full) == (1, "")


def test_before_the_end_it_is_tried_once_more_and_what_is_lost_is_named() -> None:
    bench = Bench()
    bench.spool.full = True
    bench.intake.put([event("a")])
    assert [each.key for each in bench.intake.last_try()] == ["a"]
    bench.spool.full = False
    assert bench.intake.last_try() == ()
    assert bench.spool.names() == ["a", "state"]


def test_when_only_the_snapshot_does_not_fit_the_events_are_not_stored_again() -> None:
    bench = Bench()
    fits = False

    def advance() -> None:
        if not fits:
            raise FileFull("no space left")

    bench.intake.put([event("a")], advance)
    assert bench.intake.full
    fits = True
    bench.timers.fire()
    assert bench.spool.names() == ["a", "state"]


def test_single_facts_beyond_the_bound_are_counted_and_said() -> None:
    bench = Bench()
    bench.intake.put([event("a")])
    bench.spool.full = True
    bench.intake.put([event("b")])
    for number in range(MAX_HELD_FACTS + 10):
        bench.intake.put([event(f"{number}")])
    bench.spool.full = False
    bench.timers.fire()
    assert len(bench.spool.events) == 2 + MAX_HELD_FACTS + 2
    assert bench.spool.events[-1].kind == "agent.watch_gap"
    assert str(bench.spool.events[-1].fields["detail"]).startswith("10 facts")


def test_what_is_put_by_what_follows_comes_after_it() -> None:
    bench = Bench()
    bench.intake.put([event("a")], lambda: bench.intake.put([event("c")]))
    bench.intake.put([event("d")])
    assert bench.spool.names() == ["a", "c", "d"]


def test_the_trail_travels_with_the_events() -> None:
    bench = Bench()
    bench.intake.put([event("a")], trail=frozenset({"rules[0]"}))
    assert bench.after == [("a", frozenset({"rules[0]"}))]


def test_an_event_too_large_to_deliver_is_cut_not_dropped() -> None:
    bench = Bench()
    bench.intake.put([event("a"), event("b", text="x" * 20_000), event("k" * 20_000)])
    assert [key[:1] for key in bench.spool.names()] == ["a", "b", "k"]
    assert "too large" in bench.spool.events[1].evidence["cut"]


def test_the_core_says_what_an_event_means_and_not_the_worker() -> None:
    bench = Bench()
    kind = Kind(
        name="test.happened",
        meaning="It happened.",
        title="{key} happened",
        severity=Severity.LOW,
        attack=("T1562.004",),
        advice="Look.",
    )
    bench.intake.describe({kind.name: kind})
    bench.intake.put([replace(kind.event("it"), text="all is well", advice="Do nothing.")])
    stored = bench.spool.events[-1]
    assert (stored.text, stored.advice, stored.attack) == ("it happened", "Look.", ("T1562.004",))
    bench.intake.put([replace(kind.event("it"), kind="test.unknown", text="all is well")])
    assert bench.spool.events[-1].text == ""
