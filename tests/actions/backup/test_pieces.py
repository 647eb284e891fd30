"""Pieces of a file: whole and in order, and an end that tells when the file was not what its name says."""

import hashlib
import os
from pathlib import Path

import pytest

from actions.backup.pieces import PIECE, Pieces, SourceDamaged, SourceGone
from actions.backup.replication_plan import Step
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import CONFIG, FileType, Handle


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
