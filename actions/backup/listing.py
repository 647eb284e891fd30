"""Listing: what a snapshot holds, as `restic ls` shows it, short, long or as JSON."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from actions.backup.node import Node
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.walk import Entry, Trouble, go_text, walk
from contracts.errors import UsageError

_MODE_LETTERS = "dalTLDpSugct?"
_TYPE_BITS = {
    "dir": 1 << 31,
    "symlink": 1 << 27,
    "dev": 1 << 26,
    "chardev": 1 << 26 | 1 << 21,
    "fifo": 1 << 25,
    "socket": 1 << 24,
}


def list_entries(
    repository: Repository,
    snapshot: Snapshot,
    dirs: Sequence[bytes] = (),
    *,
    recursive: bool = False,
    trouble: Trouble | None = None,
) -> Iterator[Entry]:
    """The entries of a snapshot: all, or those in the absolute `dirs` (and below them, when `recursive`), each directory itself too.

    UsageError for a relative path. A path that is not in the snapshot yields nothing; the caller may say so.
    """
    for path in dirs:
        if not path.startswith(b"/"):
            raise UsageError(f"{go_text(path)} is not an absolute path", advice="begin it with a slash")
    wanted = [b"/" + b"/".join(part for part in path.split(b"/") if part) for path in dirs]

    def within(path: bytes) -> bool:
        return not wanted or any(_has_prefix(path, dir) for dir in wanted)

    def enter(entry: Entry) -> bool:
        if within(entry.path) and (recursive or not wanted):
            return True
        return any(_has_prefix(dir, entry.path) for dir in wanted)

    return (e for e in walk(repository, snapshot.tree, enter=enter, trouble=trouble) if within(e.path))


def _has_prefix(path: bytes, prefix: bytes) -> bool:
    return path == prefix or path.startswith(prefix.rstrip(b"/") + b"/")


def mode_text(mode: int) -> str:
    """Go's text of a mode, such as "drwxr-xr-x" or "urwxr-xr-x"."""
    kinds = "".join(letter for at, letter in enumerate(_MODE_LETTERS) if mode >> (31 - at) & 1)
    return (kinds or "-") + "".join(letter if mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))


def long_line(entry: Entry) -> str:
    """One line of the long form: mode, owner, group, size, local time of change, path, and where a link points to."""
    node = entry.node
    mode = mode_text(node.mode | _TYPE_BITS.get(node.type, 0))
    changed = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(node.mtime_ns // 1_000_000_000))
    target = f" -> {go_text(node.raw_target)}" if node.type == "symlink" else ""
    return f"{mode} {node.uid:5d} {node.gid:5d} {node.size:6d} {changed} {entry.text}{target}"


def entry_json(entry: Entry) -> dict[str, Any]:
    """One object of `restic ls --json`."""
    node = entry.node
    found: dict[str, Any] = {
        "name": go_text(node.raw_name),
        "type": node.type,
        "path": entry.text,
        "uid": node.uid,
        "gid": node.gid,
    }
    if node.type == "file":
        found["size"] = node.size
    if node.mode:
        found["mode"] = node.mode
    return found | {
        "permissions": mode_text(node.mode),
        "mtime": node.mtime,
        "atime": node.atime,
        "ctime": node.ctime,
        "struct_type": "node",
    }


def found_json(path: str, node: Node) -> dict[str, Any]:
    """One match of `restic find --json`: the node without name, inode, content and what else is of no use to a reader."""
    document: dict[str, Any] = msgspec.to_builtins(node)
    for field in ("name", "inode", "extended_attributes", "device", "content", "subtree"):
        document.pop(field, None)
    return {"path": path, "permissions": mode_text(node.mode), **document}


def snapshot_json(id: str, snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as restic's JSON has it: its document with its id."""
    document: dict[str, Any] = msgspec.to_builtins(snapshot)
    return {**document, "id": id, "short_id": id[:8]}
