"""Repair: put right what a check found: from a replica, from what is still whole, from the source; and name exactly what is lost.

At every moment the repository is at least as good as it was: what can be had is saved and named first, then the index forgets the bad
packs, then those go of which nothing is missing any more.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from actions.backup.archiver import Choices
from actions.backup.blobs import Blob, BlobType, Location
from actions.backup.checker import Checked, Checker, Loss
from actions.backup.config import load_config
from actions.backup.errors import Damaged
from actions.backup.ids import id_of
from actions.backup.index import Index
from actions.backup.index_rewrite import rewrite_index
from actions.backup.locks import Lock
from actions.backup.recreate import Recreated, Recreator
from actions.backup.repository import Repository
from actions.backup.saver import Saver
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import Buffer, FileType, Handle, NotThere, Store, StoreError, is_name
from contracts.errors import HoldfastError

_TYPES = {type.value: type for type in (FileType.PACK, FileType.INDEX, FileType.SNAPSHOT, FileType.KEY)}


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """Where to look. `roots` go before the paths of the snapshots (b"" is where they were saved from; another place is a copy of it).

    `choices` are those of the backup, so that directories come out the same. `replicas` are stores with copies of this repository's files.
    """

    roots: Sequence[bytes] = (b"",)
    choices: Choices | None = None
    replicas: Sequence[Store] = ()


@dataclass(slots=True)
class Repaired:
    """What a repair did. `losses` is what could not be brought back, by snapshot and path; `problems` is what a check says afterwards.

    `packs_left` are bad packs of which something is lost: no index names them any more, and a prune removes them once nothing needs them.
    `away` are replicas that could not be asked, and why: what is lost may be there all the same.
    """

    from_replica: list[str] = field(default_factory=list)
    adopted: int = 0
    salvaged: int = 0
    recreated: Recreated = field(default_factory=Recreated)
    packs_removed: list[str] = field(default_factory=list)
    packs_left: list[str] = field(default_factory=list)
    indexes_dropped: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    problems: list[Damaged] = field(default_factory=list)
    away: dict[str, str] = field(default_factory=dict)


def repair(repository: Repository, checked: Checked, lock: Lock, options: RepairOptions | None = None) -> Repaired:
    """Repair what `checked` found under the same exclusive lock, as far as can be. The index of `repository` is the new one then."""
    return _Repair(repository, checked, lock, options or RepairOptions()).run()


class _Repair:
    def __init__(self, repository: Repository, checked: Checked, lock: Lock, options: RepairOptions) -> None:
        self._repository = repository
        self._checked = checked
        self._lock = lock
        self._options = options
        self._bad = {bytes.fromhex(name) for name in checked.bad_packs}
        self._bad_indexes = {name for type, name in _named(checked) if type is FileType.INDEX}
        self._lengths: dict[bytes, int] = {}
        self._repaired = Repaired()

    def run(self) -> Repaired:
        repository = self._repository
        self._from_replicas(self._checked)
        if any(where.startswith(f"{FileType.INDEX.value}/") for where in self._repaired.from_replica):
            self._look_again()
        self._load_index()
        unnamed = self._adopt()
        before, repository.index = repository.index, self._clean_index()
        saver = repository.saver()
        try:
            self._salvage(saver, before, unnamed)
            saver.flush()
            roots, choices = self._options.roots, self._options.choices
            recreator = Recreator(repository, saver, self._lengths, roots, choices, self._replicas())
            self._repaired.recreated = recreator.walk(self._snapshots())
            self._repaired.away = {**recreator.away, **self._repaired.away}
            saver.finish()
        finally:
            saver.close()
        self._drop(before)
        again = Checker(repository, read_data=False).check()
        self._repaired.losses, self._repaired.problems = again.losses, again.problems
        return self._repaired

    def _from_replicas(self, checked: Checked) -> None:
        """Bring back whole files from copies."""
        for type, name in _named(checked):
            handle = Handle(type, name)
            data = self._from_replica(handle)
            if data is None:
                continue
            self._lock.check()
            self._put_back(handle, data)
            self._repaired.from_replica.append(str(handle))
            if type is FileType.PACK:
                self._bad.discard(bytes.fromhex(name))
            self._bad_indexes.discard(name)

    def _look_again(self) -> None:
        """Read the packs that no index named when all was checked: an index file that came back names them now."""
        again = Checker(self._repository, read_data=True, chosen=frozenset(self._checked.unnamed_packs)).check()
        self._bad |= {bytes.fromhex(name) for name in again.bad_packs}
        self._from_replicas(again)

    def _put_back(self, handle: Handle, data: bytes) -> None:
        """Put a file in the place of a bad one, so that a kill leaves one of the two: what is not there, no check can miss.

        Of what a store without `replace` has no name for in between, packs and index files are found by those that name them or that
        they name; a snapshot, which nothing names, is there under another name meanwhile.
        """
        store = self._repository.store
        replace: Callable[[Handle, Sequence[Buffer]], None] | None = getattr(store, "replace", None)
        if replace is not None:
            replace(handle, [data])
            return
        stands_in = ""
        if handle.type is FileType.SNAPSHOT:
            stands_in = self._repository.files.save(handle.type, self._repository.files.opened(handle, data))
        with suppress(NotThere):
            store.remove(handle)
        store.save(handle, [data])
        if stands_in:
            store.remove(Handle(handle.type, stands_in))

    def _from_replica(self, handle: Handle) -> bytes | None:
        for store in self._options.replicas:
            try:
                data = store.load(handle)
            except StoreError as error:
                self._note_away(store, error)
                continue
            if id_of(data).hex() == handle.name:
                return data
        return None

    def _replicas(self) -> list[Repository]:
        """The replicas that can be read as repositories, for blobs that lie there in other packs, or that no index names here."""
        found = []
        for store in self._options.replicas:
            try:
                config = load_config(store, self._repository.key)
                if config.id == self._repository.config.id:
                    replica = Repository(store, self._repository.key, self._repository.key_id, config)
                    replica.load_index()
                    found.append(replica)
            except HoldfastError as error:
                self._note_away(store, error)
        return found

    def _note_away(self, store: Store, error: HoldfastError) -> None:
        """Keep that a replica could not be asked; one that has no such file, or is none, has answered."""
        if not error.permanent:
            self._repaired.away.setdefault(store.location, error.message)

    def _load_index(self) -> None:
        """The index from all files but those that are still damaged."""
        index = Index()
        for name in sorted(set(self._repository.files.names(FileType.INDEX)) - self._bad_indexes):
            for pack, blobs in self._repository.packs_named_by(name):
                index.add_pack(pack, blobs)
        self._repository.index = index

    def _adopt(self) -> list[tuple[bytes, list[Blob]]]:
        """Name the packs that only a damaged index file named; returns those that are damaged themselves, with what their headers list."""
        self._repaired.adopted, damaged = self._repository.adopt()
        sizes = dict(self._repository.store.list(FileType.PACK))
        found = []
        for problem in damaged:
            name = problem.where.removeprefix("data/")
            try:
                found.append((bytes.fromhex(name), self._repository.pack_header(name, sizes[name])))
            except (Damaged, StoreError, KeyError) as error:
                if isinstance(error, StoreError) and not error.permanent:
                    raise
        return found

    def _clean_index(self) -> Index:
        """The index without the bad packs; how long their blobs were is remembered."""
        clean = Index()
        for pack, blobs in self._repository.index.by_pack():
            if pack in self._bad:
                self._lengths.update((blob.id, blob.plain_length) for blob in blobs if blob.type is BlobType.DATA)
            else:
                clean.add_pack(pack, blobs)
        return clean

    def _salvage(self, saver: Saver, before: Index, unnamed: list[tuple[bytes, list[Blob]]]) -> None:
        """Save again what is still right in bad packs and is nowhere else."""
        stored = {bytes.fromhex(name) for name in self._repository.files.names(FileType.PACK)}
        bad = ((pack, blobs) for pack, blobs in before.by_pack() if pack in self._bad and pack in stored)
        for pack, blobs in chain(unnamed, bad):
            for blob in blobs:
                if self._repository.index.has(blob.type, blob.id):
                    continue
                place = Location(pack, blob.offset, blob.length, blob.uncompressed_length)
                with suppress(Damaged):
                    data = self._repository.read_at(blob.type, blob.id, place)
                    self._repaired.salvaged += saver.save(blob.type, data)[1]

    def _snapshots(self) -> list[Snapshot]:
        """Every snapshot that can be read, the newest first."""
        found: list[Snapshot] = []
        for name in self._repository.files.names(FileType.SNAPSHOT):
            with suppress(Damaged, NotThere):
                found.append(self._repository.load_snapshot(name))
        return sorted(found, key=lambda snapshot: -snapshot.time_ns)

    def _drop(self, before: Index) -> None:
        """Take the bad packs out of the index, and remove those of which every blob is elsewhere now."""
        repository = self._repository
        self._repaired.indexes_dropped = sorted(self._bad_indexes)
        self._lock.check()
        rewrite_index(repository, self._bad, self._lock, self._bad_indexes)
        has = repository.index.has
        for pack, blobs in before.by_pack():
            if pack not in self._bad:
                continue
            if not all(has(blob.type, blob.id) for blob in blobs):
                self._repaired.packs_left.append(pack.hex())
                continue
            self._lock.check()
            with suppress(NotThere):
                repository.store.remove(Handle(FileType.PACK, pack.hex()))
            self._repaired.packs_removed.append(pack.hex())


def _named(checked: Checked) -> Iterator[tuple[FileType, str]]:
    """The files of the repository that a check found damaged or gone."""
    for where in dict.fromkeys(problem.where for problem in checked.problems):
        kind, _, name = where.partition("/")
        if kind in _TYPES and is_name(name):
            yield _TYPES[kind], name
