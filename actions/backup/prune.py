"""Prune: carry out a plan so that at every moment each snapshot restores: repack, name the new packs, forget the old, remove them.

What a kill leaves is packs that no index names or blobs that are there twice; the next prune removes both.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from actions.backup.blobs import Blob, BlobType
from actions.backup.errors import Damaged
from actions.backup.index import Index
from actions.backup.index_rewrite import rewrite_index
from actions.backup.locks import Lock
from actions.backup.prune_plan import Plan
from actions.backup.repository import Repository
from actions.backup.saver import Saver
from actions.backup.stores.store import FileType, Handle, NotThere, StoreError
from actions.backup.used import Incomplete

_READ = 16 << 20
"""Bytes of one read while packs are packed anew."""

_GAP = 64 << 10
"""So many bytes that are not needed are read along rather than asked around."""

LEFTOVER_S = 24 * 3600.0
"""What a cut run left under a temporary name goes when nobody wrote to it for so long."""

Progress = Callable[[str, int, int], None]
"""Called with the step ("repack", "index" or "remove"), how much of it is done, and how much there is."""


@dataclass(slots=True)
class Pruned:
    """What a prune did; `left` names the packs that could not be removed (no harm: the next prune tries again), with the reason.

    `leftovers_removed` are temporary files of runs that were cut: a pack grows in one, so that each kill leaves up to two.
    """

    packs_removed: int = 0
    packs_repacked: int = 0
    packs_written: int = 0
    blobs_repacked: int = 0
    indexes_written: int = 0
    indexes_removed: int = 0
    bytes_freed: int = 0
    leftovers_removed: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


def prune(repository: Repository, plan: Plan, lock: Lock, progress: Progress | None = None) -> Pruned:
    """Carry out a plan that was made under the same exclusive lock; the index of `repository` is the new one afterwards.

    Damaged when a blob that is to be packed anew is in no place what was written: then nothing that was named has been removed. LockLost
    stops before the next removal.
    """
    told = progress or _ignore
    pruned = Pruned()
    sizes = dict(repository.store.list(FileType.PACK))
    _sweep(repository, pruned)
    _remove(repository, plan.unnamed, sizes, lock, pruned, told)
    if plan.dropped:
        _repack(repository, plan, lock, pruned, told)
        told("index", 0, 1)
        rewritten = rewrite_index(repository, plan.dropped, lock)
        pruned.indexes_written, pruned.indexes_removed = rewritten
        told("index", 1, 1)
        gone = sorted(pack.hex() for pack in plan.remove | plan.repack)
        _remove(repository, gone, sizes, lock, pruned, told)
        repository.load_index()
    return pruned


def _sweep(repository: Repository, pruned: Pruned) -> None:
    """First, because it makes room for what is packed anew; nobody else writes while the lock is held."""
    sweep: Callable[[float], int] | None = getattr(repository.store, "sweep", None)
    if sweep is not None:
        try:
            pruned.leftovers_removed = sweep(LEFTOVER_S)
        except StoreError as error:
            pruned.left.append(("temporary files", error.message))


def _ignore(_: str, __: int, ___: int) -> None:
    """For callers that do not watch."""


def _remove(
    repository: Repository, names: Sequence[str], sizes: dict[str, int], lock: Lock, pruned: Pruned, told: Progress
) -> None:
    for done, name in enumerate(names):
        lock.check()
        try:
            with suppress(NotThere):
                repository.store.remove(Handle(FileType.PACK, name))
        except StoreError as error:
            pruned.left.append((name, error.message))
        else:
            pruned.packs_removed += 1
            pruned.bytes_freed += sizes.get(name, 0)
        told("remove", done + 1, len(names))


def _repack(repository: Repository, plan: Plan, lock: Lock, pruned: Pruned, told: Progress) -> None:
    """Save what is needed of the packs that go. The saver knows no blob yet, so it stores again what the index has."""
    if not plan.repack and not plan.duplicates:
        return
    saver = Saver(repository.files, repository.key, Index(), compressed=repository.config.version >= 2)
    try:
        _save_duplicates(repository, plan, saver)
        done = 0
        for pack, blobs in repository.index.by_pack():
            if pack not in plan.repack:
                continue
            lock.check()
            needed = [blob for blob in blobs if _moves(repository, plan, blob)]
            for blob, data in _read(repository, pack, needed):
                saver.save(blob.type, data)
            done += 1
            told("repack", done, len(plan.repack))
        saved = saver.finish()
    finally:
        saver.close()
    pruned.packs_repacked = len(plan.repack)
    pruned.packs_written = saved.packs
    pruned.blobs_repacked = saved.blobs
    pruned.bytes_freed -= saved.stored_bytes


def _moves(repository: Repository, plan: Plan, blob: Blob) -> bool:
    """Whether a blob of a pack that goes must be saved: it is needed, and lies nowhere else (those that do are seen to already)."""
    return plan.used.has(blob.type, blob.id) and len(repository.index.numbers(blob.type, blob.id)) == 1


def _save_duplicates(repository: Repository, plan: Plan, saver: Saver) -> None:
    """Of a blob with several copies, one that stays is read before another goes; where none stays or none is right, a right one is saved.

    Whoever can write to the store could otherwise have the good copy removed in favour of rubbish.
    """
    dropped = plan.dropped
    for type, id in plan.duplicates:
        places = repository.index.find(type, id)
        staying = [place for place in places if place.pack not in dropped]
        if len(staying) == len(places):
            continue
        for place in staying:
            try:
                repository.read_at(type, id, place)
                break
            except Damaged:
                continue
        else:
            saver.save(type, _any_copy(repository, type, id))


def _any_copy(repository: Repository, type: BlobType, id: bytes) -> bytes:
    try:
        return repository.load_blob(type, id)
    except Damaged as error:
        raise Incomplete(
            f"{error.message}", advice="run `holdfast backup repair`; nothing that an index names was removed"
        ) from error


def _read(repository: Repository, pack: bytes, blobs: list[Blob]) -> Iterator[tuple[Blob, bytes]]:
    """The plaintext of these blobs of a pack, in few reads; verified."""
    where = f"data/{pack.hex()}"
    for run in _runs(sorted(blobs, key=lambda blob: blob.offset)):
        start = run[0].offset
        end = run[-1].offset + run[-1].length
        try:
            sealed = memoryview(repository.store.load(Handle(FileType.PACK, pack.hex()), start, end - start))
            for blob in run:
                part = sealed[blob.offset - start : blob.offset - start + blob.length]
                yield blob, repository.open_blob(blob.type, blob.id, part, blob.uncompressed_length, where)
        except (Damaged, StoreError) as error:
            if isinstance(error, StoreError) and not error.permanent:
                raise
            raise Incomplete(
                error.message, advice="run `holdfast backup repair`; nothing that an index names was removed"
            ) from error


def _runs(blobs: list[Blob]) -> Iterator[list[Blob]]:
    """Blobs that lie close enough together to be read at once."""
    run: list[Blob] = []
    for blob in blobs:
        if run and (
            blob.offset - run[-1].offset - run[-1].length > _GAP or blob.offset + blob.length - run[0].offset > _READ
        ):
            yield run
            run = []
        run.append(blob)
    if run:
        yield run
