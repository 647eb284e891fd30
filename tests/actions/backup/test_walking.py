"""Walking by descriptor: no swap on the way leads elsewhere, however deep the way is."""

import errno
import os
from pathlib import Path

import pytest

from actions.backup import walking
from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.restorer import find_tree
from actions.backup.walking import MAX_OPEN, Way, steps


def down(way: Way, *names: str) -> None:
    for name in names:
        way.enter(way.open_directory(os.fsencode(name)))


@pytest.fixture
def way() -> Way:
    made = Way()
    made.enter(made.open_directory(b""))
    return made


def test_steps_lead_to_each_path_and_one_below_another_adds_nothing() -> None:
    root = steps([b"/a/b", b"/a/b/c", b"/a/d", b"/"])
    assert root.below == {}
    root = steps([b"/a/b", b"/a/b/c", b"/a/d"])
    assert {name: sorted(step.below) for name, step in root.below.items()} == {b"a": [b"b", b"d"]}


def test_a_link_is_followed_only_when_that_is_asked_for(tmp_path: Path, way: Way) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    down(way, *tmp_path.parts[1:])
    with pytest.raises(NotADirectoryError):
        way.open_directory(b"link")
    os.close(way.open_directory(b"link", follow=True))
    with pytest.raises(OSError) as caught:
        way.open_file(b"link", os.lstat(tmp_path / "link"))
    assert caught.value.errno == errno.ELOOP
    way.close()


def test_few_directories_stay_open_and_the_way_back_is_found(tmp_path: Path, way: Way) -> None:
    down(way, *tmp_path.parts[1:])
    depth = 5 * MAX_OPEN
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(depth):
        os.mkdir(b"d", dir_fd=way.here)
        down(way, "d")
        assert len(os.listdir("/proc/self/fd")) <= before + MAX_OPEN
    for _ in range(depth):
        way.leave()
    assert os.fstat(way.here).st_ino == tmp_path.stat().st_ino
    way.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_directory_that_was_moved_away_does_not_lead_back_elsewhere(tmp_path: Path, way: Way) -> None:
    down(way, *tmp_path.parts[1:])
    for _ in range(MAX_OPEN + 2):
        os.mkdir(b"d", dir_fd=way.here)
        down(way, "d")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "d" / "d").rename(tmp_path / "elsewhere" / "d")
    with pytest.raises(OSError) as caught:
        while True:
            way.leave()
    assert caught.value.errno == errno.ESTALE
    way.close()


def test_a_directory_swapped_for_a_link_is_not_followed_out_of_the_tree(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("not to be saved")
    (tmp_path / "root" / "inside").mkdir(parents=True)
    (tmp_path / "root" / "inside" / "key").write_text("to be saved")
    real = Way.open_directory

    def swap(self: Way, name: bytes, *, follow: bool = False) -> int:
        if name == b"inside":
            (tmp_path / "root" / "inside").rename(tmp_path / "root" / "moved")
            (tmp_path / "root" / "inside").symlink_to(tmp_path / "secret")
        return real(self, name, follow=follow)

    monkeypatch.setattr(walking.Way, "open_directory", swap)
    repository.load_index()
    id, report = Archiver(repository).snapshot([str(tmp_path / "root")], hostname="here")
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(tmp_path / "root"))
    assert [name for name, _ in repository.load_tree(bytes.fromhex(tree))] == []
    assert [told.path for told in report.unreadable] == [os.fsencode(tmp_path / "root" / "inside")]


def test_the_access_time_is_left_alone_where_that_is_ours_to_say(tmp_path: Path, way: Way) -> None:
    (tmp_path / "file").write_text("x")
    os.utime(tmp_path / "file", ns=(10**18, 2 * 10**18))
    down(way, *tmp_path.parts[1:])
    descriptor = way.open_file(b"file", os.lstat(tmp_path / "file"))
    assert os.read(descriptor, 1) == b"x"
    os.close(descriptor)
    assert os.lstat(tmp_path / "file").st_atime_ns == 10**18
    assert way.place(b"file").startswith(b"/proc/self/fd/")
    way.close()
