"""Restore preview: what a restore would make, replace and leave at a target, by size and time of change; nothing is touched."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from actions.backup.archiver import Told
from actions.backup.metadata import seems_same
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.restorer import Overwrite, holds_content
from actions.backup.walk import Entry, walk
from actions.backup.walking import Target

MAX_NAMED = 1000


@dataclass(slots=True)
class Preview:
    """Counts of files and other entries, bytes that would be written, and the first paths that would be replaced or that are in the way.

    `replaced` would be written anew, of which `alike` seem to be as they were saved; `unchanged` would not be written because they are.
    `left` would be left because nothing is to be overwritten, `failed` would fail.
    """

    new: int = 0
    replaced: int = 0
    alike: int = 0
    unchanged: int = 0
    left: int = 0
    failed: int = 0
    dirs: int = 0
    bytes: int = 0
    named: list[Told] = field(default_factory=list)


def preview(
    repository: Repository,
    tree: str,
    target: str,
    wanted: Target | None = None,
    *,
    overwrite: Overwrite = Overwrite.ALWAYS,
    excluded: Callable[[bytes], bool] = lambda _: False,
    verify: bool = False,
) -> Preview:
    """Compare the tree (of it the steps `wanted`, without what is `excluded`) with what stands at `target`. The index must be loaded.

    With `verify` what seems unchanged is read and compared, as that restore would.
    """
    look = _Look(repository, os.fsencode(target).rstrip(b"/"), overwrite, verify)
    asked = set(_paths(wanted, b""))

    def enter(entry: Entry) -> bool:
        return _asked(wanted, entry.path) and not excluded(entry.path) and entry.path not in look.closed

    for entry in walk(repository, tree, enter=enter):
        asked.discard(entry.path)
        if enter(entry):
            look.at(entry)
    for path in sorted(asked):
        if not any(excluded(way) or way in look.closed for way in _ways(path)):
            look.fail(look.root + path, "is not in the snapshot")
    return look.found


class _Look:
    """What was found so far, in the order of the tree."""

    def __init__(self, repository: Repository, root: bytes, overwrite: Overwrite, verify: bool) -> None:
        self.found = Preview()
        self.root = root
        self.closed: set[bytes] = set()
        """The directories that would not be entered, because something else stands there and is left."""
        self._gone = b""
        """The directory that would take the place of something: what stands below that, if it is a link, is not looked at."""
        self._there: set[tuple[int, int]] = set()
        """Files with several names, of which one is there or would be written: the others cost no bytes."""
        self._repository, self._overwrite, self._verify = repository, overwrite, verify

    def at(self, entry: Entry) -> None:
        """Count one entry that is asked for."""
        path, node = self.root + entry.path, entry.node
        below_gone = bool(self._gone) and entry.path.startswith(self._gone + b"/")
        try:
            status = None if below_gone else os.lstat(path)
        except OSError:
            status = None
        if node.type == "dir":
            self._directory(entry.path, path, status)
        elif node.type != "socket":  # which a restore leaves out
            self._other(path, node, status)

    def fail(self, path: bytes, what: str) -> None:
        """Count what would fail, and name it."""
        self.found.failed += 1
        self._name(path, what)

    def _directory(self, entry: bytes, path: bytes, status: os.stat_result | None) -> None:
        if status is not None and not stat.S_ISDIR(status.st_mode):
            if self._overwrite is Overwrite.NEVER:
                self.found.left += 1
                self.closed.add(entry)
                return
            self._gone = entry
            self._name(path, "is no directory, and would be replaced by one")
        self.found.dirs += 1

    def _other(self, path: bytes, node: Node, status: os.stat_result | None) -> None:
        found = self.found
        if status is None:
            found.new += 1
            found.bytes += self._size(node)
        elif self._overwrite is Overwrite.NEVER:
            found.left += 1
        elif stat.S_ISDIR(status.st_mode):
            self.fail(path, "is a directory, and would be left")
        elif not seems_same(node, status):
            found.replaced += 1
            found.bytes += self._size(node)
            self._name(path, "would be replaced")
        elif self._overwrite is Overwrite.ALWAYS:
            found.replaced += 1
            found.alike += 1
            found.bytes += self._size(node)
        elif self._verify and not self._holds(path, node):
            found.replaced += 1
            found.bytes += self._size(node)
            self._name(path, "would be replaced: its size and time are the same, its content is not")
        else:
            found.unchanged += 1
            self._size(node)

    def _size(self, node: Node) -> int:
        """The bytes to write for a file, 0 for a further name."""
        identity = node.device_id, node.inode
        if node.type != "file" or (node.links > 1 and node.inode and identity in self._there):
            return 0
        if node.links > 1:
            self._there.add(identity)
        return node.size

    def _holds(self, path: bytes, node: Node) -> bool:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return holds_content(self._repository, descriptor, node)
        finally:
            os.close(descriptor)

    def _name(self, path: bytes, what: str) -> None:
        if len(self.found.named) < MAX_NAMED:
            self.found.named.append(Told(path, what))


def _ways(path: bytes) -> Iterator[bytes]:
    """The path itself and every directory on the way to it."""
    while path:
        yield path
        path = path.rpartition(b"/")[0]


def _paths(wanted: Target | None, at: bytes) -> Iterator[bytes]:
    """The paths that were asked for by name."""
    if wanted is None:
        return
    if at and not wanted.below:
        yield at
    for name, step in wanted.below.items():
        yield from _paths(step, at + b"/" + name)


def _asked(wanted: Target | None, path: bytes) -> bool:
    """Whether a path is on the way to, or below, what is wanted."""
    step = wanted
    for part in path.split(b"/"):
        if not part or step is None or not step.below:
            continue
        if part not in step.below:
            return False
        step = step.below[part]
    return True
