"""The baseline: every watched folder with its nodes in one SQLite file, a root over all, and a journal of what is to be told.

One folder is in memory at a time, so the size of the tree does not matter. What changes in the baseline and what is told of it are one
transaction, so that no crash makes a change vanish or tells it twice. The root is what the event chain carries: a book that was rewritten
behind our back has another one.
"""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256, shake_256
from pathlib import Path

import msgspec

from contracts.errors import HoldfastError, Malformed, Unavailable, Why
from contracts.trees import Directory, Node

VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS folders (path BLOB PRIMARY KEY, nodes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS held (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS opened (path BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS texts (path BLOB PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS opened_more AFTER INSERT ON opened BEGIN UPDATE counts SET number = number + 1 WHERE name = 'opened'; END;
CREATE TRIGGER IF NOT EXISTS opened_less AFTER DELETE ON opened BEGIN UPDATE counts SET number = number - 1 WHERE name = 'opened'; END;
"""
_NODES = msgspec.msgpack.Decoder(tuple[Node, ...])
_encode = msgspec.msgpack.Encoder().encode
_RING = 1 << 2048
"""The root is a sum in this ring (Bellare and Micciancio's AdHash), so that writing one folder changes it without reading the others."""
_OPENING = threading.Lock()
"""Setting up a new file takes it alone, without waiting for others."""
LED = 256
"""Folders of which the names of those below are kept at hand: a scan asks for the same ones again and again."""
FILE = "integrity.db"
ADVICE = "Move it away: the next scan makes a new baseline, unproved."
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
ROOM_ADVICE = "Free space on the file system of {}. The watch goes on by itself then, and finds what changed meanwhile."


class Book:
    """The baseline on the disk. For one thread; several may hold one each. Raises `Malformed` for a damaged file or another version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = self._changed = False
        self._sum = 0
        self._led: dict[bytes, frozenset[bytes]] = {}
        try:
            with _OPENING:
                self._base = sqlite3.connect(path, isolation_level=None, cached_statements=32, timeout=30.0)
                self._base.executescript(
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4096; PRAGMA mmap_size=0;"
                    "PRAGMA wal_autocheckpoint=2000; PRAGMA journal_size_limit=33554432;" + _SCHEMA
                )
                self._check()
        except (
            sqlite3.OperationalError
        ) as error:  # not of the file's content: a full disk, no rights, a lock held for long
            raise unwritable(path, error) from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise Malformed(f"{path}: {error}", advice=ADVICE) from error

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.commit()
        self._base.close()

    def abandon(self) -> None:
        """Close the file as it was last committed."""
        self._base.close()

    def known(self, path: bytes) -> tuple[Node, ...]:
        """Return the nodes of a folder as last written, () for a folder that is not in the book."""
        found = self._raw(path)
        return _NODES.decode(found) if found is not None else ()

    def folders(self, path: bytes) -> frozenset[bytes]:
        """Return the names of the folders in a folder as this book wrote them last; for the one who writes."""
        names = self._led.get(path)
        return names if names is not None else self._lead(path, self.known(path))

    def _lead(self, path: bytes, nodes: tuple[Node, ...]) -> frozenset[bytes]:
        """Keep the names of the folders among nodes at hand, those of the folder that was kept first go; returns them."""
        names = frozenset(node.name for node in nodes if stat.S_ISDIR(node.mode))
        if names:
            if len(self._led) >= LED:
                del self._led[next(iter(self._led))]
            self._led[path] = names
        return names

    def holds(self, path: bytes) -> bool:
        """Say whether the folder is in the book."""
        return self._raw(path) is not None

    def is_blank(self) -> bool:
        """Say whether no folder is in the book; the roots themselves may be."""
        return self._base.execute("SELECT 1 FROM folders WHERE path > x'' LIMIT 1").fetchone() is None

    def write(self, path: bytes, nodes: tuple[Node, ...]) -> bool:
        """Keep a folder as it was seen; returns whether it differs from what the book held."""
        raw = _encode(nodes)
        former = self._raw(path)
        if former == raw:
            return False
        self._begin()
        self._base.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (path, raw))
        self._add(path, former, raw)
        self._lead(path, nodes)  # a scan comes to what is below it next
        return True

    def forget(self, path: bytes) -> Iterator[Directory]:
        """Take out a folder and all below it, and yield them as they were known; nothing is taken out before it was yielded."""
        self._begin()
        while True:
            rows = self._base.execute(
                "SELECT path, nodes FROM folders WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path LIMIT 200",
                (path, *_below(path)),
            ).fetchall()
            if not rows:
                return
            for raw, nodes in rows:
                yield Directory(raw, _NODES.decode(nodes))
                self._base.execute("DELETE FROM folders WHERE path = ?", (raw,))
                self._add(raw, nodes, None)

    def remove(self, path: bytes) -> None:
        """Take out one folder, and nothing below it."""
        self._begin()
        self._add(path, self._raw(path), None)
        self._base.execute("DELETE FROM folders WHERE path = ?", (path,))

    def move(self, former: bytes, path: bytes) -> None:
        """Give a folder, and all below it, another path; what stood there is replaced."""
        self._begin()
        for raw, nodes in self._base.execute(
            "SELECT path, nodes FROM folders WHERE path = ? OR (path >= ? AND path < ?)", (former, *_below(former))
        ).fetchall():
            moved = path + raw[len(former) :]
            self._add(raw, nodes, None)
            self._add(moved, self._raw(moved), nodes)
            self._base.execute("DELETE FROM folders WHERE path = ?", (raw,))
            self._base.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (moved, nodes))
        low, high = _below(former)
        texts = self._base.execute(
            "SELECT path, content FROM texts WHERE path >= ? AND path < ?", (low, high)
        ).fetchall()
        self._base.execute("DELETE FROM texts WHERE path >= ? AND path < ?", (low, high))
        self._base.executemany(
            "INSERT OR REPLACE INTO texts VALUES (?, ?)", [(path + raw[len(former) :], text) for raw, text in texts]
        )

    def below(self, path: bytes) -> Iterator[Directory]:
        """Yield a folder and all below it as they are known."""
        for raw in list(self.paths(path)):
            yield Directory(raw, self.known(raw))

    def paths(self, below: bytes = b"/") -> Iterator[bytes]:
        """Yield the paths of the folders in the book at or below one, in order."""
        rows = self._base.execute(
            "SELECT path FROM folders WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path", (below, *_below(below))
        )
        for (path,) in rows:
            yield path

    def count(self) -> int:
        """Return how many folders it holds."""
        return int(self._base.execute("SELECT count(*) FROM folders").fetchone()[0])

    def nth(self, number: int) -> bytes | None:
        """Return the path of one folder, whatever the number; None of an empty book."""
        count = self.count()
        if not count:
            return None
        found = self._base.execute("SELECT path FROM folders ORDER BY path LIMIT 1 OFFSET ?", (number % count,))
        return bytes(found.fetchone()[0])

    def root(self) -> bytes:
        """Return the root as it was carried along: SHA-256 over the sum of all folders' digests."""
        if not self._writing:
            self._sum = int.from_bytes(self.fact("sum") or b"", "big")
        return sha256(self._sum.to_bytes(256, "big")).digest()

    def proved_root(self) -> Iterator[bytes]:
        """Make the root anew from every row; yields b"" at times, so that the caller can do something else, and the root at last."""
        total, last = 0, b""
        while True:
            rows = self._base.execute(
                "SELECT path, nodes FROM folders WHERE path > ? ORDER BY path LIMIT 500", (last,)
            ).fetchall()
            if not rows:
                break
            total += sum(_share(path, nodes) for path, nodes in rows)
            last = rows[-1][0]
            yield b""
        pseudo = self._raw(b"")
        total += _share(b"", pseudo) if pseudo is not None else 0
        yield sha256((total % _RING).to_bytes(256, "big")).digest()

    def fact(self, name: str) -> bytes | None:
        """Return a small value kept beside the folders, None when there is none."""
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def keep(self, name: str, value: bytes) -> None:
        """Keep a small value beside the folders."""
        self._begin()
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def drop(self, name: str) -> None:
        """Forget a small value."""
        self._begin()
        self._base.execute("DELETE FROM facts WHERE name = ?", (name,))

    def facts(self, prefix: str) -> dict[str, bytes]:
        """Return the small values whose names begin so."""
        rows = self._base.execute("SELECT name, value FROM facts WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return {name: bytes(value) for name, value in rows}

    def tell(self, body: bytes) -> None:
        """Put something into the journal of what is to be told."""
        self._begin()
        self._base.execute("INSERT INTO journal (body) VALUES (?)", (body,))

    def told(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return entries of the journal after a number, oldest first."""
        return self._base.execute(
            "SELECT id, body FROM journal WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        ).fetchall()

    def settle(self, number: int) -> None:
        """Take the entries up to a number out of the journal: the core has them."""
        self._begin()
        self._base.execute("DELETE FROM journal WHERE id <= ?", (number,))

    def hold(self, body: bytes) -> None:
        """Keep something until the scan under way has ended."""
        self._begin()
        self._base.execute("INSERT INTO held (body) VALUES (?)", (body,))

    def held(self) -> Iterator[bytes]:
        """Yield what was held."""
        for (body,) in self._base.execute("SELECT body FROM held ORDER BY id").fetchall():
            yield body

    def release(self) -> None:
        """Forget what was held."""
        self._begin()
        self._base.execute("DELETE FROM held")

    def opened(self, path: bytes) -> bytes | None:
        """Return what waits to be accepted at one path."""
        row = self._base.execute("SELECT body FROM opened WHERE path = ?", (path,)).fetchone()
        return bytes(row[0]) if row else None

    def all_opened(self, below: bytes = b"/", after: bytes = b"", limit: int = 1 << 31) -> list[tuple[bytes, bytes]]:
        """Return what waits to be accepted at or below a path, in the order of the paths, after one of them."""
        return self._base.execute(
            "SELECT path, body FROM opened WHERE (path = ? OR (path >= ? AND path < ?)) AND path > ? ORDER BY path LIMIT ?",
            (below, *_below(below), after, limit),
        ).fetchall()

    def count_opened(self) -> int:
        """Return how many changes wait to be accepted: kept along, because each look asks, and there may be a million."""
        return int(self._base.execute("SELECT number FROM counts WHERE name = 'opened'").fetchone()[0])

    def open(self, path: bytes, body: bytes | None) -> None:
        """Keep what waits to be accepted at a path; None for nothing."""
        self._put("opened", path, body)

    def accept(self, below: bytes = b"/") -> int:
        """Nothing waits any more at or below a path; returns how much did."""
        self._begin()
        done = self._base.execute(
            "DELETE FROM opened WHERE path = ? OR (path >= ? AND path < ?)", (below, *_below(below))
        )
        return done.rowcount

    def text(self, path: bytes) -> bytes | None:
        """Return the content that was kept of a file."""
        row = self._base.execute("SELECT content FROM texts WHERE path = ?", (path,)).fetchone()
        return bytes(row[0]) if row else None

    def keep_text(self, path: bytes, content: bytes | None) -> None:
        """Keep the content of a file; None for none."""
        self._put("texts", path, content)

    def commit(self) -> None:
        """Make everything since the last commit durable together."""
        if not self._writing:
            return
        if self._changed:
            self.keep("position", str(self.position() + 1).encode())
            self.keep("sum", self._sum.to_bytes(256, "big"))
        self._base.execute("COMMIT")
        self._writing = self._changed = False

    def position(self) -> int:
        """Return how often the book was written."""
        return int(self.fact("position") or b"0")

    def next_position(self) -> int:
        """Return what `position` is after the commit that comes next."""
        return self.position() + self._changed

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Whatever is read within is of one and the same moment; for who writes nothing meanwhile."""
        self._base.execute("BEGIN")
        try:
            yield
        finally:
            if self._base.in_transaction:  # a failure of the disk ends it by itself
                self._base.execute("ROLLBACK")

    def standing(self) -> tuple[bytes, int]:
        """Return root and position of one and the same moment."""
        found = dict(self._base.execute("SELECT name, value FROM facts WHERE name IN ('sum', 'position')").fetchall())
        total = int.from_bytes(found.get("sum", b""), "big")
        return sha256(total.to_bytes(256, "big")).digest(), int(found.get("position", b"0"))

    def _put(self, table: str, path: bytes, value: bytes | None) -> None:
        self._begin()
        if value is None:
            self._base.execute(f"DELETE FROM {table} WHERE path = ?", (path,))
        else:
            column = "body" if table == "opened" else "content"
            self._base.execute(
                f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET {column} = excluded.{column}",
                (path, value),
            )

    def _begin(self) -> None:
        if not self._writing:
            self._base.execute("BEGIN IMMEDIATE")
            self._writing = True
            self._sum = int.from_bytes(self.fact("sum") or b"", "big")

    def _add(self, path: bytes, former: bytes | None, nodes: bytes | None) -> None:
        """Carry the sum along."""
        self._changed = True
        self._led.pop(path, None)
        if former is not None:
            self._sum -= _share(path, former)
        if nodes is not None:
            self._sum += _share(path, nodes)
        self._sum %= _RING

    def _raw(self, path: bytes) -> bytes | None:
        row = self._base.execute("SELECT nodes FROM folders WHERE path = ?", (path,)).fetchone()
        return row[0] if row else None

    def _check(self) -> None:
        # Only when it is missing: to open a book must not wait for who writes it.
        if self._base.execute("SELECT number FROM counts").fetchone() is None:
            self._base.execute("INSERT OR IGNORE INTO counts SELECT 'opened', count(*) FROM opened")
        version = self.fact("version")
        if version is None:
            self._base.execute("INSERT OR IGNORE INTO facts VALUES ('version', ?)", (str(VERSION).encode(),))
        elif version != str(VERSION).encode():
            raise sqlite3.DatabaseError(
                f"its version is {version.decode(errors='replace')}, this Holdfast knows {VERSION}"
            )


def _below(path: bytes) -> tuple[bytes, bytes]:
    """Return the bounds of the paths that begin with `path/`."""
    base = path.rstrip(b"/")
    return base + b"/", base + b"0"  # "0" is the byte after "/"


def _share(path: bytes, nodes: bytes) -> int:
    """Return what one folder adds to the root's sum."""
    digest = sha256(len(path).to_bytes(4, "big") + path + nodes).digest()
    return int.from_bytes(shake_256(digest).digest(256), "big")


def unwritable(path: Path, error: sqlite3.OperationalError) -> HoldfastError:
    """Return why a book cannot be written now, with what would do."""
    if error.sqlite_errorcode not in NO_ROOM:
        return HoldfastError(f"{path}: {error}", permanent=False)
    detail = f"there is no room on the disk for {path}: {error}"
    return Unavailable(Why.OTHER, detail, advice=ROOM_ADVICE.format(path.parent))
