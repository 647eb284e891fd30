"""Checker: whether everything in the repository is what was written, what is not, and which snapshots and files that costs."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from actions.backup.blobs import Blob, BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.index import Index
from actions.backup.keys import list_keys
from actions.backup.locks import read_locks
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import FileType, Handle, NotThere, StoreError


class Loss(NamedTuple):
    """A path of a snapshot that cannot be restored whole."""

    snapshot: str
    path: bytes
    why: str


@dataclass(slots=True)
class Checked:
    """What a check found: problems by the file they are in, what they cost, packs that no index names (no harm), and how much was read.

    `bad_packs` are those that are gone or not what was written; `lost` are blobs of which a copy is lost with them.
    """

    problems: list[Damaged] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    unnamed_packs: list[str] = field(default_factory=list)
    packs: int = 0
    packs_read: int = 0
    bytes_read: int = 0
    bad_packs: list[str] = field(default_factory=list)
    lost: set[tuple[BlobType, bytes]] = field(default_factory=set)


class Checker:
    """Checks one repository. `read_data` reads every pack whole; without it packs are checked for being there, with the right size.

    `chosen` limits the reading to packs of these names (see `Subset`); what is said of the others then is what can be said unread.
    """

    def __init__(self, repository: Repository, *, read_data: bool, chosen: Container[str] | None = None) -> None:
        self._repository = repository
        self._read_data = read_data
        self._chosen = chosen
        self._trees: dict[str, list[tuple[bytes, str]]] = {}
        self.checked = Checked()

    def check(self) -> Checked:
        """Look at everything once; snapshots are listed before the index is read, so that what is added meanwhile is no problem."""
        snapshots = self._snapshots()
        self._keys_and_locks()
        self._index()
        self._packs()
        for name, snapshot in snapshots:
            for path, why in self._losses_below(snapshot.tree):
                self.checked.losses.append(Loss(name, path, why))
        return self.checked

    def _problem(self, problem: Damaged) -> None:
        self.checked.problems.append(problem)

    def _snapshots(self) -> list[tuple[str, Snapshot]]:
        found = []
        for name in sorted(self._repository.files.names(FileType.SNAPSHOT)):
            try:
                found.append((name, self._repository.load_snapshot(name)))
            except NotThere:
                continue
            except Damaged as error:
                self._problem(error)
        return found

    def _keys_and_locks(self) -> None:
        files: Files = self._repository.files
        for _, key in list_keys(self._repository.store):
            if isinstance(key, Damaged):
                self._problem(key)
        for rubbish in read_locks(files)[1]:
            self._problem(rubbish)

    def _index(self) -> None:
        index = Index()
        for name in sorted(self._repository.files.names(FileType.INDEX)):
            try:
                for pack, blobs in list(self._repository.packs_named_by(name)):
                    index.add_pack(pack, blobs)
            except NotThere:
                continue
            except Damaged as error:
                self._problem(error)
        self._repository.index = index

    def _packs(self) -> None:
        """Every pack that an index names, against the pack itself."""
        sizes = dict(self._repository.store.list(FileType.PACK))
        for pack, entries in self._repository.index.by_pack():
            blobs = sorted(entries, key=lambda blob: blob.offset)
            self.checked.packs += 1
            name = pack.hex()
            if name not in sizes:
                self._problem(Damaged(f"data/{name}", f"the pack is gone, with {len(blobs)} blobs"))
                self.checked.bad_packs.append(name)
                self._lose(blobs)
                continue
            try:
                self._pack(name, sizes[name], blobs)
            except Damaged as error:
                self._problem(error)
                self.checked.bad_packs.append(name)
        self.checked.unnamed_packs = sorted(
            name for name in sizes if not self._repository.index.has_pack(bytes.fromhex(name))
        )

    def _pack(self, name: str, size: int, blobs: list[Blob]) -> None:
        where = f"data/{name}"
        end = max((blob.offset + blob.length for blob in blobs), default=0)
        if end > size:
            self._lose([blob for blob in blobs if blob.offset + blob.length > size])
            raise Damaged(where, f"has {size} bytes, the index knows of {end}")
        if not self._read_data or (self._chosen is not None and name not in self._chosen):
            return
        try:
            data = self._repository.store.load(Handle(FileType.PACK, name))
        except StoreError as error:
            if not error.permanent:
                raise  # the line is down, not the pack: a check that could not look has found nothing
            self._lose(blobs)
            raise Damaged(where, error.message) from error
        self.checked.packs_read += 1
        self.checked.bytes_read += len(data)
        view = memoryview(data)
        bad = []
        for blob in blobs:
            try:
                self._repository.open_blob(
                    blob.type, blob.id, view[blob.offset : blob.offset + blob.length], blob.uncompressed_length, where
                )
            except Damaged as error:
                self._lose([blob])
                bad.append(error.what)
        if bad:
            raise Damaged(where, "; ".join(bad))
        if id_of(data).hex() != name:
            raise Damaged(where, "its SHA-256 is not its name, though every blob in it is whole")
        if sorted(self._repository.pack_header(name, size), key=lambda blob: blob.offset) != blobs:
            raise Damaged(where, "its header and the index do not agree")

    def _lose(self, blobs: list[Blob]) -> None:
        """Remember blobs of which this copy is lost; another copy may be whole, which `_gone` finds out."""
        self.checked.lost.update((blob.type, blob.id) for blob in blobs)

    def _gone(self, type: BlobType, id: bytes) -> str:
        """Why a blob cannot be had, empty when it can."""
        if not self._repository.index.has(type, id):
            return f"{type.word} blob {id.hex()} is in no index"
        if (type, id) in self.checked.lost:
            try:
                self._repository.load_blob(type, id)
            except Damaged as error:
                return str(error)
        return ""

    def _losses_below(self, tree: str) -> Iterator[tuple[bytes, str]]:
        """Paths below a tree that cannot be restored whole. Each tree is looked at once and its losses remembered."""
        stack: list[tuple[str, bytes]] = [(tree, b"")]
        while stack:
            id, path = stack.pop()
            for name, node in self._entries(id):
                below = path + b"/" + name
                if node.startswith("tree "):
                    stack.append((node.removeprefix("tree "), below))
                else:
                    yield below, node
            if id in self._trees and self._trees[id] and self._trees[id][0][0] == b"":
                yield path or b"/", self._trees[id][0][1]

    def _entries(self, id: str) -> list[tuple[bytes, str]]:
        """Of one tree: its directories as "tree ID", and its files that are not whole with the reason."""
        if id not in self._trees:
            try:
                nodes = self._repository.load_tree(bytes.fromhex(id))
            except (Damaged, NoSuchBlob) as error:
                self._trees[id] = [(b"", str(error))]
                if isinstance(error, Damaged) and error.where.startswith("tree"):
                    self._problem(error)
                return []
            found = []
            for name, node in nodes:
                if node.type == "dir" and node.subtree is not None:
                    found.append((name, f"tree {node.subtree}"))
                for content in node.content or ():
                    if why := self._gone(BlobType.DATA, bytes.fromhex(content)):
                        found.append((name, why))
                        break
            self._trees[id] = found
        return [entry for entry in self._trees[id] if entry[0]]
