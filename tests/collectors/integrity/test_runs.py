"""Changes wait for the run of dpkg that brings them, for a bounded time, and are never lost where nobody can say what brought them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.integrity import runs as tested
from collectors.integrity.book import FILE
from collectors.integrity.options import Options
from collectors.integrity.requests import requests
from collectors.integrity.runs import MOST_LEARNING_S, MOST_WAIT_S, Runs
from contracts.file_change import CREATED, Change
from contracts.open_change import Batch
from contracts.provenance import QUESTION
from contracts.trees import Node
from host.linux import LinuxHost
from tests.collectors.integrity.packages.repository import Made

NODE = Node(b"x", 0o100644, 0, 0, 1, 5, 0, 0, 1, 1, content=b"\x01" * 32)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    repository = Made(tmp_path / "made", monkeypatch)
    repository.archive()
    repository.sign()
    repository.installed("1.0")
    yield repository
    repository.close()


@pytest.fixture
def runs(made: Made, tmp_path: Path) -> Runs:
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    one = Runs(host, Options(enabled=True, profiles=("configuration",)))
    one.begin()
    end = time.monotonic() + 60
    while not one._learning().is_ready:
        assert time.monotonic() < end
        time.sleep(0.01)
    return one


def batch(path: bytes = b"/usr/bin/x", age_s: float = 0.0) -> Batch:
    change = Change(path=path, kinds=(CREATED,), after=NODE, at_ms=int((time.time() - age_s) * 1000))
    return Batch(changes=(change,))


def test_changes_wait_while_dpkg_works_but_not_for_ever(made: Made, runs: Runs) -> None:
    assert not runs.waits(batch())
    lock = made.folder / "dpkg/lock"
    code = f"import fcntl, sys; f = open({str(lock)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dpkg:
        assert dpkg.stdout is not None and dpkg.stdout.readline() == b"\n"
        assert runs.waits(batch())
        assert not runs.waits(batch(b"/srv/x")), "no package brings that"
        assert not runs.waits(batch(age_s=MOST_WAIT_S + 1))
        dpkg.communicate()


def test_changes_wait_for_the_first_reading_of_archives_and_then_stand_as_they_are(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tested.Learner, "start", lambda *_, **__: None)
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    one = Runs(host, Options(enabled=True))
    one.begin()
    held = b"/usr/bin/hf-tool"
    assert one.waits(batch(held)) and not one.waits(batch(held, age_s=MOST_LEARNING_S + 1))
    assert not one.waits(batch(b"/var/www/x")), (
        "no package has it, and none was installed since: no archive says anything of it"
    )
    assert not one.waits(batch(b"/var/tmp/x"))
    explained = one.explained(batch().changes)
    assert not explained.judged and explained.standing_out == () and "still being read" in explained.blind[0].detail


def test_a_failure_to_judge_takes_no_change_away_and_is_said(made: Made, runs: Runs) -> None:
    (made.folder / "dpkg/status").unlink()
    (made.folder / "dpkg/status").mkdir()
    explained = runs.explained(batch().changes)
    assert not explained.judged and explained.standing_out == ()
    assert explained.blind[0].what == QUESTION and "IsADirectoryError" in explained.blind[0].detail
    assert runs.explained(()).blind == explained.blind, "nothing has changed, and it still cannot be asked"
    (made.folder / "dpkg/status").rmdir()
    made.installed("1.0")
    assert runs.explained(()).blind == ()


def test_that_packages_cannot_be_asked_stands_until_they_can(made: Made, tmp_path: Path) -> None:
    status, aside = made.folder / "dpkg/status", made.folder / "status"
    status.rename(aside)
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    one = Runs(host, Options(enabled=True, profiles=("configuration",)))
    one.begin()
    for changes in ((), batch().changes, (), ()):
        spots = one.explained(changes).blind
        assert sum("there is no dpkg here" in spot.detail for spot in spots) == 1
    aside.rename(status)
    assert not any("no dpkg" in spot.detail for spot in one.explained(()).blind)


def test_what_could_not_be_verified_stands_in_every_look_until_it_is(made: Made, runs: Runs) -> None:
    bad = made.folder / "archives/hf-tool_1.1_all.deb"
    bad.write_bytes(b"!<arch>\nbroken")
    for changes in (batch().changes, (), batch().changes, ()):
        (spot,) = runs.explained(changes).blind
        assert "no sound Debian archive" in spot.detail
    made.archive("1.1")  # fetched again
    made.sign()
    assert runs.explained(batch().changes).blind == runs.explained(()).blind == ()


def test_a_damaged_file_of_packages_is_said_in_every_look_and_takes_no_change_away(made: Made, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/packages.db").write_bytes(b"no database" * 1000)
    host: Any = LinuxHost()
    host.state = str(tmp_path)
    one = Runs(host, Options(enabled=True, profiles=("configuration",)))
    one.begin()
    end = time.monotonic() + 60
    while not one._learning().is_ready:
        assert time.monotonic() < end
        time.sleep(0.01)
    for changes in ((), batch().changes, ()):
        explained = one.explained(changes)
        assert not explained.judged and "packages.db" in explained.blind[0].detail
    (tmp_path / "packages/packages.db").unlink()
    assert one.explained(batch().changes).judged and one.explained(()).blind == ()


def test_what_packages_do_not_ship_is_not_asked_of_them(runs: Runs) -> None:
    explained = runs.explained(batch(b"/srv/x").changes)
    assert not explained.judged and explained.blind == () and explained.standing_out == ()


def ran(made: Made, ago_s: int = 0) -> None:
    stamp = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(time.time() - ago_s))
    with (made.folder / "history.log").open("a") as log:
        log.write(f"\nStart-Date: {stamp}\nReinstall: hf-tool:all (1.0)\nEnd-Date: {stamp}\n")


def test_after_a_run_changes_wait_until_the_watch_has_seen_all_that_it_wrote(
    made: Made, runs: Runs, tmp_path: Path
) -> None:
    door = requests(tmp_path / FILE)
    door.open(lambda: None)
    ran(made, ago_s=1)
    runs.look()
    assert runs.waits(batch()), "more of it may be under way to the journal"
    (rest,) = door.take()
    runs.look()
    assert runs.waits(batch()) and door.take() == [], "it is asked for once"
    rest.finish()
    assert runs.waits(batch()), "the journal was read before that"
    runs.look()
    assert not runs.waits(batch())
    assert len(runs.explained(batch().changes).events) == 1
    runs.look()
    assert not runs.waits(batch()), "nothing has run since"
    ran(made)
    runs.look()
    assert runs.waits(batch()) and len(door.take()) == 1
    door.close()
    runs.look()
    assert not runs.waits(batch()), "nobody watches any more"
