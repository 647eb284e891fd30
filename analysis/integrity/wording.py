"""Words for a change: what a name was and is, which lines of a text differ, and one line for a list of many. Pure."""

import difflib
import stat
from collections.abc import Sequence

from analysis.integrity.file_capabilities import said
from contracts.file_change import CREATED, DELETED, RENAMED, Change
from contracts.text import escape
from contracts.trees import Node

MOST_LINES = 200
MOST_CHARS = 16_000
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def describe(node: Node | None) -> list[str]:
    """Return what a name is, as `WORD VALUE`."""
    if node is None:
        return []
    words = [
        f"type {_TYPES.get(stat.S_IFMT(node.mode), 'unknown')}",
        f"mode {stat.S_IMODE(node.mode):04o}",
        f"owner {node.uid}:{node.gid}",
        f"inode {node.inode}",
        f"mtime {node.mtime_ns / 1e9:.3f}",
        f"ctime {node.ctime_ns / 1e9:.3f}",
    ]
    if stat.S_ISREG(node.mode):
        words.append(f"size {node.size}")
    if node.content:
        words.append(f"hash {node.content.hex()}")
    if node.target:
        words.append(f"target {escape(node.target)}")
    if node.special:
        words.append(f"device {node.special >> 8 & 0xFFF}:{node.special & 0xFF | node.special >> 12 & 0xFFF00}")
    if node.attributes:
        words.append(f"attributes {node.attributes.hex()}")
    if node.capabilities:
        words.append(f"capabilities {said(node.capabilities)}")
    if node.flaw:
        words.append(f"unread {node.flaw}")
    return words


def before_and_after(change: Change) -> tuple[list[str], list[str]]:
    """Return what differs: of a name that is both before and after, only that."""
    before, after = describe(change.before), describe(change.after)
    if change.before is None or change.after is None:
        return before, after
    return [word for word in before if word not in after], [word for word in after if word not in before]


def text_diff(old: bytes | None, new: bytes | None) -> str:
    """Return the lines that differ between two texts, "" when either is not kept. Unified, cut at a bound that is said."""
    if old is None or new is None:
        return ""
    lines = list(difflib.unified_diff(_lines(old), _lines(new), "before", "after", n=2, lineterm=""))
    text = "\n".join(lines[:MOST_LINES])
    if len(lines) > MOST_LINES or len(text) > MOST_CHARS:
        return f"{text[:MOST_CHARS]}\n… {len(lines)} lines in all"
    return text


def line(change: Change) -> str:
    """Return one line for a list of many changes: the words, the path, and what tells most."""
    words = " ".join(change.kinds)
    path = escape(change.path)
    if change.kinds[0] == RENAMED:
        return f"{words} {escape(change.former)} -> {path}"
    if change.kinds[0] in (CREATED, DELETED):
        return f"{words} {path}{_hash(change.after or change.before)}"
    _, after = before_and_after(change)
    told = [word for word in after if not word.startswith(("mtime", "ctime", "inode"))]
    return f"{words} {path}{' (' + ', '.join(told)[:200] + ')' if told else ''}"


def common_folder(paths: Sequence[bytes]) -> bytes:
    """Return the deepest folder above all of some paths."""
    parts = [path.split(b"/")[:-1] for path in paths]
    shared = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return b"/".join(shared) or b"/"


def _hash(node: Node | None) -> str:
    return f" ({node.content.hex()[:16]}…)" if node is not None and node.content else ""


def _lines(text: bytes) -> list[str]:
    return [escape(part) for part in text.split(b"\n")]
