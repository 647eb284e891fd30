"""A stream becomes a file of the repository that the stock restic gives back to the byte, and nothing is known of one that breaks off."""

import os
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import BlobType
from actions.backup.errors import NoSuchBlob
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stream import Pieces, directory_node, file_node, load_stream, save_folders, save_stream
from actions.backup.times import format_time
from tests.actions.backup.conftest import Restic

NOW = 1_700_000_000_123_456_789


def save(repository: Repository, files: dict[bytes, list[bytes]]) -> tuple[str, dict[bytes, Node]]:
    repository.load_index()
    saver = repository.saver()
    nodes = {
        path: save_stream(saver, repository.chunker(), Pieces(pieces), file_node(path.rpartition(b"/")[2], NOW))
        for path, pieces in files.items()
    }
    tree = save_folders(saver, nodes, NOW)
    saver.finish()
    return repository.save_snapshot(Snapshot(time=format_time(NOW), tree=tree, paths=["/"], hostname="here")), nodes


def test_restic_gives_streams_back(repository: Repository, restic: Restic) -> None:
    big = [os.urandom(65_537) for _ in range(80)]
    snapshot, nodes = save(
        repository,
        {b"databases/pg/shop.dump": big, b"databases/pg/empty": [], b"databases/other": [b"", b"a", b"", b"b"]},
    )
    restic("check", "--read-data")
    assert restic("dump", snapshot, "/databases/pg/shop.dump").stdout == b"".join(big)
    assert restic("dump", snapshot, "/databases/other").stdout == b"ab"
    assert restic("dump", snapshot, "/databases/pg/empty").stdout == b""
    listed = restic("ls", "-l", snapshot).stdout.decode()
    assert "-rw-------" in listed
    assert "drwx------" in listed
    assert b"".join(load_stream(repository, nodes[b"databases/pg/shop.dump"])) == b"".join(big)


def test_progress_and_size_are_what_came(repository: Repository) -> None:
    repository.load_index()
    saver = repository.saver()
    seen: list[int] = []
    node = save_stream(saver, repository.chunker(), Pieces([os.urandom(3 << 20)]), file_node(b"x", NOW), seen.append)
    saver.finish()
    assert node.size == sum(seen) == 3 << 20
    assert len(node.content or ()) == len(seen)


def test_what_breaks_off_raises_and_is_named_by_nothing(repository: Repository, restic: Restic) -> None:
    def broken() -> Iterator[bytes]:
        yield os.urandom(9 << 20)
        raise RuntimeError("the end never came")

    with pytest.raises(RuntimeError, match="never came"):
        save(repository, {b"x": broken()})  # type: ignore[dict-item]
    assert list(repository.snapshots()) == []
    save(repository, {b"y": [b"good"]})
    restic("check", "--read-data")


def test_memory_does_not_grow_with_the_stream(repository: Repository) -> None:
    repository.load_index()
    saver = repository.saver()
    piece = os.urandom(1 << 20)

    def many() -> Iterator[bytes]:
        for number in range(256):
            yield number.to_bytes(4, "big") + piece

    tracemalloc.start()
    try:
        save_stream(saver, repository.chunker(), Pieces(many()), file_node(b"x", NOW))
        saver.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 << 20, "more than packs under way and in the queue"


def test_names_that_no_file_has_are_refused() -> None:
    for name in (b"", b".", b"..", b"a/b", b"a\0b"):
        with pytest.raises(ValueError, match="name"):
            file_node(name, NOW)
    assert directory_node(b"d", NOW, "0" * 64).permissions == 0o700
    assert file_node(b"f", NOW, mode=0o4751, uid=12, gid=34).permissions == 0o751 | 0o4000


def test_a_path_and_its_node_must_have_one_name(repository: Repository) -> None:
    repository.load_index()
    saver = repository.saver()
    with pytest.raises(ValueError, match="is called"):
        save_folders(saver, {b"a/b": file_node(b"c", NOW)}, NOW)
    saver.close()


def test_damage_is_found_when_it_is_read_back(repository: Repository) -> None:
    _, nodes = save(repository, {b"x": [b"content"]})
    node = nodes[b"x"]
    node.content = [*(node.content or ()), "ab" * 32]
    assert not repository.index.has(BlobType.DATA, bytes.fromhex("ab" * 32))
    with pytest.raises(NoSuchBlob):
        list(load_stream(repository, node))


@given(st.lists(st.binary(max_size=50), max_size=20), st.lists(st.integers(1, 30), min_size=1, max_size=10))
def test_pieces_are_read_whole_whatever_the_buffer(pieces: list[bytes], sizes: list[int]) -> None:
    source = Pieces(pieces)
    found = bytearray()
    for turn in range(10_000):
        buffer = bytearray(sizes[turn % len(sizes)])
        count = source.readinto(memoryview(buffer))
        if not count:
            break
        found += buffer[:count]
    assert bytes(found) == b"".join(pieces)
