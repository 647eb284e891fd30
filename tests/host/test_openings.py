"""Files are opened without following a link, without waiting, and at any depth; what was not opened is said."""

import os
import socket
import threading
import time

import pytest

from host.openings import LinuxOpenings

OPENINGS = LinuxOpenings()


def everything(root, wanted=lambda path, stamp: True, excluded=lambda path, is_folder: False, **more):
    """What is below, as path -> content or flaw."""
    found = {}
    for opened in OPENINGS.below(os.fsencode(root), wanted, excluded, **more):
        found[opened.path.removeprefix(os.fsencode(root))] = opened.flaw or os.pread(opened.descriptor, 100, 0)
        if not opened.flaw:
            os.close(opened.descriptor)
    return found


def count():
    return len(os.listdir("/proc/self/fd"))


def test_regular_files_are_opened_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b").write_bytes(b"2")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    os.mknod(tmp_path / "device", 0o600 | 0o020000, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        before, began = count(), time.monotonic()
        assert everything(tmp_path) == {b"/a": b"1", b"/d/b": b"2"}
    assert time.monotonic() - began < 60 and count() == before - 1


def test_hostile_names_are_names(tmp_path):
    names = [b"new\nline", b"\xff\xfe", b"-rf", b"esc\x1b[31m", b"'\"$(x)", b"x" * 255]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(name)
    assert everything(tmp_path) == {b"/" + name: name[:100] for name in names}


def test_a_path_longer_than_the_kernel_takes_is_no_hiding_place(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 250, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    deep = os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.write(deep, b"found")
    os.close(deep)
    os.close(folder)
    found = everything(tmp_path)
    assert list(found.values()) == [b"found"] and len(next(iter(found))) > 4096


def test_what_is_excluded_or_not_wanted_is_not_opened(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(name.encode())
    found = everything(
        tmp_path,
        wanted=lambda path, stamp: not path.endswith(b"b/f") and stamp.size == 1,
        excluded=lambda path, is_folder: is_folder and path.endswith(b"/c"),
    )
    assert found == {b"/a/f": b"a"}


def test_another_filesystem_is_named_and_not_entered():
    found = everything("/dev", excluded=lambda path, is_folder: is_folder and not path.endswith(b"shm") and False)
    assert found.get(b"/shm") == "another filesystem" or found.get(b"/pts") == "another filesystem"


def test_one_file_is_opened_where_no_link_stands_on_the_way(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "l").symlink_to("f")
    os.mkfifo(tmp_path / "d" / "p")
    one = OPENINGS.one(os.fsencode(tmp_path / "d" / "f"))
    assert os.read(one.descriptor, 9) == b"1"
    os.close(one.descriptor)
    assert (
        "link" in OPENINGS.one(os.fsencode(tmp_path / "link" / "f")).flaw
        or OPENINGS.one(os.fsencode(tmp_path / "link" / "f")).descriptor == -1
    )
    assert OPENINGS.one(os.fsencode(tmp_path / "d" / "l")).flaw == "not a regular file"
    assert OPENINGS.one(os.fsencode(tmp_path / "d" / "p")).flaw == "not a regular file"
    assert OPENINGS.one(os.fsencode(tmp_path / "d" / "none")).flaw == "gone"
    assert OPENINGS.one(os.fsencode(f"{tmp_path}/d/../d/f")).descriptor == -1
    assert everything(tmp_path / "d" / "f") == {b"": b"1"}


def test_folders_that_are_swapped_for_links_meanwhile_never_lead_outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    for number in range(50):
        (root / f"{number:02}").mkdir()
        (root / f"{number:02}" / "secret").write_bytes(b"own")
    over = threading.Event()

    def swap():
        while not over.is_set():
            for number in range(50):
                place = root / f"{number:02}"
                place.rename(tmp_path / "aside")
                place.symlink_to(outside)
                place.unlink()
                (tmp_path / "aside").rename(place)

    thread = threading.Thread(target=swap)
    thread.start()
    before = count()
    try:
        seen = [value for _ in range(60) for value in everything(root).values()]
    finally:
        over.set()
        thread.join()
    assert b"own" in seen and b"secret" not in seen
    assert count() == before


def test_a_walk_that_is_given_up_leaves_nothing_open(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_bytes(b"1")
    before = count()
    walk = OPENINGS.below(os.fsencode(tmp_path), lambda *_: True, lambda *_: False)
    opened = next(walk)
    assert count() > before + 1
    walk.close()
    os.close(opened.descriptor)  # it belongs to whoever got it
    assert count() == before


@pytest.mark.parametrize("root", [b"/nowhere", b"/proc/1/root/nowhere"])
def test_a_root_that_is_not_there_is_said(root):
    assert [opened.flaw != "" for opened in OPENINGS.below(root, lambda *_: True, lambda *_: False)] == [True]
