"""Rewriting the index: at no moment is a pack that stays without a name."""

import os
import random
from pathlib import Path

import pytest

from actions.backup import index_rewrite
from actions.backup.blobs import Blob, BlobType
from actions.backup.errors import LockLost
from actions.backup.index_files import encode_index, superseded
from actions.backup.index_rewrite import rewrite_index
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle


def packs(count: int, blobs: int) -> list[tuple[bytes, list[Blob]]]:
    dice = random.Random(count)
    return [
        (dice.randbytes(32), [Blob(BlobType.DATA, dice.randbytes(32), 100 * n, 100) for n in range(blobs)])
        for _ in range(count)
    ]


def named(repository: Repository) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for name in repository.files.names(FileType.INDEX):
        for pack, blobs in repository.packs_named_by(name):
            found[pack] = len(blobs)
    return found


def names(repository: Repository) -> set[str]:
    return set(repository.files.names(FileType.INDEX))


def test_packs_are_dropped_and_files_that_do_not_name_them_stay(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_rewrite, "_SMALL", 10)
    made = packs(30, 5)
    first = repository.files.save(FileType.INDEX, encode_index(made[:10]))
    second = repository.files.save(FileType.INDEX, encode_index(made[10:]))
    with repository.lock(exclusive=True) as lock:
        done = rewrite_index(repository, {made[3][0]}, lock)
    assert done == (1, 1)
    assert second in names(repository)
    assert first not in names(repository)
    assert set(named(repository)) == {pack for pack, _ in made} - {made[3][0]}
    (new,) = names(repository) - {second}
    assert superseded(repository.files.load(FileType.INDEX, new)) == [bytes.fromhex(first)]


def test_a_pack_that_several_files_name_is_named_once(repository: Repository) -> None:
    made = packs(4, 3)
    for _ in range(3):
        repository.files.save(FileType.INDEX, encode_index(made))
    with repository.lock(exclusive=True) as lock:
        assert rewrite_index(repository, {made[0][0]}, lock) == (1, 3)
    assert named(repository) == {pack: 3 for pack, _ in made[1:]}


def test_big_indexes_are_cut_and_small_ones_joined(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_rewrite, "MAX_BLOBS", 20)
    made = packs(30, 5)
    for pack in made:
        repository.files.save(FileType.INDEX, encode_index([pack]))
    with repository.lock(exclusive=True) as lock:
        assert rewrite_index(repository, set(), lock) == (8, 30)
        assert set(named(repository)) == {pack for pack, _ in made}
        monkeypatch.setattr(index_rewrite, "_SMALL", 5)
        assert rewrite_index(repository, set(), lock) == (0, 0)


def test_files_named_obsolete_go_unread(repository: Repository, where: Path) -> None:
    made = packs(2, 3)
    repository.files.save(FileType.INDEX, encode_index(made))
    rubbish = "a" * 64
    (where / "index" / rubbish).write_bytes(os.urandom(100))
    with repository.lock(exclusive=True) as lock:
        rewrite_index(repository, set(), lock, [rubbish])
    assert rubbish not in names(repository)
    assert set(named(repository)) == {pack for pack, _ in made}


class _Watched(LocalStore):
    """Looks, before each file goes, whether every pack is named by another."""

    repository: Repository
    wanted: frozenset[bytes]

    def remove(self, handle: Handle) -> None:
        if handle.type is FileType.INDEX:
            left = {
                pack
                for name in names(self.repository) - {handle.name}
                for pack, _ in self.repository.packs_named_by(name)
            }
            assert self.wanted <= left
        super().remove(handle)


def test_no_pack_is_without_a_name_at_any_moment(repository: Repository, where: Path) -> None:
    made = packs(25, 4)
    for number in range(0, 25, 5):
        repository.files.save(FileType.INDEX, encode_index(made[number : number + 5]))
    watched = _Watched(where)
    watched.repository = repository
    watched.wanted = frozenset(pack for pack, _ in made[1:])
    repository.store = repository.files.store = watched
    with repository.lock(exclusive=True) as lock:
        rewrite_index(repository, {made[0][0]}, lock)
    assert set(named(repository)) == watched.wanted


def test_without_the_lock_nothing_is_removed(repository: Repository) -> None:
    made = packs(4, 3)
    before = repository.files.save(FileType.INDEX, encode_index(made))
    with repository.lock(exclusive=True) as lock:
        lock._lost = "somebody removed it"
        with pytest.raises(LockLost):
            rewrite_index(repository, {made[0][0]}, lock)
    assert names(repository) == {before}
