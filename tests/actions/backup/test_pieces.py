"""Pieces of a file: whole and in order, and an end that tells when the file was not what its name says."""

import hashlib
import os
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.crypto import Key
from actions.backup.ids import id_of
from actions.backup.pack import PackBuilder
from actions.backup.pieces import PIECE, Pieces, SourceDamaged, SourceGone
from actions.backup.replication_plan import Step
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import CONFIG, FileType, Handle, draft_for


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "repository")
    store.create()
    return store


def saved(store: LocalStore, data: bytes) -> Step:
    handle = Handle(FileType.PACK, hashlib.sha256(data).hexdigest())
    store.save(handle, [data])
    return Step(handle, len(data))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_all_pieces_are_the_file(store: LocalStore, size: int) -> None:
    data = os.urandom(size)
    pieces = Pieces(store, saved(store, data))
    for _ in range(2):
        assert b"".join(pieces) == data
    assert b"".join(pieces[:]) == data
    assert len(pieces) == len(list(pieces))


def test_a_damaged_file_is_told_at_the_end(store: LocalStore) -> None:
    step = saved(store, bytes(2 * PIECE))
    path = Path(store.location, "data", step.handle.name[:2], step.handle.name)
    path.chmod(0o600)
    path.write_bytes(bytes(2 * PIECE - 1) + b"\1")
    pieces = iter(Pieces(store, step))
    next(pieces), next(pieces)
    with pytest.raises(SourceDamaged, match="damaged in"):
        next(pieces)


def test_a_file_that_became_shorter_is_damaged(store: LocalStore) -> None:
    step = saved(store, b"123456")
    with pytest.raises(SourceDamaged, match="shorter"):
        list(Pieces(store, step._replace(size=7)))


def test_a_file_that_is_gone_is_gone(store: LocalStore) -> None:
    step = saved(store, b"123456")
    store.remove(step.handle)
    with pytest.raises(SourceGone):
        list(Pieces(store, step))


def test_the_config_has_no_name_to_be_compared_with(store: LocalStore) -> None:
    store.save(CONFIG, [b"config"])
    assert list(Pieces(store, Step(CONFIG, 6))) == [b"config"]


def sealed(store: LocalStore, key: Key, sizes: list[int]) -> Step:
    builder = PackBuilder(BlobType.DATA, draft_for(store))
    for size in sizes:
        data = os.urandom(size)
        builder.add(id_of(data), key.seal(data), 0)
    id, draft = builder.finish(key)
    handle = Handle(FileType.PACK, id.hex())
    store.save(handle, draft)
    return Step(handle, store.stat(handle))


@pytest.mark.parametrize("sizes", [[3 * PIECE, 10], [1000] * 100])
def test_a_pack_is_judged_by_its_own_codes_or_its_name_where_the_key_is_at_hand(
    store: LocalStore, sizes: list[int]
) -> None:
    key = Key.random()
    step = sealed(store, key, sizes)
    assert b"".join(Pieces(store, step, key)) == store.load(step.handle)
    path = Path(store.location, "data", step.handle.name[:2], step.handle.name)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    for at in (0, len(data) // 2, len(data) - 1):
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(SourceDamaged, match="damaged in"):
            list(Pieces(store, step, key))
        data[at] ^= 1
    with pytest.raises(SourceDamaged, match="damaged in"):
        list(Pieces(store, step, Key.random()))
