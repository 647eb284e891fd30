"""Rubbish: what somebody who may only add has put among the files of a repository, and how reading and pruning go on in spite of it.

A file whose name is its hash, but which does not open with the master key, was certainly written by somebody else. One whose name is not
its hash may as well be damage: that is left to a repair, or to a person. An index that is not trusted is made anew from the packs.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from actions.backup.blobs import Blob
from actions.backup.crypto import OVERHEAD, Unauthenticated
from actions.backup.errors import Damaged
from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.index import Index
from actions.backup.index_files import MAX_BLOBS, encode_index
from actions.backup.locks import Lock, read_locks
from actions.backup.repository import Repository
from actions.backup.stores.store import FileType, Handle, NotThere, StoreError


class Rubbish(NamedTuple):
    """A file that is not what its place asks for. `foreign`: certainly written without the key, not damaged."""

    handle: Handle
    why: str
    foreign: bool


class Rebuilt(NamedTuple):
    """What an index that was made anew names, and the packs that could not be read (they are named by nothing now)."""

    packs: int
    indexes_written: int
    indexes_removed: int
    unreadable: list[Damaged]


def find_rubbish(repository: Repository) -> list[Rubbish]:
    """Look at every index, snapshot and lock file. Packs are looked at by a check, and by `rebuild_index`."""
    found = []
    for type in (FileType.INDEX, FileType.SNAPSHOT, FileType.LOCK):
        for name in sorted(repository.files.names(type)):
            with suppress(NotThere):
                rubbish = _judge(repository, Handle(type, name))
                if rubbish is not None:
                    found.append(rubbish)
    return found


def _judge(repository: Repository, handle: Handle) -> Rubbish | None:
    sealed = repository.store.load(handle)
    if id_of(sealed).hex() != handle.name:
        return Rubbish(handle, "its SHA-256 is not its name: damaged, or put there by somebody else", False)
    try:
        if len(sealed) < OVERHEAD:
            raise Unauthenticated("it is shorter than anything encrypted")
        repository.key.open(sealed)
    except Unauthenticated:
        return Rubbish(handle, "nobody who has the key wrote it", True)
    return None


def load_what_reads(repository: Repository) -> list[Damaged]:
    """Load the index from those files that can be read, and return what is wrong with the others: for reading, not for removing.

    What only they named reads as missing. As in `load_index`, all is read anew when a file vanishes meanwhile.
    """
    for _ in range(3):
        index, problems = Index(), []
        try:
            for name in sorted(repository.files.names(FileType.INDEX)):
                try:
                    for pack, blobs in list(repository.packs_named_by(name)):
                        index.add_pack(pack, blobs)
                except Damaged as error:
                    problems.append(error)
        except NotThere:
            continue
        repository.index = index
        return problems
    raise StoreError(f"{repository.store.location}: index files vanish while they are read", permanent=False)


def remove_rubbish(repository: Repository, found: Sequence[Rubbish], lock: Lock) -> list[Handle]:
    """Remove what is certainly foreign; the rest stays. Returns what was removed. The lock must be exclusive."""
    gone = []
    for rubbish in found:
        if rubbish.foreign:
            lock.check()
            with suppress(NotThere):
                repository.store.remove(rubbish.handle)
            gone.append(rubbish.handle)
    return gone


def clear_locks(files: Files) -> list[str]:
    """Remove files among the locks that are no locks, which would keep an exclusive one from being taken for ever; returns their names.

    A lock is published whole or not at all, so what does not read as one was never the lock of anybody at work.
    """
    gone = []
    for problem in read_locks(files)[1]:
        name = problem.where.removeprefix("lock/")
        with suppress(NotThere):
            files.store.remove(Handle(FileType.LOCK, name))
        gone.append(name)
    return gone


def rebuild_index(repository: Repository, lock: Lock) -> Rebuilt:
    """Make the index anew from the headers of the packs, whatever the index files say; then these go, readable or not.

    Two small reads for each pack. A pack whose header does not open is left where it is, and told.
    """
    old = sorted(repository.files.names(FileType.INDEX))
    unreadable: list[Damaged] = []
    packs = written = 0
    for batch in _batches(repository, unreadable):
        lock.check()
        repository.files.save(FileType.INDEX, encode_index(batch, [bytes.fromhex(name) for name in old]))
        written += 1
        packs += len(batch)
    for name in old:
        lock.check()
        with suppress(NotThere):
            repository.store.remove(Handle(FileType.INDEX, name))
    repository.load_index()
    return Rebuilt(packs, written, len(old), unreadable)


def _batches(repository: Repository, unreadable: list[Damaged]) -> Iterator[list[tuple[bytes, list[Blob]]]]:
    batch: list[tuple[bytes, list[Blob]]] = []
    count = 0
    for name, size in sorted(repository.store.list(FileType.PACK)):
        try:
            blobs = repository.pack_header(name, size)
        except NotThere:
            continue
        except (Damaged, StoreError) as error:
            if isinstance(error, StoreError) and not error.permanent:
                raise
            unreadable.append(error if isinstance(error, Damaged) else Damaged(f"data/{name}", error.message))
            continue
        batch.append((bytes.fromhex(name), blobs))
        count += len(blobs)
        if count >= MAX_BLOBS:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
