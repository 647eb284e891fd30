"""What changes in a watched folder is told, also that something was not told."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.channel import Ending
from contracts.errors import Unavailable
from contracts.trees import CLOSE_WRITE, CREATE, DELETE, IS_FOLDER, MOVED_FROM, MOVED_TO, Place
from host.tree_notices import LinuxNotices

EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def notices() -> Iterator[LinuxNotices]:
    made = LinuxNotices()
    yield made
    made.close()


def watch(notices: LinuxNotices, path: Path) -> Place:
    descriptor = os.open(path, os.O_RDONLY)
    found = os.fstat(descriptor)
    place = Place(os.fsencode(path), found.st_dev, found.st_ino)
    assert notices.watch(place, descriptor)
    os.close(descriptor)
    return place


def told(notices: LinuxNotices) -> list[tuple[bytes, bytes, int]]:
    return [notice[:3] for notice in notices.read(Ending(), 1.0)[0]]


def test_what_happens_in_a_folder_is_told_in_order(notices: LinuxNotices, tmp_path: Path) -> None:
    watch(notices, tmp_path)
    (tmp_path / "a\n").write_bytes(b"x")
    (tmp_path / "a\n").rename(tmp_path / "b")
    (tmp_path / "b").unlink()
    (tmp_path / "d").mkdir()
    seen = [(name, mask) for _, name, mask in told(notices)]
    assert [mask for _, mask in seen] == [
        CREATE,
        0x2,
        CLOSE_WRITE,
        MOVED_FROM,
        MOVED_TO,
        DELETE,
        CREATE | IS_FOLDER,
    ]
    assert [name for name, _ in seen] == [b"a\n", b"a\n", b"a\n", b"a\n", b"b", b"b", b"d"]


def test_both_sides_of_a_rename_have_the_same_number_and_no_other_notice_has(
    notices: LinuxNotices, tmp_path: Path
) -> None:
    watch(notices, tmp_path)
    for former, name in (("a", "b"), ("b", "c")):
        (tmp_path / former).touch()
        (tmp_path / former).rename(tmp_path / name)
    notices.wait(Ending(), 1.0)
    numbers: dict[int, list[bytes]] = {}
    for _, name, mask, number in notices.read(Ending(), 0.0)[0]:
        if mask in (MOVED_FROM, MOVED_TO):
            numbers.setdefault(number, []).append(name)
        else:
            assert number == 0
    assert sorted(numbers.values()) == [[b"a", b"b"], [b"b", b"c"]] and 0 not in numbers


def test_a_folder_that_is_dropped_is_not_told_of(notices: LinuxNotices, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for path in (tmp_path / "a", tmp_path / "a/b", tmp_path):
        watch(notices, path)
    notices.drop([os.fsencode(tmp_path / "a")])
    assert notices.count() == 1
    (tmp_path / "a/b/file").touch()
    (tmp_path / "file").touch()
    assert {folder for folder, _, _ in told(notices)} == {os.fsencode(tmp_path)}


def test_a_moved_folder_is_told_of_by_its_new_path(notices: LinuxNotices, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    watch(notices, tmp_path / "a")
    place = watch(notices, tmp_path / "a/b")
    (tmp_path / "a").rename(tmp_path / "c")
    notices.move(os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "c"))
    told(notices)
    (tmp_path / "c/b/file").touch()
    assert {folder for folder, _, _ in told(notices)} == {os.fsencode(tmp_path / "c/b")}
    assert notices.place(os.fsencode(tmp_path / "a/b")) is None
    moved = notices.place(os.fsencode(tmp_path / "c/b"))
    assert moved is not None and moved.inode == place.inode


def test_another_folder_under_the_same_path_takes_the_place_of_the_first(notices: LinuxNotices, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    watch(notices, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()
    place = watch(notices, tmp_path / "a")
    assert notices.count() == 1 and notices.place(place.path) == place
    notices.read(Ending(), 0.2)
    (tmp_path / "b/x").touch()
    (tmp_path / "a/y").touch()
    assert {name for _, name, _ in told(notices)} == {b"y"}


def test_a_folder_that_is_gone_is_forgotten(notices: LinuxNotices, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    watch(notices, tmp_path / "a")
    (tmp_path / "a").rmdir()
    told(notices)
    assert notices.count() == 0


def test_an_overflow_is_said(tmp_path: Path) -> None:
    before = EVENTS.read_text()
    try:
        EVENTS.write_text("16")
        small = LinuxNotices()
    finally:
        EVENTS.write_text(before)
    watch(small, tmp_path)
    for number in range(40):
        (tmp_path / str(number)).touch()
    notices, overflown = small.read(Ending(), 1.0)
    small.close()
    assert overflown and 0 < len(notices) <= 16


def test_the_end_interrupts_the_wait(notices: LinuxNotices) -> None:
    ending = Ending()
    threading.Timer(0.05, ending.set).start()
    assert notices.read(ending, 30.0) == ([], False)


def test_one_that_was_closed_takes_nothing_from_another_with_its_number(tmp_path: Path) -> None:
    """A thread may still wait on it while the next watch begins."""
    closed = LinuxNotices()
    number = closed._fd
    closed.close()
    fresh = LinuxNotices()
    assert fresh._fd == number
    watch(fresh, tmp_path)
    (tmp_path / "a").touch()
    for ask in (closed.read, closed.wait):
        with pytest.raises((OSError, ValueError)):
            ask(Ending(), 0.2)
    assert [name for _, name, _ in told(fresh)] != []
    fresh.close()


LIMITED = """
import os, sys
sys.path.insert(0, ".")
from contracts.trees import Place
from host.tree_notices import LinuxNotices
open("/proc/sys/user/max_inotify_watches", "w").write("2")
open("/proc/sys/user/max_inotify_instances", "w").write("1")
notices = LinuxNotices()
answers = []
for name in ("a", "b", "c"):
    os.mkdir(f"{sys.argv[1]}/{name}")
    descriptor = os.open(f"{sys.argv[1]}/{name}", os.O_RDONLY)
    answers.append(notices.watch(Place(name.encode()), descriptor))
try:
    LinuxNotices()
except Exception as error:
    answers.append(str(error))
print(answers)
"""


def test_the_limits_of_the_kernel_are_said(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.stdout.startswith("[True, True, False, 'the kernel gives this user no more inotify instances;")


def test_the_limit_is_read_from_the_kernel(notices: LinuxNotices) -> None:
    assert notices.limit() > 0


def test_a_folder_that_is_none_cannot_be_watched(notices: LinuxNotices, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    with pytest.raises(NotADirectoryError):
        notices.watch(Place(b"x"), descriptor)
    os.close(descriptor)


def test_no_more_instances_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr("host.tree_notices._libc", Libc())
    with pytest.raises(Unavailable):
        LinuxNotices()
