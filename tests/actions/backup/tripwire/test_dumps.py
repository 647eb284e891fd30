"""A dump emptied, shrunk or blown up by far is suspected, its snapshot marked, the last good one kept; ordinary nights raise nothing."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actions.backup.databases.options import CommandOptions, DatabaseOptions
from actions.backup.hold import SUSPECTED_TAG
from actions.backup.options import BackupOptions, JobOptions, KeepOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.retiring import retire
from actions.backup.stores.local import LocalStore
from actions.backup.tripwire.book import MAX_DUMP_RUNS, Book, path_in, recall, remember
from actions.backup.tripwire.deeds import Acknowledge
from actions.backup.tripwire.options import TripwireOptions
from actions.backup.tripwire.tripwire import Tripwire
from analysis.tripwire import Limits, dump_finding
from contracts.action import Command
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD

REAL = LinuxHost()


class Shop:
    """Two databases that a command dumps, backed up night by night through the whole job."""

    def __init__(self, folder: Path) -> None:
        where, state = folder / "repository", folder / "state"
        state.mkdir()
        self.files = {name: folder / f"{name}.sql" for name in ("orders", "users")}
        dumps = tuple(CommandOptions(name=name, argv=("/bin/cat", str(path))) for name, path in self.files.items())
        Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
        databases = DatabaseOptions(command=dumps)
        self.job = JobOptions(repository=str(where), paths=(), excludes=(), databases=databases)
        self.store = LocalStore(where)
        self.host: Any = type("Kept", (), {"state": str(state), "__getattr__": lambda _, name: getattr(REAL, name)})()
        self.holds(orders=100_000, users=20_000)

    def holds(self, **sizes: int) -> None:
        for name, size in sizes.items():
            self.files[name].write_bytes(os.urandom(size))

    def night(self) -> list[Any]:
        from actions.backup.archiver import Choices
        from actions.backup.job import Run

        patience = Patience(PressureOptions(pause_at_most=0.0), REAL.files)
        tripwire = Tripwire(self.host, "shop", self.job)
        run = Run("shop", self.job, self.store, PASSWORD, Choices(), patience, hostname="here", tripwire=tripwire)
        self.done = run.back_up(self.host)
        assert tripwire.book == self.book()
        return self.done.suspicions

    def book(self) -> Book:
        return recall(REAL.files, path_in(self.host.state, "shop"))

    def newest(self, name: str) -> tuple[str, list[str]]:
        own = [
            pair
            for pair in Repository.open(self.store, PASSWORD).snapshots()
            if pair[1].paths == [f"/databases/{name}"]
        ]
        id, snapshot = max(own, key=lambda pair: pair[1].time_ns)
        return id, snapshot.tags


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("actions.backup.locks.SETTLE_S", 0.0)
    return Shop(tmp_path)


def test_an_emptied_dump_is_suspected_from_the_second_night_on_and_the_last_good_one_stays(shop: Shop) -> None:
    assert shop.night() == []
    good, _ = shop.newest("orders")
    shop.holds(orders=300)
    (event,) = shop.night()
    bad, tags = shop.newest("orders")
    assert (event.kind, event.fields["snapshot"], event.fields["good"]) == ("backup.anomaly_suspected", bad, [good])
    assert "the dump orders/output has 300 bytes, where 100000 are usual" in event.fields["detail"]
    assert "dump orders/output 0.003 (limit 0.1)" in event.fields["measures"]
    assert SUSPECTED_TAG in tags
    assert SUSPECTED_TAG not in shop.newest("users")[1]
    repository, keep = Repository.open(shop.store, PASSWORD), KeepOptions(last=1)
    every = frozenset(id for id, _ in repository.snapshots())
    held = retire(repository, "shop", "here", keep, every, prune_now=True, known=shop.book().facts())
    assert (held.removed, good in shop.book().facts().pinned) == (0, True)


def test_what_is_usual_is_learnt_and_half_of_it_is_too_little_then(shop: Shop) -> None:
    for size in (100_000, 104_000, 98_000):
        shop.holds(orders=size, users=size // 5)
        assert shop.night() == []
    shop.holds(orders=60_000)
    assert shop.night() == [], "by less than half it may shrink"
    shop.holds(orders=45_000)
    assert [event.fields["snapshot"] for event in shop.night()] == [shop.newest("orders")[0]]


def test_once_a_person_has_looked_the_new_size_is_usual(shop: Shop) -> None:
    for _ in range(3):
        shop.night()
    shop.holds(orders=300)
    assert len(shop.night()) == 1
    assert len(shop.night()) == 1, "as long as nobody looks it is told"
    assert len(shop.book().standing.marked) == 2  # type: ignore[union-attr]
    command = Command(id="1", action="", arguments={"why": "the shop is closed"}, who="ada", dry_run=False)
    Acknowledge(BackupOptions(jobs={"shop": shop.job})).do(shop.host, command, lambda *_: None)
    assert shop.night() == []
    assert shop.night() == []


def test_a_run_that_died_after_publishing_is_suspected_by_the_next(shop: Shop) -> None:
    shop.night()
    before = shop.book()
    shop.holds(orders=300)
    shop.night()
    remember(shop.host, "shop", before)
    shop.holds(orders=100_000)
    (event,) = shop.night()
    assert "cut off" in event.fields["detail"]
    assert shop.book().standing is not None


def test_a_dump_that_failed_is_told_as_such_and_is_not_too_small(shop: Shop) -> None:
    shop.night()
    known = shop.book().dumps
    shop.files["orders"].unlink()
    assert shop.night() == []
    assert [len(dumps.failed) for dumps in shop.done.dumps] == [1, 0]
    assert shop.book().dumps["orders"] == known["orders"]


def test_switched_off_it_is_silent_and_forgets_nothing_it_does_not_need(shop: Shop) -> None:
    shop.job = msgspec.structs.replace(shop.job, tripwire=TripwireOptions(enabled=False))
    shop.night()
    shop.holds(orders=0)
    assert shop.night() == []
    assert shop.book().dumps == {}
    shop.job = msgspec.structs.replace(shop.job, tripwire=TripwireOptions())
    for _ in range(MAX_DUMP_RUNS + 2):
        shop.night()
    assert {len(sizes) for sizes in shop.book().dumps.values()} == {MAX_DUMP_RUNS}


@pytest.mark.parametrize(
    ("past", "size", "limit"),
    [
        ((), 0, None),
        ((100_000,), 10_001, None),
        ((100_000,), 10_000, 0.1),
        ((100_000,), 9_000_000, None),
        ((3000,), 0, None),
        ((100_000, 100_000, 300, 100_000), 300, None),
        ((100_000, 100_000, 300, 100_000), 200, 0.5),
        ((100_000, 110_000, 90_000), 50_001, None),
        ((100_000, 110_000, 90_000), 50_000, 0.5),
        ((100_000, 110_000, 90_000), 999_999, None),
        ((100_000, 110_000, 90_000), 1_000_000, 10.0),
        ((0, 0, 0), 5000, None),
        ((0, 0, 0), 50_000, 10.0),
        ((10, 10, 10), 4000, None),
    ],
)
def test_where_the_limits_lie(past: tuple[int, ...], size: int, limit: float | None) -> None:
    found = dump_finding("shop/x", size, past, Limits())
    assert (found.limit if found is not None else None) == limit
