"""Walk: every entry of a snapshot, depth first and in the order of the names, without recursion."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node
from actions.backup.repository import Repository
from contracts.errors import HoldfastError


class NoSuchEntry(HoldfastError):
    """The snapshot does not hold that path."""


class Entry(NamedTuple):
    """An entry of a snapshot: its absolute path, its node, and the id of the tree that holds it."""

    path: bytes
    node: Node
    tree: str

    @property
    def text(self) -> str:
        """The path as Go's JSON shows it: each byte that is not UTF-8 is a replacement character."""
        return go_text(self.path)


Trouble = Callable[[bytes, HoldfastError], None]
"""Told of each directory that cannot be read, by its path; what lies below it is missing from the walk."""


def go_text(raw: bytes) -> str:
    """Bytes as text, each byte that is not UTF-8 replaced."""
    text = raw.decode("utf-8", "surrogateescape")
    return text if text.isascii() else "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def walk(
    repository: Repository,
    tree: str,
    *,
    below: bytes = b"",
    enter: Callable[[Entry], bool] | None = None,
    trouble: Trouble | None = None,
) -> Iterator[Entry]:
    """The entries below `tree`, whose own path is `below`; directories for which `enter` is false are given, but not entered.

    Without `trouble`, Damaged or NoSuchBlob ends the walk at the first directory that cannot be read.
    """
    stack = [iter(_entries(repository, tree, below, trouble))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        yield entry
        if entry.node.type == "dir" and (enter is None or enter(entry)):
            stack.append(iter(_entries(repository, entry.node.subtree, entry.path, trouble)))


def entry_at(repository: Repository, tree: str, path: bytes) -> Entry:
    """The entry at an absolute path of a snapshot; NoSuchEntry, or Damaged when a directory on the way cannot be read."""
    parts = [part for part in path.split(b"/") if part]
    if not parts:
        raise NoSuchEntry("/ is the snapshot itself, not an entry of it")
    at = b""
    found: Entry | None = None
    for part in parts:
        subtree = tree if found is None else found.node.subtree
        if subtree is None or (found is not None and found.node.type != "dir"):
            raise NoSuchEntry(f"{go_text(at)}: not a directory in that snapshot", advice="see `holdfast backup ls`")
        node = dict(repository.load_tree(bytes.fromhex(subtree))).get(part)
        at += b"/" + part
        if node is None:
            raise NoSuchEntry(f"{go_text(at)}: that snapshot holds no such path", advice="see `holdfast backup ls`")
        found = Entry(at, node, subtree)
    assert found is not None
    return found


def _entries(repository: Repository, tree: str | None, path: bytes, trouble: Trouble | None) -> list[Entry]:
    try:
        if tree is None:
            raise Damaged(f"the directory {go_text(path) or '/'}", "it has no tree")
        return [Entry(path + b"/" + name, node, tree) for name, node in repository.load_tree(bytes.fromhex(tree))]
    except (Damaged, NoSuchBlob) as error:
        if trouble is None:
            raise
        trouble(path or b"/", error)
        return []
