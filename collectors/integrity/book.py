"""The baseline: every watched folder with its nodes in one SQLite file, and a root over all.

One folder is in memory at a time, so the size of the tree does not matter. The root is what the event chain carries: a book that was
rewritten behind our back has another one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec

from contracts.errors import Malformed
from contracts.trees import Directory, Node

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS folders (path BLOB PRIMARY KEY, nodes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_NODES = msgspec.msgpack.Decoder(tuple[Node, ...])
_encode = msgspec.msgpack.Encoder().encode
AT_ONCE = 500
"""Folders written in one transaction."""


class Book:
    """The baseline on the disk. For one thread. Raises `Malformed` for a file that is damaged or of another version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._base = sqlite3.connect(path, isolation_level=None, cached_statements=16)
            self._base.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2048; PRAGMA mmap_size=0;"
                + _SCHEMA
            )
            self._check()
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise Malformed(
                f"{path}: {error}", advice="Move it away: the next scan makes a new baseline, unproved."
            ) from error
        self._pending: dict[bytes, bytes] = {}

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.flush()
        self._base.close()

    def known(self, path: bytes) -> tuple[Node, ...]:
        """Return the nodes of a folder as last written, () for a folder that is not in the book."""
        found = self._raw(path)
        return _NODES.decode(found) if found is not None else ()

    def holds(self, path: bytes) -> bool:
        """Say whether the folder is in the book."""
        return self._raw(path) is not None

    def write(self, directory: Directory) -> bool:
        """Keep a folder as it was seen; returns whether it differs from what the book held.

        A folder with a flaw changes nothing: what is known of it stays.
        """
        if directory.flaw:
            return False
        nodes = _encode(directory.nodes)
        if self._raw(directory.path) == nodes:
            return False
        self._pending[directory.path] = nodes
        if len(self._pending) >= AT_ONCE:
            self.flush()
        return True

    def forget(self, path: bytes) -> list[Directory]:
        """Take out a folder and all below it; returns them as they were known."""
        self.flush()
        low, high = _below(path)
        gone = [
            Directory(raw, _NODES.decode(nodes))
            for raw, nodes in self._base.execute(
                "SELECT path, nodes FROM folders WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path",
                (path, low, high),
            )
        ]
        self._base.execute("DELETE FROM folders WHERE path = ? OR (path >= ? AND path < ?)", (path, low, high))
        return gone

    def paths(self, below: bytes = b"/") -> Iterator[bytes]:
        """Yield the paths of the folders in the book at or below one, in order."""
        self.flush()
        low, high = _below(below)
        rows = self._base.execute(
            "SELECT path FROM folders WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path", (below, low, high)
        )
        for (path,) in rows:
            yield path

    def flush(self) -> None:
        """Write what is pending, in one transaction."""
        if not self._pending:
            return
        with closing(self._base.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", self._pending.items())
            cursor.execute("COMMIT")
        self._pending.clear()

    def root(self) -> bytes:
        """Return SHA-256 over the digests of every folder, made of its path and nodes, in the order of the paths."""
        self.flush()
        root = sha256()
        for path, nodes in self._base.execute("SELECT path, nodes FROM folders ORDER BY path"):
            root.update(_digest(path, nodes))
        return root.digest()

    def fact(self, name: str) -> bytes | None:
        """Return a small value kept beside the folders, None when there is none."""
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def keep(self, name: str, value: bytes) -> None:
        """Keep a small value beside the folders, together with what is pending."""
        self.flush()
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _raw(self, path: bytes) -> bytes | None:
        pending = self._pending.get(path)
        if pending is not None:
            return pending
        row = self._base.execute("SELECT nodes FROM folders WHERE path = ?", (path,)).fetchone()
        return bytes(row[0]) if row else None

    def _check(self) -> None:
        version = self.fact("version")
        if version is None:
            self._base.execute("INSERT INTO facts VALUES ('version', ?)", (str(VERSION).encode(),))
        elif version != str(VERSION).encode():
            raise sqlite3.DatabaseError(
                f"its version is {version.decode(errors='replace')}, this Holdfast knows {VERSION}"
            )


def _below(path: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of the paths that begin with `path/`."""
    base = path.rstrip(b"/")
    return base + b"/", base + b"0"  # "0" is the byte after "/"


def _digest(path: bytes, nodes: bytes) -> bytes:
    return sha256(len(path).to_bytes(4, "big") + path + nodes).digest()
