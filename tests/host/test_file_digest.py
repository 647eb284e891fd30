"""A file is hashed whole and as it stands; one that changes meanwhile says so instead of being believed."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.trees import CHANGED, Node, TreePlan
from host import file_digest
from host.file_digest import Reader, xattr_digest


def look(path: Path) -> Node:
    folder = os.open(path.parent, os.O_RDONLY)
    found = os.lstat(path)
    try:
        return Reader(TreePlan()).complete(os.fsencode(path.name), found, folder)
    finally:
        os.close(folder)


@pytest.mark.parametrize(
    "size", [0, 1, file_digest.CHUNK - 1, file_digest.CHUNK, file_digest.CHUNK + 1, 3 * file_digest.CHUNK]
)
def test_every_size_is_hashed_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert look(tmp_path / "file").content == sha256(content).digest()


def test_a_file_that_grows_while_it_is_read_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * file_digest.CHUNK * 2)
    read = os.preadv

    def growing(descriptor: int, buffers: object, offset: int, *flags: int) -> int:
        with file.open("ab") as more:
            more.write(b"y")
        return read(descriptor, buffers, offset, *flags)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", growing)
    assert look(file).flaw == CHANGED


def test_a_file_swapped_for_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    found = os.lstat(file)
    file.unlink()
    os.mkfifo(file)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert Reader(TreePlan()).complete(b"file", found, folder).flaw == CHANGED
    finally:
        os.close(folder)


def test_attributes_make_one_digest_in_any_order() -> None:
    assert xattr_digest([("a", b"1"), ("b", b"2")]) == xattr_digest([("b", b"2"), ("a", b"1")])
    assert xattr_digest([("a", b"12")]) != xattr_digest([("a1", b"2")])


def test_an_unknown_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256, blake3"):
        Reader(TreePlan(hash_name="md5"))


def test_a_file_that_is_made_immutable_or_append_only_has_other_attributes(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x")
    before = look(file).attributes
    try:
        subprocess.run(["chattr", "+i", str(file)], check=True)
        immutable = look(file).attributes
        subprocess.run(["chattr", "-i", "+a", str(file)], check=True)
        assert len({before, immutable, look(file).attributes}) == 3
    finally:
        subprocess.run(["chattr", "-ia", str(file)], check=True)
    assert look(file).attributes == before


def test_how_much_is_large_is_what_this_processor_hashes_in_a_moment() -> None:
    large = Reader(TreePlan()).large
    assert 0 < large <= file_digest.LARGE
    assert Reader(TreePlan(hash_name="")).large == file_digest.LARGE


def test_a_large_file_on_a_slow_disk_is_asked_for_ahead_of_its_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("READ_AHEAD", 8000), ("MORE_AHEAD", 2000), ("CHUNK", 1000), ("LARGE", 1000)):
        monkeypatch.setattr(file_digest, name, size)
    content = os.urandom(20_500)
    (tmp_path / "file").write_bytes(content)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(file_digest, "ask", lambda descriptor, start, size: asked.append((start, size)))
    reader = Reader(TreePlan(), is_slow=lambda: True)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    node = reader.finish(b"file", os.fstat(descriptor), descriptor)
    assert node.content == sha256(content).digest()
    assert asked == [(start, 2000) for start in range(8000, 20_500, 2000)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_what_cannot_be_asked_for_ahead_is_no_error() -> None:
    reading, writing = os.pipe()
    assert not file_digest.ask(reading, 0, 1)
    os.close(reading)
    os.close(writing)
