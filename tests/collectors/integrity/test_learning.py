"""Archives are read in a thread of their own, and nothing that is to be said of them is lost with it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.integrity import learning as tested
from collectors.integrity.learning import Learner
from collectors.integrity.packages.desk import PackageDesk
from contracts.provenance import QUESTION
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
    end = time.monotonic() + 60
    while one.is_at_work:
        assert time.monotonic() < end
        time.sleep(0.01)
    return one


def test_archives_are_learnt_once_however_often_it_is_asked(made: Made, tmp_path: Path) -> None:
    one = learner(tmp_path / "state")
    assert not one.is_ready
    one.start()
    one.start()  # while the round is under way
    assert ended(one).is_ready and one.take() == () and one.blind == ()
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
    events = ended(again).take()
    assert [(event.kind, event.key) for event in events] == [("integrity.package_key_new", new_key)]
    assert again.take() == ()
    (spot,) = again.blind
    assert "hf-tool 1.1 is signed by keys that came later" in spot.detail


def test_a_failure_is_told_and_not_lost_with_the_thread(made: Made, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/packages.db").write_bytes(b"no database" * 1000)
    one = learner(tmp_path / "state")
    one.start()
    (spot,) = ended(one).blind
    assert spot.what == QUESTION
    one.take()
    assert one.blind == (spot,), "to be asked for news takes nothing of it away"


def test_what_failed_is_tried_again_after_a_while_and_stands_until_it_went_well(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state/packages.db"
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    one = learner(file.parent)
    one.start()
    assert ended(one).blind
    one.again()
    assert not one.is_at_work and one.blind, "not at once"
    file.unlink()
    monkeypatch.setattr(tested, "AGAIN_S", 0.0)
    monkeypatch.setattr(tested, "EVERY_S", 0.0)
    one.again()
    assert ended(one).blind == ()


def test_an_archive_that_cannot_be_read_stands_until_it_can_also_for_who_begins_later(
    made: Made, tmp_path: Path
) -> None:
    bad = made.folder / "archives/bad_1_all.deb"
    bad.write_bytes(b"!<arch>\nbroken")
    for _ in range(2):
        one = learner(tmp_path / "state")
        one.start()
        (spot,) = ended(one).blind
        assert "bad_1_all.deb is no sound Debian archive" in spot.detail
    bad.unlink()
    one = learner(tmp_path / "state")
    one.start()
    assert ended(one).blind == (), "it is gone, and not what is installed"
