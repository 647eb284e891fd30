"""Diff: what differs between two snapshots, with restic's signs and statistics.

`+` added, `-` removed, `M` content, `T` type, `U` metadata. Below a path whose type changed nothing is listed, as with restic.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from actions.backup.blobs import BlobType
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.ids import parse_id
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.times import parse_time
from actions.backup.used import Used
from actions.backup.walk import Trouble, go_text


class Change(NamedTuple):
    """One path (a directory's ends with a slash) and what happened to it."""

    modifier: str
    path: bytes

    @property
    def json(self) -> dict[str, Any]:
        """One "change" of `restic diff --json`."""
        return {"message_type": "change", "path": go_text(self.path), "modifier": self.modifier}


@dataclass(slots=True)
class Amount:
    """Things of one side: entries by type, blobs of which only this side has need, and their plain bytes."""

    files: int = 0
    dirs: int = 0
    others: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    bytes: int = 0

    def count(self, node: Node) -> None:
        """Count an entry."""
        if node.type == "file":
            self.files += 1
        elif node.type == "dir":
            self.dirs += 1
        else:
            self.others += 1


@dataclass(slots=True)
class Statistics:
    """The sums of a diff; `unknown_blobs` counts blobs that no index names, whose bytes are missing in the sums."""

    changed_files: int = 0
    added: Amount = field(default_factory=Amount)
    removed: Amount = field(default_factory=Amount)
    unknown_blobs: int = 0

    def json(self, source: str, target: str) -> dict[str, Any]:
        """The "statistics" of `restic diff --json` between these two snapshots."""
        added, removed = msgspec.to_builtins(self.added), msgspec.to_builtins(self.removed)
        return {
            "message_type": "statistics",
            "source_snapshot": source,
            "target_snapshot": target,
            "changed_files": self.changed_files,
            "added": added,
            "removed": removed,
        }


class Diff:
    """Compares two trees of one repository, whose index must be loaded. Take all `changes`, then read `statistics`.

    `trouble` is told of each directory that cannot be read; without it that ends the comparison.
    """

    def __init__(self, repository: Repository, *, metadata: bool = False, trouble: Trouble | None = None) -> None:
        self._repository = repository
        self._metadata = metadata
        self._trouble = trouble
        self._before, self._after, self._common = (Used(repository.index) for _ in range(3))
        self.statistics = Statistics()

    def changes(self, before: str, after: str) -> Iterator[Change]:
        """What differs from the tree `before` to the tree `after`, in the order of the paths."""
        self._before.mark(BlobType.TREE, parse_id(before))
        self._after.mark(BlobType.TREE, parse_id(after))
        stack = [self._compare(b"/", before, after)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif isinstance(step, Change):
                yield step
            else:
                stack.append(step)
        self._sum()

    def _compare(self, path: bytes, before: str, after: str) -> "Iterator[Change | Iterator[Any]]":
        """Changes of one directory, and for each directory in it an iterator of the changes there."""
        left, right = self._entries(before, path), self._entries(after, path)
        for name in sorted({*left, *right}):
            old, new = left.get(name), right.get(name)
            _add(self._before, old)
            _add(self._after, new)
            if old is not None and new is not None:
                yield from self._both(path + name, old, new)
            elif old is not None:
                yield from self._alone("-", path + name, old, self.statistics.removed, self._before)
            elif new is not None:
                yield from self._alone("+", path + name, new, self.statistics.added, self._after)

    def _both(self, path: bytes, old: Node, new: Node) -> "Iterator[Change | Iterator[Any]]":
        modifier = "T" if old.type != new.type else ""
        if new.type == "dir":
            path += b"/"
        if old.type == new.type == "file" and (old.content or []) != (new.content or []):
            modifier += "M"
            self.statistics.changed_files += 1
        elif self._metadata and not same_node(old, new):
            modifier += "U"
        if modifier:
            yield Change(modifier, path)
        if old.type == new.type == "dir" and old.subtree and new.subtree:
            if old.subtree == new.subtree:
                self._collect(path, old.subtree)
            else:
                yield self._compare(path, old.subtree, new.subtree)

    def _alone(
        self, sign: str, path: bytes, node: Node, amount: Amount, blobs: Used
    ) -> "Iterator[Change | Iterator[Any]]":
        """An entry of one side, and all below it."""
        amount.count(node)
        if node.type != "dir":
            yield Change(sign, path)
            return
        path += b"/"
        yield Change(sign, path)
        if node.subtree:
            yield self._below(sign, path, node.subtree, amount, blobs)

    def _below(
        self, sign: str, path: bytes, tree: str, amount: Amount, blobs: Used
    ) -> "Iterator[Change | Iterator[Any]]":
        for name, node in sorted(self._entries(tree, path).items()):
            _add(blobs, node)
            yield from self._alone(sign, path + name, node, amount, blobs)

    def _collect(self, path: bytes, tree: str) -> None:
        """Mark what both sides share; each tree once."""
        waiting = [tree]
        while waiting:
            for node in self._entries(waiting.pop(), path).values():
                if _add(self._common, node) and node.subtree:
                    waiting.append(node.subtree)

    def _entries(self, tree: str, path: bytes) -> dict[bytes, Node]:
        try:
            return dict(self._repository.load_tree(bytes.fromhex(tree)))
        except (Damaged, NoSuchBlob) as error:
            if self._trouble is None:
                raise
            self._trouble(path, error)
            return {}

    def _sum(self) -> None:
        index, statistics = self._repository.index, self.statistics
        for type in BlobType:
            before, after, common = (used.marks(type) for used in (self._before, self._after, self._common))
            for number, (_, blob) in enumerate(index.numbered(type)):
                if before[number] == after[number] or common[number]:
                    continue
                amount = statistics.removed if before[number] else statistics.added
                amount.bytes += blob.plain_length
                if type is BlobType.TREE:
                    amount.tree_blobs += 1
                else:
                    amount.data_blobs += 1
        statistics.unknown_blobs = len({*self._before.missing, *self._after.missing})


def _add(blobs: Used, node: Node | None) -> bool:
    """Mark the blobs of an entry; returns whether it is a directory that was not marked before."""
    if node is None:
        return False
    if node.type == "file":
        for content in node.content or ():
            blobs.mark(BlobType.DATA, parse_id(content))
    return node.type == "dir" and node.subtree is not None and blobs.mark(BlobType.TREE, parse_id(node.subtree))


def same_node(old: Node, new: Node) -> bool:
    """Whether two nodes say the same of an entry, as restic compares: instants rather than texts, attributes in any order."""
    if old == new:
        return True
    for left, right in ((old.mtime, new.mtime), (old.atime, new.atime), (old.ctime, new.ctime)):
        if left != right and parse_time(left) != parse_time(right):
            return False
    plain: dict[str, Any] = {"mtime": "", "atime": "", "ctime": "", "extended_attributes": [], "content": None}
    attributes = ({(a.name, a.value or b"") for a in node.extended_attributes} for node in (old, new))
    return (
        msgspec.structs.replace(old, **plain) == msgspec.structs.replace(new, **plain)
        and (old.content or []) == (new.content or [])
        and next(attributes) == next(attributes)
    )
