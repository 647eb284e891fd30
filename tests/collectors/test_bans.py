"""Bans are told as the kernel holds them; a table that goes away and a ban that leaks are events."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from collectors.bans import BansCollector, BansWatcher, Options
from contracts.blocking import TABLE, Note, encode
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Event
from contracts.host import RulesetChange
from contracts.netfilter import Element
from contracts.snapshot import Snapshot, apply
from contracts.subjects.bans import Ban
from host.fake import FakeHost

NOTE = Note(who="rule", since_ms=1_767_225_500_000, cause="0190", reason="scans")


class Looks:
    def __init__(self, host: FakeHost) -> None:
        self.host, self.collector = host, BansCollector(Options())
        self.snapshot: Snapshot[Ban] = Snapshot(subject="bans")

    def again(self) -> Report[Ban]:
        report = self.collector.collect(self.host, self.snapshot)
        rows = apply(self.snapshot.rows, report.changes)
        self.snapshot = Snapshot(subject="bans", revision=self.snapshot.revision + 1, rows=rows)
        return report


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    names = ("banned", "limited", "allowed", "unbanned", "leaked")
    made.netfilter.sets = {(TABLE, f"{name}{version}"): [] for name in names for version in (4, 6)}
    return made


@pytest.fixture
def looks(host: FakeHost) -> Looks:
    return Looks(host)


def ban(host: FakeHost, **fields: object) -> None:
    element = Element(network="203.0.113.7", timeout_ms=600_000, left_ms=500_000, comment=encode(NOTE))
    host.netfilter.sets[TABLE, "banned4"] = [replace(element, **fields)]


def test_a_ban_is_told_with_all_that_belongs_to_it(host: FakeHost, looks: Looks) -> None:
    ban(host, packets=1000)
    looks.again()
    row = looks.snapshot.rows["203.0.113.7"]
    now_ms = int(host.now().timestamp() * 1000)
    assert row == Ban(
        network="203.0.113.7",
        family=4,
        since_ms=NOTE.since_ms,
        until_ms=now_ms + 500_000,
        who="rule",
        reason="scans",
        cause="0190",
        packets=512,
    )


def test_counting_and_time_alone_change_nothing(host: FakeHost, looks: Looks) -> None:
    ban(host, packets=1000)
    looks.again()
    host.advance(10)
    ban(host, packets=1020, left_ms=490_300)
    assert not looks.again().changes


def test_every_set_has_its_own_key(host: FakeHost, looks: Looks) -> None:
    for name, network in (("allowed4", "198.51.100.0/24"), ("limited6", "2001:db8::1"), ("unbanned4", "203.0.113.7")):
        host.netfilter.sets[TABLE, name] = [Element(network=network)]
    looks.again()
    assert set(looks.snapshot.rows) == {"allowed 198.51.100.0/24", "limited 2001:db8::1", "unbanned 203.0.113.7"}
    assert looks.snapshot.rows["allowed 198.51.100.0/24"].allowed


def test_a_table_that_was_never_there_is_no_event(host: FakeHost, looks: Looks) -> None:
    host.netfilter.sets.clear()
    assert looks.again() == Report()


def test_a_table_that_goes_away_with_bans_in_it_is_an_event(host: FakeHost, looks: Looks) -> None:
    ban(host)
    looks.again()
    host.netfilter.sets.clear()
    report = looks.again()
    assert [(event.kind, event.fields["count"]) for event in report.events] == [("bans.table_lost", 1)]
    assert looks.snapshot.rows == {}
    assert looks.again().events == ()


def test_a_table_that_goes_away_after_its_bans_ended_is_none(host: FakeHost, looks: Looks) -> None:
    ban(host)
    looks.again()
    host.advance(501)
    host.netfilter.sets.clear()
    assert looks.again().events == ()


def test_a_leak_is_an_event_each_time_it_doubled(host: FakeHost, looks: Looks) -> None:
    counts = []
    for leaked in (0, 1, 7, 8, 8, 15, 16, 17):
        ban(host, network="203.0.113.0/24", packets=10 + leaked)
        host.netfilter.sets[TABLE, "leaked4"] = [Element(network="203.0.113.9", packets=leaked)]
        counts.append([(event.kind, event.fields["packets_leaked"]) for event in looks.again().events])
    leak = "bans.leaking"
    assert counts == [[], [], [], [(leak, 8)], [], [], [(leak, 16)], []]
    assert looks.snapshot.rows["203.0.113.0/24"].packets == 8


def test_packets_that_were_on_their_way_when_the_ban_came_are_no_leak(host: FakeHost, looks: Looks) -> None:
    ban(host, packets=20)
    host.netfilter.sets[TABLE, "leaked4"] = [Element(network="203.0.113.7", packets=3)]
    assert looks.again().events == ()
    assert looks.snapshot.rows["203.0.113.7"].leaked == 2


def test_what_may_not_be_looked_at_is_no_empty_answer(host: FakeHost, looks: Looks) -> None:
    host.netfilter.trouble = Unavailable(Why.PERMISSION, "may not")
    with pytest.raises(Unavailable):
        looks.again()


class Said:
    def __init__(self) -> None:
        self.words: list[str] = []

    def event(self, event: Event) -> None:
        self.words.append(event.kind)

    def changed(self, subject: str) -> None:
        self.words.append(subject)

    def gap(self, reason: str, seconds: float) -> None:
        self.words.append("gap")

    def blind(self, spots: tuple[Blind, ...]) -> None:
        self.words.append("blind")


def test_every_change_of_the_ruleset_asks_for_a_look(host: FakeHost) -> None:
    said, stop = Said(), threading.Event()
    host.ruleset_changes = lambda _: iter([RulesetChange(word="changed"), RulesetChange(word="overflow")])  # type: ignore[method-assign]
    BansWatcher(Options()).watch(host, said, stop)  # type: ignore[arg-type]
    assert said.words == ["bans", "gap", "bans"]
