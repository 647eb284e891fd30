"""Index rewrite: take packs out of the index files, new files first, then the old ones go; also joins many small files into few."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from actions.backup.blobs import Blob
from actions.backup.index_files import MAX_BLOBS, encode_index
from actions.backup.locks import Lock
from actions.backup.repository import Repository
from actions.backup.stores.store import FileType, Handle, NotThere

_SMALL = MAX_BLOBS // 10
_MANY = 8


class Rewritten(NamedTuple):
    """How many index files were written, and how many removed."""

    written: int
    removed: int


def rewrite_index(
    repository: Repository, dropped: Collection[bytes], lock: Lock, obsolete: Iterable[str] = ()
) -> Rewritten:
    """Drop packs from the index files; files named in `obsolete` go too, unread (their packs must be named elsewhere).

    Files that name no such pack stay, unless small. At every moment each pack that stays is named by some file. Memory is that of one
    file. The lock must be exclusive; it is asked before anything is removed.
    """
    gone = set(obsolete)
    kept, redo = _sort_out(repository, dropped, gone)
    if not redo and not gone:
        return Rewritten(0, 0)
    replaced = [bytes.fromhex(name) for name in sorted({*redo, *gone})]
    written = 0
    for batch in _batches(repository, redo, dropped, kept):
        lock.check()
        repository.files.save(FileType.INDEX, encode_index(batch, replaced))
        written += 1
    for name in (*redo, *sorted(gone)):
        lock.check()
        with suppress(NotThere):
            repository.store.remove(Handle(FileType.INDEX, name))
    return Rewritten(written, len(replaced))


def _sort_out(repository: Repository, dropped: Collection[bytes], gone: set[str]) -> tuple[set[bytes], list[str]]:
    """The packs named by files that stay as they are, and the names of the files to write anew."""
    packs_of_small: dict[str, list[bytes]] = {}
    kept: set[bytes] = set()
    redo = []
    for name in sorted(set(repository.files.names(FileType.INDEX)) - gone):
        packs, blobs, touched = [], 0, False
        for pack, entries in repository.packs_named_by(name):
            packs.append(pack)
            blobs += len(entries)
            touched |= pack in dropped
        if touched:
            redo.append(name)
        elif blobs < _SMALL:
            packs_of_small[name] = packs
        else:
            kept.update(packs)
    if redo or len(packs_of_small) > _MANY:
        redo += packs_of_small
    else:
        kept.update(pack for packs in packs_of_small.values() for pack in packs)
    return kept, redo


def _batches(
    repository: Repository, redo: Iterable[str], dropped: Collection[bytes], kept: set[bytes]
) -> Iterator[list[tuple[bytes, list[Blob]]]]:
    """What stays of these files, each pack once, in portions of one index file; `kept` grows by what was given."""
    batch: list[tuple[bytes, list[Blob]]] = []
    count = 0
    for name in redo:
        for pack, blobs in repository.packs_named_by(name):
            if pack in dropped or pack in kept:
                continue
            kept.add(pack)
            batch.append((pack, blobs))
            count += len(blobs)
            if count >= MAX_BLOBS:
                yield batch
                batch, count = [], 0
    if batch:
        yield batch
