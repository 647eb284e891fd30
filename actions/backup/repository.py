"""Repository: the face of this room. Make one, open it, read and save blobs, trees and snapshots; formats and threads stay behind it."""

from collections.abc import Iterator

from actions.backup.blobs import Blob, BlobType, Location
from actions.backup.chunker import Chunker
from actions.backup.compression import BadFrame, decompress
from actions.backup.config import Config, load_config, new_config, save_config
from actions.backup.crypto import Key, ScryptParameters, Unauthenticated
from actions.backup.errors import AlreadyRepository, Damaged, NoSuchBlob
from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.index import Index
from actions.backup.index_files import BadIndex, encode_index, iterate_index
from actions.backup.keys import add_key, search_key
from actions.backup.locks import Lock, take_lock
from actions.backup.node import Node
from actions.backup.pack import BadPack, read_header
from actions.backup.saver import Saver
from actions.backup.snapshot import BadSnapshot, Snapshot, decode_snapshot, encode_snapshot
from actions.backup.stores.store import AlreadyThere, FileType, Handle, NotThere, Store, StoreError
from actions.backup.tree import BadTree, decode_tree


class Repository:
    """One repository in one store, opened with one password. Reading is safe in several threads."""

    def __init__(self, store: Store, key: Key, key_id: str, config: Config) -> None:
        self.store = store
        self.key = key
        self.key_id = key_id
        self.config = config
        self.files = Files(store, key, config.version)
        self.index = Index()
        self.damaged_keys: tuple[str, ...] = ()

    @classmethod
    def create(
        cls, store: Store, password: str, *, version: int = 2, cost: ScryptParameters | None = None
    ) -> "Repository":
        """A new, empty repository; AlreadyRepository when there is one. `cost` of the key is calibrated when not given."""
        config = new_config(version)
        try:
            store.create()
        except AlreadyThere as error:
            raise AlreadyRepository(error.message) from error
        if any(True for _ in store.list(FileType.KEY)):
            raise AlreadyRepository(
                f"{store.location}: there are keys, but no config", advice="look for the config in a copy"
            )
        key = Key.random()
        key_id = add_key(store, password, key, cost=cost)
        save_config(store, key, config)
        return cls(store, key, key_id, config)

    @classmethod
    def open(cls, store: Store, password: str, key_hint: str = "") -> "Repository":
        """Open a repository: NoRepository, WrongPassword, Damaged or Unsupported. The index is read by `load_index`."""
        opened = search_key(store, password, key_hint)
        repository = cls(store, opened.master, opened.key_id, load_config(store, opened.master))
        repository.damaged_keys = opened.damaged
        return repository

    def anew(self) -> "Repository":
        """The same repository by the key that is at hand: the config is read again, no index is loaded. Raises as `open` does."""
        fresh = Repository(self.store, self.key, self.key_id, load_config(self.store, self.key))
        fresh.damaged_keys = self.damaged_keys
        return fresh

    def lock(self, *, exclusive: bool = False, wait_s: float = 0, early: bool = False) -> Lock:
        """Lock it and keep the lock fresh; Locked when another lock excludes ours.

        With an `early` one work begins while it settles; until it has, nothing that names a pack is published (Overtaken if it never does).
        """
        lock = take_lock(self.files, exclusive=exclusive, wait_s=wait_s, early=early)
        if early:
            self.files.sure = lock.settle
        return lock.keep()

    def load_index(self) -> None:
        """Read every index file anew; Damaged names the first that is not what was written.

        A file that is replaced while we read (by a prune elsewhere, when we hold no lock) is looked for again under its successor.
        """
        for _ in range(3):
            index = Index()
            try:
                for name in sorted(self.files.names(FileType.INDEX)):
                    for pack, blobs in self.packs_named_by(name):
                        index.add_pack(pack, blobs)
            except NotThere:
                continue
            self.index = index
            return
        raise StoreError(f"{self.store.location}: index files vanish while they are read", permanent=False)

    def packs_named_by(self, name: str) -> Iterator[tuple[bytes, list[Blob]]]:
        """The packs that one index file names, one after another; Damaged, perhaps after some."""
        try:
            yield from iterate_index(self.files.load(FileType.INDEX, name))
        except BadIndex as error:
            raise Damaged(f"index/{name}", error.message, advice=error.advice) from error

    def load_blob(self, type: BlobType, id: bytes) -> bytes:
        """The plaintext of a blob, verified against its id; every copy is tried.

        NoSuchBlob when no index names it, Damaged with every pack that should have held it.
        """
        places = self.index.find(type, id)
        if not places:
            raise NoSuchBlob(f"{type.word} blob {id.hex()} is in no index")
        errors = []
        for place in places:
            try:
                return self.read_at(type, id, place)
            except Damaged as error:
                errors.append(error)
        raise (
            errors[0]
            if len(errors) == 1
            else Damaged(
                ", ".join(error.where for error in errors),
                f"no copy of {type.word} blob {id.hex()} is what was written",
            )
        )

    def read_at(self, type: BlobType, id: bytes, place: Location) -> bytes:
        """The plaintext of a blob from one place; Damaged when it is not what was written, or its pack is gone or too short."""
        where = f"data/{place.pack.hex()}"
        try:
            sealed = self.store.load(Handle(FileType.PACK, place.pack.hex()), place.offset, place.length)
            return self.open_blob(type, id, sealed, place.uncompressed_length, where)
        except StoreError as error:
            if not error.permanent:
                raise
            raise Damaged(where, f"{type.word} blob {id.hex()}: {error.message}") from error

    def open_blob(
        self, type: BlobType, id: bytes, sealed: bytes | memoryview, uncompressed_length: int, where: str
    ) -> bytes:
        """Decrypt, decompress and verify one blob; Damaged names `where` it lies."""
        try:
            plain = self.key.open(sealed)
            data = decompress(plain, uncompressed_length) if uncompressed_length else bytes(plain)
        except (Unauthenticated, BadFrame) as error:
            raise Damaged(where, f"{type.word} blob {id.hex()}: {error.message}") from error
        if id_of(data) != id:
            raise Damaged(where, f"{type.word} blob {id.hex()}: its SHA-256 is not its id")
        return data

    def load_tree(self, id: bytes) -> list[tuple[bytes, Node]]:
        """The entries of a directory with their raw names."""
        try:
            return decode_tree(self.load_blob(BlobType.TREE, id))
        except BadTree as error:
            raise Damaged(f"tree blob {id.hex()}", error.message) from error

    def saver(self, workers: int | None = None) -> Saver:
        """A saver into this repository; read the index before."""
        return Saver(self.files, self.key, self.index, compressed=self.config.version >= 2, workers=workers)

    def chunker(self) -> Chunker:
        """The chunker of this repository, for one thread."""
        return Chunker(self.config.polynomial)

    def pack_header(self, pack: str, size: int) -> list[Blob]:
        """The blobs that a pack of `size` bytes lists in its own header; Damaged when it does not."""
        try:
            return read_header(
                lambda offset, length: self.store.load(Handle(FileType.PACK, pack), offset, length), size, self.key
            )
        except BadPack as error:
            raise Damaged(f"data/{pack}", error.message) from error

    def adopt(self) -> tuple[int, list[Damaged]]:
        """Name in an index file those packs that no index names: what a killed run had published already.

        Each is read whole and compared with its name first. Returns how many were taken up, and those that are damaged (left alone).
        """
        found, damaged = [], []
        for name, size in self.store.list(FileType.PACK):
            pack = bytes.fromhex(name)
            if self.index.has_pack(pack):
                continue
            try:
                if id_of(self.store.load(Handle(FileType.PACK, name))) != pack:
                    raise Damaged(f"data/{name}", "its SHA-256 is not its name")
                found.append((pack, self.pack_header(name, size)))
            except NotThere:
                continue
            except Damaged as error:
                damaged.append(error)
        if found:
            self.files.save(FileType.INDEX, encode_index(found))
            for pack, blobs in found:
                self.index.add_pack(pack, blobs)
        return len(found), damaged

    def save_snapshot(self, snapshot: Snapshot) -> str:
        """Publish a snapshot, after the saver has flushed all that it names; returns its id."""
        return self.files.save(FileType.SNAPSHOT, encode_snapshot(snapshot))

    def load_snapshot(self, name: str) -> Snapshot:
        """One snapshot by its whole id."""
        try:
            return decode_snapshot(self.files.load(FileType.SNAPSHOT, name))
        except BadSnapshot as error:
            raise Damaged(f"snapshot/{name}", error.message) from error

    def snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        """Every snapshot with its id, in no order; one that is removed meanwhile is passed over."""
        for name in self.files.names(FileType.SNAPSHOT):
            try:
                yield name, self.load_snapshot(name)
            except NotThere:
                continue
