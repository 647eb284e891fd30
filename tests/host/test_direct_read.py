"""Files are read past the page cache whole and as they stand; what cannot be read like this is left to those who read as ever."""

import ctypes
import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.trees import CHANGED, TreePlan
from host import direct_read, file_digest
from host.direct_read import PIECE, Devices, Direct
from host.file_digest import Reader


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder on a disk, where that of other tests may be in memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def written(path: Path, content: bytes) -> int:
    """Return a descriptor of a new file that is on the disk alone, but for a last page that is not full."""
    pages = mmap.mmap(-1, -(-len(content) // mmap.PAGESIZE) * mmap.PAGESIZE)
    pages[: len(content)] = content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    try:
        assert os.write(descriptor, pages) == len(pages)
        os.truncate(path, len(content))
        os.fsync(descriptor)
        os.utime(path, (0, 0))  # not written a moment ago
    finally:
        os.close(descriptor)
    return os.open(path, os.O_RDONLY)


def in_memory(descriptor: int, size: int) -> int:
    """Return how many of a file's pages are in the page cache (mincore(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    count = -(-size // mmap.PAGESIZE)
    held = (ctypes.c_ubyte * count)()
    with mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        place = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(place)), ctypes.c_size_t(size), held)
        del place
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in held)


@pytest.mark.parametrize("size", [PIECE // 8 + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 4097])
def test_every_size_is_read_whole_and_leaves_nothing_in_memory(place: Path, size: int) -> None:
    content = os.urandom(size)
    descriptor = written(place / "file", content)
    digest = sha256()
    try:
        assert Devices().allow(descriptor, os.fstat(descriptor).st_dev)
        assert Direct().read(descriptor, size, sha256()) == size
        assert Direct().read(descriptor, size, digest) == size
        assert not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT
        assert in_memory(descriptor, size) <= 1  # the last page
    finally:
        os.close(descriptor)
    assert digest.digest() == sha256(content).digest()


def test_what_is_in_memory_is_not_read_from_the_disk(place: Path) -> None:
    content = os.urandom(PIECE)
    descriptor = written(place / "file", content)
    try:
        assert os.pread(descriptor, PIECE, 0) == content
        assert Direct().read(descriptor, PIECE, sha256()) == 0
    finally:
        os.close(descriptor)


def test_a_disk_that_answers_before_the_question_has_ended_is_not_taken_for_memory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = written(place / "file", os.urandom(PIECE))
    read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda one, buffers, offset, *_: read(one, buffers, offset))  # it waits
    try:
        assert Direct().read(descriptor, PIECE, sha256()) == PIECE
        assert in_memory(descriptor, PIECE) == 0
    finally:
        os.close(descriptor)


def test_what_was_written_is_seen_and_a_moment_ago_is_read_as_ever(place: Path) -> None:
    content = os.urandom(2 * PIECE)
    descriptor = written(place / "file", content)
    with (place / "file").open("r+b") as file:
        file.seek(PIECE)
        file.write(b"other")
    digest = sha256()
    try:
        assert Direct().read(descriptor, len(content), sha256()) == 0
        os.utime(place / "file", (0, 0))
        assert Direct().read(descriptor, len(content), digest) == len(content)
    finally:
        os.close(descriptor)
    assert digest.digest() == sha256(content[:PIECE] + b"other" + content[PIECE + 5 :]).digest()


def test_a_file_system_that_does_not_say_what_is_in_memory_is_read_as_ever(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = written(place / "file", os.urandom(PIECE))
    read = os.preadv

    def refused(one: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if flags:
            raise OSError(95, "Operation not supported")
        return read(one, buffers, offset)

    monkeypatch.setattr(os, "preadv", refused)
    try:
        assert Direct().read(descriptor, PIECE, sha256()) == 0
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_where_it_fails_reading_goes_on_as_ever(place: Path, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    content = os.urandom(3 * PIECE + 17)
    descriptor = written(place / "file", content)
    read = os.preadv

    def refused(one: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if fcntl.fcntl(one, fcntl.F_GETFL) & os.O_DIRECT and offset >= pieces * PIECE:
            raise OSError(22, "Invalid argument")
        return read(one, buffers, offset, flags)

    asked = list[int]()
    monkeypatch.setattr(os, "preadv", refused)
    monkeypatch.setattr(file_digest, "ask", lambda descriptor, start, size: asked.append(start))
    reader = Reader(TreePlan(), is_slow=lambda: True, direct=Direct())
    node = reader.finish(b"file", os.fstat(descriptor), descriptor)
    assert (node.content, node.flaw) == (sha256(content).digest(), "")
    assert asked == [pieces * PIECE]  # what is hashed is not asked for again


def test_a_read_that_ends_early_where_no_block_does_is_gone_on_with(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 * PIECE)
    descriptor = written(place / "file", content)
    read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda one, buffers, *how: read(one, [memoryview(buffers[0])[:5000]], *how))
    reader = Reader(TreePlan(), is_slow=lambda: True, direct=Direct())
    node = reader.finish(b"file", os.fstat(descriptor), descriptor)
    assert (node.content, node.flaw) == (sha256(content).digest(), "")


def test_a_file_that_is_cut_meanwhile_is_marked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = written(place / "file", os.urandom(4 * PIECE))
    read, lengths = os.preadv, iter(range(100))

    def cutting(one: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if not flags:
            os.truncate(place / "file", (3 * PIECE) - next(lengths))
        return read(one, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", cutting)
    reader = Reader(TreePlan(), is_slow=lambda: True, direct=Direct())
    assert reader.finish(b"file", os.fstat(descriptor), descriptor).flaw == CHANGED


def test_a_file_system_that_does_not_do_it_is_asked_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[bool]()

    def refusing(descriptor: int, *, on: bool) -> bool:
        asked.append(on)
        return False

    monkeypatch.setattr(direct_read, "_switch", refusing)
    devices = Devices()
    assert not devices.allow(3, 7) and not devices.allow(4, 7)
    assert asked == [True]
    descriptor = written(place / "file", b"x" * PIECE)
    try:
        assert Direct().read(descriptor, PIECE, sha256()) == 0
    finally:
        os.close(descriptor)


def test_what_is_no_file_can_not_be_read_like_this() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    assert not Devices().allow(reading, 1)
