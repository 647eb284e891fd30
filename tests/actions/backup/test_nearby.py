"""Near blobs: read in few requests, each verified; what is not as it was written is left to whoever tries the other copies."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.nearby import MOST, SMALL, load_nearby
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle, StoreError

Loads = list[tuple[int, int | None]]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    """What is read of packs: offset and length of each request."""
    load: Callable[..., bytes] = LocalStore.load
    seen: Loads = []

    def noting(self: LocalStore, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        if handle.type is FileType.PACK:
            seen.append((offset, length))
        return load(self, handle, offset, length)

    monkeypatch.setattr(LocalStore, "load", noting)
    return seen


def saved(repository: Repository, sizes: list[int]) -> dict[bytes, bytes]:
    """Blobs of these sizes that do not compress, saved one after another, by id."""
    repository.load_index()
    saver = repository.saver(workers=1)
    data = [os.urandom(size) for size in sizes]
    ids = [saver.save(BlobType.DATA, each)[0] for each in data]
    saver.finish()
    repository.load_index()
    return dict(zip(ids, data, strict=True))


def test_many_small_blobs_come_in_one_request(repository: Repository, loads: Loads) -> None:
    blobs = saved(repository, [500, 3000, 1, 20_000] * 10)
    loads.clear()
    assert load_nearby(repository, BlobType.DATA, [*blobs, *blobs]) == blobs
    assert len(loads) == 1


def test_large_ones_lonely_ones_and_unknown_ones_are_left_out(repository: Repository, loads: Loads) -> None:
    blobs = saved(repository, [700, SMALL, 900])
    small = {id: data for id, data in blobs.items() if len(data) < SMALL}
    loads.clear()
    assert load_nearby(repository, BlobType.DATA, list(small)[:1]) == {}
    assert load_nearby(repository, BlobType.DATA, [bytes(32), *blobs]) in ({}, small)
    assert all(length is not None and length < SMALL for _, length in loads)


def test_no_request_is_larger_than_its_bound(repository: Repository, loads: Loads) -> None:
    blobs = saved(repository, [200_000] * 12)
    loads.clear()
    assert load_nearby(repository, BlobType.DATA, blobs) == blobs
    assert len(loads) > 1
    assert all(length is not None and length <= MOST for _, length in loads)


def test_a_damaged_blob_is_left_out_and_the_others_come(repository: Repository, where: Path) -> None:
    blobs = saved(repository, [1000] * 5)
    damaged = list(blobs)[2]
    (place,) = repository.index.find(BlobType.DATA, damaged)
    (pack,) = (path for path in (where / "data").rglob("*") if path.name == place.pack.hex())
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(place.offset + 40)
        byte = file.read(1)[0]
        file.seek(place.offset + 40)
        file.write(bytes([byte ^ 1]))
    assert load_nearby(repository, BlobType.DATA, blobs) == {id: blobs[id] for id in blobs if id != damaged}


def test_a_pack_that_cannot_be_read_leaves_all_of_it_out(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = saved(repository, [1000] * 5)

    def fails(*_: object) -> bytes:
        raise StoreError("the link is cut", permanent=False)

    monkeypatch.setattr(LocalStore, "load", fails)
    assert load_nearby(repository, BlobType.DATA, blobs) == {}
