"""One run after another: what is suspected stands, marks the snapshot, holds retention, and goes when a person has looked."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actions.backup.hold import SUSPECTED_TAG
from actions.backup.options import BackupOptions, KeepOptions
from actions.backup.repository import Repository
from actions.backup.retiring import retire
from actions.backup.tripwire.book import Book, Canary, path_in, recall, remember
from actions.backup.tripwire.deeds import Acknowledge
from actions.backup.tripwire.tripwire import choices_of
from contracts.action import Command
from contracts.errors import Unavailable, Why
from contracts.event import Severity
from tests.actions.backup.conftest import PASSWORD
from tests.actions.backup.tripwire.scenarios import files, noise
from tests.actions.backup.tripwire.test_labelled import Server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr("actions.backup.locks.SETTLE_S", 0.0)
    return Server(tmp_path, 77)


def book(server: Server) -> Book:
    return recall(server.host.files, path_in(server.host.state, "etc"))


def encrypt(server: Server, count: int) -> None:
    for path in files(server.tree, "srv/data")[:count]:
        path.write_bytes(noise(path.stat().st_size, path.name))


def snapshots(server: Server) -> list[tuple[str, list[str]]]:
    found = sorted(Repository.open(server.store, PASSWORD).snapshots(), key=lambda pair: pair[1].time_ns)
    return [(id, snapshot.tags) for id, snapshot in found]


def acknowledge(server: Server) -> Any:
    command = Command(id="1", action="", arguments={"why": "restored from the copy"}, who="ada", dry_run=False)
    return Acknowledge(BackupOptions(jobs={"etc": server.job})).do(server.host, command, lambda *_: None)


def test_what_is_suspected_is_stated_with_its_numbers_and_marks_the_snapshot(server: Server) -> None:
    encrypt(server, 15)
    (event,) = server.night()
    (good, _), (bad, tags) = snapshots(server)
    assert event.kind == "backup.anomaly_suspected"
    assert (event.fields["snapshot"], event.fields["good"]) == (bad, [good])
    assert event.fields["measures"] == ["turned 15 (limit 10)"]
    assert len(event.fields["paths"]) == 15
    assert SUSPECTED_TAG in tags
    msgspec.msgpack.encode(event)


def test_while_it_stands_nothing_is_removed_and_afterwards_it_is(server: Server) -> None:
    encrypt(server, 15)
    server.night()
    for _ in range(4):
        (server.tree / "srv/data/new.csv").write_bytes(os.urandom(100))
        assert server.night() == []
    repository = Repository.open(server.store, PASSWORD)
    every = [id for id, _ in snapshots(server)]
    keep, proved = KeepOptions(last=1), frozenset(every)
    held = retire(repository, "etc", "here", keep, proved, prune_now=True, known=book(server).facts())
    assert (held.removed, held.pruned) == (0, False)
    assert "15 files are not readable" in held.held
    result = acknowledge(server)
    assert [(each.kind, each.fields["who"]) for each in result.events] == [("backup.anomaly_acknowledged", "ada")]
    told = book(server)
    assert (told.standing, told.turned) == (None, ())
    assert told.acknowledged is not None
    assert (told.acknowledged.who, told.acknowledged.why) == ("ada", "restored from the copy")
    assert retire(repository, "etc", "here", keep, proved, prune_now=True, known=told.facts()).removed == len(every) - 1


def test_a_snapshot_marked_elsewhere_holds_a_policy_that_knows_nothing_else(server: Server) -> None:
    encrypt(server, 15)
    server.night()
    repository = Repository.open(server.store, PASSWORD)
    proved = frozenset(id for id, _ in snapshots(server))
    held = retire(repository, "etc", "here", KeepOptions(last=1), proved, prune_now=False)
    assert "marked as suspected" in held.held


def test_one_canary_is_enough_and_critical(server: Server) -> None:
    import hashlib

    path = server.tree / "home/ada/bird.csv"
    path.write_bytes(b"1;2;3\n" * 200)
    canary = Canary(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    remember(server.host, "etc", msgspec.structs.replace(book(server), canaries=(canary,)))
    assert server.night() == []
    path.rename(path.with_suffix(".locked"))
    (event,) = server.night()
    assert (event.severity, event.fields["measures"]) == (Severity.CRITICAL, ["canary 1 (limit 0)"])
    assert f"was renamed to {path.with_suffix('.locked')}" in event.fields["detail"]
    assert len(server.night()) == 1, "as long as it is gone"
    assert str(path) in acknowledge(server).summary
    assert book(server).canaries == ()
    assert server.night() == []


def test_a_run_that_died_after_publishing_is_suspected_by_the_next(server: Server) -> None:
    before = book(server)
    encrypt(server, 15)
    server.night()
    remember(server.host, "etc", before)
    (event,) = server.night()
    assert "cut off" in event.fields["detail"]
    assert book(server).standing is not None


def test_after_other_settings_nothing_is_said_to_be_lost(server: Server) -> None:
    server.job = msgspec.structs.replace(server.job, excludes=("*.never",))
    for path in files(server.tree, "home", "srv", "etc", "var"):
        path.unlink()
    assert server.night() == []
    assert book(server).choices == choices_of(server.job)


def test_switched_off_it_is_silent(server: Server) -> None:
    server.job = msgspec.structs.replace(
        server.job, tripwire=msgspec.structs.replace(server.job.tripwire, enabled=False)
    )
    encrypt(server, 30)
    assert server.night() == []
    assert SUSPECTED_TAG not in snapshots(server)[-1][1]


def test_a_full_disk_of_the_worker_loses_no_suspicion_and_fails_no_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, *_: object) -> None:
        raise Unavailable(Why.OTHER, f"{path} cannot be written (No space left on device)", advice="make room there")

    encrypt(server, 15)
    with monkeypatch.context() as patch:
        patch.setattr(server.host, "write", full)
        suspected, lost = server.night()
    assert suspected.kind == "backup.anomaly_suspected"
    assert (lost.kind, lost.fields["step"]) == ("backup.upkeep_failed", "tripwire")
    assert "No space left on device" in lost.fields["detail"]
    assert SUSPECTED_TAG in snapshots(server)[-1][1]
    assert book(server).standing is None

    assert [event.kind for event in server.night()] == ["backup.anomaly_suspected"], "the tag has kept it"
    assert book(server).standing is not None
