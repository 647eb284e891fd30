"""Archives are read in a thread of their own, and nothing that is to be said of them is lost with it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.integrity.learning import Learner
from collectors.integrity.packages.desk import PackageDesk
from host.linux import LinuxHost
from tests.collectors.integrity.packages.repository import Made


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    repository = Made(tmp_path / "made", monkeypatch)
    repository.archive()
    repository.sign()
    repository.installed("1.0")
    yield repository
    repository.close()


def learner(folder: Path) -> Learner:
    return Learner(LinuxHost(), folder, (), lambda _: False)


def ended(one: Learner) -> Learner:
    end = time.monotonic() + 20
    while one.is_at_work:
        assert time.monotonic() < end
        time.sleep(0.01)
    return one


def test_archives_are_learnt_once_however_often_it_is_asked(made: Made, tmp_path: Path) -> None:
    one = learner(tmp_path / "state")
    assert not one.is_ready
    one.start()
    one.start()  # while the round is under way
    assert ended(one).is_ready and one.take() == ((), ())
    desk = PackageDesk(LinuxHost(), tmp_path / "state")
    desk.begin()
    assert [each.package for each in desk.shipped(b"/usr/bin/hf-tool")] == ["hf-tool"]
    desk.close()


def test_a_key_that_comes_later_is_told_once(made: Made, tmp_path: Path) -> None:
    one = learner(tmp_path / "state")
    one.start()
    ended(one)
    new_key = made.another_key()
    made.archive("1.1")
    made.sign()
    again = learner(tmp_path / "state")
    again.start()
    events, _ = ended(again).take()
    assert [(event.kind, event.key) for event in events] == [("integrity.package_key_new", new_key)]
    assert again.take() == ((), ())


def test_a_failure_is_told_and_not_lost_with_the_thread(made: Made, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/packages.db").write_bytes(b"no database" * 1000)
    one = learner(tmp_path / "state")
    one.start()
    _, blind = ended(one).take()
    assert len(blind) == 1 and blind[0].what == "which package accounts for a change"
