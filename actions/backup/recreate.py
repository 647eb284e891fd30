"""Recreate: bring lost blobs back from the files and directories that they were saved from, where these still are as they were.

A blob's id is the hash of its content, so what is found under another name, changed or out of place can do no harm: it is not taken.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from actions.backup.archiver import Archiver, Choices, NothingToSave
from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.ids import id_of
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.saver import Saver
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import Buffer, StoreError

_PARENTS = 3
"""So many snapshots are tried as parents when a directory is saved again."""


@dataclass(slots=True)
class Recreated:
    """What came back: data blobs and their bytes, directories that were saved again, and blobs of either kind out of replicas."""

    blobs: int = 0
    bytes: int = 0
    trees: int = 0
    from_replicas: int = 0


class _Unpublished(Repository):
    """A repository into which the archiver may save blobs, while its snapshot is let go."""

    def save_snapshot(self, snapshot: Snapshot) -> str:  # noqa: ARG002 (the signature of the face)
        return ""


class Recreator:
    """Looks for what the index of `repository` lacks, in `replicas` first.

    `lengths` are those of lost blobs, where known; `roots` go before the paths of the snapshots; `choices` are those of the backup.
    """

    def __init__(
        self,
        repository: Repository,
        saver: Saver,
        lengths: Mapping[bytes, int],
        roots: Sequence[bytes] = (b"",),
        choices: Choices | None = None,
        replicas: Sequence[Repository] = (),
    ) -> None:
        self._repository = repository
        self._saver = saver
        self._lengths = lengths
        self._roots = roots
        self._choices = choices
        self._replicas = replicas
        self.away: dict[str, str] = {}
        """Replicas that could not be asked, and why."""
        self._found: set[bytes] = set()
        self._tried: set[tuple[bytes, str]] = set()
        self.recreated = Recreated()

    def walk(self, snapshots: Sequence[Snapshot]) -> Recreated:
        """Go through these snapshots, and look for each hole where it is found. The saver is flushed after."""
        seen: set[tuple[str, bytes]] = set()
        for snapshot in snapshots:
            stack = [(snapshot.tree, b"")]
            while stack:
                step = stack.pop()
                if step in seen:
                    continue
                seen.add(step)
                for name, node in self._tree(*step, snapshot, snapshots):
                    below = step[1] + b"/" + name
                    if node.type == "dir" and node.subtree:
                        stack.append((node.subtree, below))
                    elif node.type == "file" and (missing := self._missing(node)):
                        missing -= {id for id in missing if self._from_replica(BlobType.DATA, id)}
                        self._file(below, node, missing)
        self._saver.flush()
        return self.recreated

    def _tree(
        self, tree: str, path: bytes, snapshot: Snapshot, snapshots: Sequence[Snapshot]
    ) -> list[tuple[bytes, Node]]:
        """The entries of a directory; a tree that is missing is made again first, if it can be."""
        id = bytes.fromhex(tree)
        if not self._repository.index.has(BlobType.TREE, id):
            if self._from_replica(BlobType.TREE, id):
                self._saver.flush()
            else:
                self._save_again(id, path, snapshot, snapshots)
        try:
            return self._repository.load_tree(id)
        except (Damaged, NoSuchBlob):
            return []

    def _from_replica(self, type: BlobType, id: bytes) -> bool:
        for replica in self._replicas:
            try:
                data = replica.load_blob(type, id)
            except (Damaged, NoSuchBlob):
                continue
            except StoreError as error:
                self.away.setdefault(replica.store.location, error.message)
                continue
            self._saver.save(type, data)
            self._found.add(id)
            self.recreated.from_replicas += 1
            return True
        return False

    def _save_again(self, id: bytes, path: bytes, snapshot: Snapshot, snapshots: Sequence[Snapshot]) -> None:
        """Save a directory as a backup does. One that has changed becomes another tree, of no use and no harm.

        What earlier and later snapshots say of its files saves reading them, and keeps the pieces that another chunker cut.
        """
        like = [other for other in snapshots if other.paths == snapshot.paths and other.hostname == snapshot.hostname]
        like.sort(key=lambda other: abs(other.time_ns - snapshot.time_ns))
        saved = [os.fsencode(root) for root in snapshot.paths]
        inside = any(path == root or path.startswith(root.rstrip(b"/") + b"/") for root in saved)
        for parent in like[:_PARENTS]:
            key = (path if inside else b"\n".join(saved), parent.tree)
            if key in self._tried:
                continue
            self._tried.add(key)
            self._saver.flush()
            self._archive([path] if inside else saved, snapshot, parent)
            if self._repository.index.has(BlobType.TREE, id):
                self.recreated.trees += 1
                return

    def _archive(self, paths: Sequence[bytes], snapshot: Snapshot, parent: Snapshot) -> None:
        repository = self._repository
        unpublished = _Unpublished(repository.store, repository.key, repository.key_id, repository.config)
        unpublished.index = repository.index
        try:
            Archiver(unpublished, self._choices).snapshot(
                paths, hostname=snapshot.hostname, parent=(snapshot.tree, parent)
            )
        except NothingToSave:
            return

    def _missing(self, node: Node) -> set[bytes]:
        has = self._repository.index.has
        ids = {bytes.fromhex(content) for content in node.content or ()}
        return {id for id in ids if id not in self._found and not has(BlobType.DATA, id)}

    def _file(self, path: bytes, node: Node, missing: set[bytes]) -> None:
        """Look for the missing blobs of a file where they were in it, then wherever they are in it now."""
        key = (path, "".join(node.content or ()))
        if not missing or key in self._tried:
            return
        self._tried.add(key)
        for root in self._roots:
            descriptor = _open(root + path)
            if descriptor is None:
                continue
            try:
                self._take(self._in_place(descriptor, node), missing)
                if missing:
                    self._take(self._cut_anew(descriptor), missing)
            except OSError:
                continue  # it cannot be read: the blobs stay missing, and are named
            finally:
                os.close(descriptor)

    def _take(self, pieces: Iterator[Buffer], missing: set[bytes]) -> None:
        for data in pieces:
            id = id_of(data)
            if id in missing:
                self._saver.save(BlobType.DATA, data)
                self._found.add(id)
                missing.discard(id)
                self.recreated.blobs += 1
                self.recreated.bytes += len(data)
            if not missing:
                return

    def _in_place(self, descriptor: int, node: Node) -> Iterator[bytes]:
        """The pieces of a file at the offsets that its blobs had; of one length that nobody knows the file's size tells."""
        ids = [bytes.fromhex(content) for content in node.content or ()]
        lengths = [self._length(id) for id in ids]
        unknown = lengths.count(None)
        position = 0
        for id, length in zip(ids, lengths, strict=True):
            if length is None:
                if unknown > 1:
                    return
                length = node.size - sum(known for known in lengths if known is not None)
                if length <= 0:
                    return
            if not self._repository.index.has(BlobType.DATA, id):
                yield os.pread(descriptor, length, position)
            position += length

    def _length(self, id: bytes) -> int | None:
        known = self._lengths.get(id)
        return known if known is not None else self._repository.index.plain_length(BlobType.DATA, id)

    def _cut_anew(self, descriptor: int) -> Iterator[Buffer]:
        """The pieces as the chunker cuts them today: it finds what only moved."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "rb", buffering=0) as source:
            yield from self._repository.chunker().chunks(source)


def _open(path: bytes) -> int | None:
    """A regular file for reading, None when there is none; links are not followed and FIFOs not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None
