"""Reading a file with all that belongs to it, and putting it back whole."""

import os
from pathlib import Path

import msgspec
import pytest

from actions.history.putting import NotKept, put, read
from contracts.errors import HoldfastError, Refused


def test_what_is_read_and_put_back_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\0\xff\n")
    file.chmod(0o751)
    kept = read(os.fsencode(file), 1, 100)
    file.write_bytes(b"other")
    assert put(kept) == []
    assert read(os.fsencode(file), 1, 100) == kept
    assert os.listdir(tmp_path) == ["x"], "nothing is left beside it"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "large"])
def test_what_is_no_file_of_the_size_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
        "large": lambda: path.write_bytes(b"x" * 101),
    }[kind]()
    with pytest.raises(NotKept):
        read(os.fsencode(path), 1, 100)


def test_a_path_that_is_not_whole_is_refused() -> None:
    for path in (b"etc/x", b"/", b"/etc/../x", b""):
        with pytest.raises(HoldfastError):
            read(path, 1, 100)


def test_rights_that_make_root_are_not_given_back(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x")
    kept = msgspec.structs.replace(read(os.fsencode(file), 1, 100), mode=0o4755)
    with pytest.raises(Refused, match="set-uid"):
        put(kept)


def test_a_file_with_two_names_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x")
    kept = read(os.fsencode(file), 1, 100)
    os.link(file, tmp_path / "y")
    with pytest.raises(Refused, match="2 names"):
        put(kept)


def test_whoever_reads_meanwhile_finds_one_or_the_other(tmp_path: Path) -> None:
    import threading

    file = tmp_path / "x"
    file.write_bytes(b"a" * 90)
    one = read(os.fsencode(file), 1, 100)
    two = msgspec.structs.replace(one, content=b"b" * 90)
    seen: set[bytes] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(file.read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(20):
        put(two)
        put(one)
    stop.set()
    thread.join()
    assert seen <= {b"a" * 90, b"b" * 90}
