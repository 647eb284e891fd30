"""Find: where in the snapshots a file is, by pattern and time; or what a blob, a tree or a pack belongs to, as `restic find`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from actions.backup.blobs import BlobType
from actions.backup.listing import found_json
from actions.backup.repository import Repository
from actions.backup.selection import resolve
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import FileType
from actions.backup.walk import Entry, Trouble, walk
from analysis.excludes import Excludes

Snapshots = Iterable[tuple[str, Snapshot]]


class Found(NamedTuple):
    """A file or directory that matches, and the snapshot that holds it."""

    snapshot_id: str
    snapshot: Snapshot
    entry: Entry

    @property
    def json(self) -> dict[str, Any]:
        """One element of "matches" of `restic find --json`."""
        return found_json(self.entry.text, self.entry.node)


class FoundObject(NamedTuple):
    """A blob or tree that was asked for: its whole id, the path that uses it, the tree that holds that path (blobs only)."""

    type: str
    id: str
    path: str
    parent_tree: str
    snapshot_id: str
    snapshot: Snapshot

    @property
    def json(self) -> dict[str, Any]:
        """One object of `restic find --json --blob`."""
        parent = {"parent_tree": self.parent_tree} if self.parent_tree else {}
        return {
            "object_type": self.type,
            "id": self.id,
            "path": self.path,
            **parent,
            "snapshot": self.snapshot_id,
            "time": self.snapshot.time,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find: one of the patterns (restic's language, as for excludes), changed not before `oldest_ns` and not after `newest_ns`."""

    patterns: Sequence[str]
    ignore_case: bool = False
    oldest_ns: int | None = None
    newest_ns: int | None = None


def find(
    repository: Repository, snapshots: Snapshots, wanted: Wanted, *, trouble: Trouble | None = None
) -> Iterator[Found]:
    """Everything that matches, snapshot by snapshot in the order given. What lies below a match matches too, as with restic.

    BadPattern for a pattern that is none. `trouble` is told of directories that cannot be read; without it they end the search.
    """
    literal = [f"\\{pattern}" if pattern.startswith("!") else pattern for pattern in wanted.patterns]
    match = Excludes(insensitive=literal) if wanted.ignore_case else Excludes(literal)
    for id, snapshot in snapshots:
        for entry in walk(repository, snapshot.tree, trouble=trouble):
            if match.match(entry.path.decode("utf-8", "surrogateescape")) and _in_time(entry, wanted):
                yield Found(id, snapshot, entry)


def _in_time(entry: Entry, wanted: Wanted) -> bool:
    if wanted.oldest_ns is None and wanted.newest_ns is None:
        return True
    changed = entry.node.mtime_ns
    return (wanted.oldest_ns is None or changed >= wanted.oldest_ns) and (
        wanted.newest_ns is None or changed <= wanted.newest_ns
    )


def find_blobs(
    repository: Repository, snapshots: Snapshots, ids: Sequence[str], *, trouble: Trouble | None = None
) -> Iterator[FoundObject]:
    """The files that these data blobs (ids or beginnings of ids) are part of, each path once for each blob."""
    return _find_objects(repository, snapshots, _asks(ids), _asks(()), trouble)


def find_trees(
    repository: Repository, snapshots: Snapshots, ids: Sequence[str], *, trouble: Trouble | None = None
) -> Iterator[FoundObject]:
    """The directories that these trees (ids or beginnings of ids) describe; a snapshot's own tree is "/"."""
    return _find_objects(repository, snapshots, _asks(()), _asks(ids), trouble)


def find_packs(
    repository: Repository, snapshots: Snapshots, words: Sequence[str], *, trouble: Trouble | None = None
) -> Iterator[FoundObject]:
    """The files and directories that need something of these packs; also of a pack that is gone, as long as an index names it."""
    named = {pack.hex() for pack in repository.index.packs()}
    stored = set(repository.files.names(FileType.PACK))
    packs = {bytes.fromhex(resolve(sorted(named | stored), word, "pack")) for word in words}
    data: set[str] = set()
    trees: set[str] = set()
    for pack, blobs in repository.index.by_pack():
        if pack in packs:
            data.update(blob.id.hex() for blob in blobs if blob.type is BlobType.DATA)
            trees.update(blob.id.hex() for blob in blobs if blob.type is BlobType.TREE)
    return _find_objects(repository, snapshots, data.__contains__, trees.__contains__, trouble)


_Asked = Callable[[str], bool]


def _asks(ids: Sequence[str]) -> _Asked:
    whole = {id.lower() for id in ids if len(id) == 64}
    beginnings = tuple(id.lower() for id in ids if len(id) < 64)
    return lambda id: id in whole or (bool(beginnings) and id.startswith(beginnings))


def _find_objects(
    repository: Repository, snapshots: Snapshots, data: _Asked, trees: _Asked, trouble: Trouble | None
) -> Iterator[FoundObject]:
    for id, snapshot in snapshots:
        if trees(snapshot.tree):
            yield FoundObject("tree", snapshot.tree, "/", "", id, snapshot)
        for entry in walk(repository, snapshot.tree, trouble=trouble):
            node = entry.node
            if node.type == "dir" and node.subtree and trees(node.subtree):
                yield FoundObject("tree", node.subtree, entry.text, "", id, snapshot)
            for content in dict.fromkeys(node.content or ()):
                if data(content):
                    yield FoundObject("blob", content, entry.text, entry.tree, id, snapshot)
