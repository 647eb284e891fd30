"""Restore preview: what a restore would make, replace and leave at a target, by size and time of change; nothing is touched."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from actions.backup.archiver import Told
from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.restorer import Overwrite
from actions.backup.walk import Entry, walk
from actions.backup.walking import Target

MAX_NAMED = 1000


@dataclass(slots=True)
class Preview:
    """Counts of files and other entries, bytes that would be written, and the first paths that would be replaced or that are in the way.

    `unchanged` stand there as they were saved; `left` would be left because nothing is to be overwritten.
    """

    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    left: int = 0
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
) -> Preview:
    """Compare the tree (of it the steps `wanted`, without what is `excluded`) with what stands at `target`. The index must be loaded."""
    found = Preview()
    root = os.fsencode(target).rstrip(b"/")

    def enter(entry: Entry) -> bool:
        return _asked(wanted, entry.path) and not excluded(entry.path)

    for entry in walk(repository, tree, enter=enter):
        if enter(entry):
            _count(found, entry.node, root + entry.path, overwrite)
    return found


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


def _count(found: Preview, node: Node, path: bytes, overwrite: Overwrite) -> None:
    try:
        status = os.lstat(path)
    except OSError:
        status = None
    if node.type == "dir":
        found.dirs += 1
        if status is not None and not stat.S_ISDIR(status.st_mode):
            if overwrite is Overwrite.NEVER:
                found.left += 1
                return
            _name(found, path, "is no directory, and would be replaced by one")
        return
    size = node.size if node.type == "file" else 0
    if status is None:
        found.new += 1
        found.bytes += size
    elif overwrite is Overwrite.NEVER:
        found.left += 1
    elif stat.S_ISDIR(status.st_mode):
        _name(found, path, "is a directory, and would be left")
    elif node.type == "file" and (status.st_size, status.st_mtime_ns) == (node.size, node.mtime_ns):
        found.unchanged += 1
    else:
        found.replaced += 1
        found.bytes += size
        _name(found, path, "would be replaced")


def _name(found: Preview, path: bytes, what: str) -> None:
    if len(found.named) < MAX_NAMED:
        found.named.append(Told(path, what))
