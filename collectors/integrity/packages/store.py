"""What is remembered of packages in one SQLite file: what signed archives ship, the lists as last settled, and the keys that are trusted.

dpkg's present state belongs to whoever is root now; this file holds what was true before, and what archives proved while they were there.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from analysis.integrity.folding import Part
from collectors.integrity.packages.deb import Deb
from contracts.errors import Malformed
from contracts.provenance import Shipment, Shipped

VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS archives (
  id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, package TEXT NOT NULL, version TEXT NOT NULL, architecture TEXT NOT NULL,
  signed_by TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL DEFAULT '', scripts TEXT NOT NULL, seen_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS archives_by_name ON archives (package);
CREATE TABLE IF NOT EXISTS shipped (path BLOB, archive INTEGER, rest BLOB NOT NULL, PRIMARY KEY (path, archive)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (content BLOB, archive INTEGER, path BLOB, PRIMARY KEY (content, archive, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (path BLOB, package TEXT, PRIMARY KEY (path, package)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS settled_by_package ON settled (package);
CREATE TABLE IF NOT EXISTS versions (package TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (fingerprint TEXT PRIMARY KEY, how TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (stamp TEXT PRIMARY KEY, signed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS put_off (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS flaws (what TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
TOGETHER = 250
"""So many names are put in by one statement: each statement lets go of the interpreter once, and a system's packages have 100,000."""
_SHIPPED = msgspec.msgpack.Decoder(Shipped)
_encode = msgspec.msgpack.Encoder().encode
_PARTS = msgspec.json.Decoder(dict[str, Part])


class PackageStore:
    """The file. For one thread. Raises `Malformed` for one that is damaged or of another version."""

    def __init__(self, path: Path) -> None:
        try:
            self._base = sqlite3.connect(path, isolation_level=None, cached_statements=32, timeout=30.0)
            self._base.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-1024;" + _SCHEMA
            )
            held = self.fact("version")
            if held not in ("", VERSION):
                raise sqlite3.DatabaseError(f"its version is {held}, this Holdfast knows {VERSION}")
            self.keep("version", VERSION)
        except sqlite3.DatabaseError as error:
            advice = "Move it away: packages are learnt anew, and nothing is proved until then."
            raise Malformed(f"{path}: {error}", advice=advice) from error

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def add(self, deb: Deb, files: Iterable[Shipped], signed_by: str, origin: str, now_ms: int) -> None:
        """Keep what an archive ships; one that is known already is only told who signed it."""
        with self._writing():
            self._base.execute(
                "INSERT INTO archives (sha256, package, version, architecture, signed_by, origin, scripts, seen_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256)"
                " DO UPDATE SET signed_by = excluded.signed_by, origin = excluded.origin",
                (deb.sha256, deb.package, deb.version, deb.architecture, signed_by, origin, deb.scripts, now_ms),
            )
            number = self._base.execute("SELECT id FROM archives WHERE sha256 = ?", (deb.sha256,)).fetchone()[0]
            listed = list(files)
            self._base.executemany(
                "INSERT OR REPLACE INTO shipped VALUES (?, ?, ?)", ((one.path, number, _encode(one)) for one in listed)
            )
            self._base.executemany(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)",
                ((one.content, number, one.path) for one in listed if one.content and one.size),
            )

    def shipped(self, path: bytes) -> Iterator[Shipment]:
        """Yield what known archives ship under a name; `installed` is left to whoever knows."""
        rows = self._base.execute(
            "SELECT rest, package, version, architecture, signed_by FROM shipped JOIN archives ON id = archive WHERE path = ?"
            " ORDER BY id DESC",
            (path,),
        )
        for rest, package, version, architecture, signed_by in rows.fetchall():
            yield Shipment(_SHIPPED.decode(rest), package, version, architecture, signed_by)

    def scripts(self, package: str, version: str) -> str:
        """Return the maintainer scripts of a signed archive, "" when none is known; any version for an empty one."""
        row = self._base.execute(
            "SELECT scripts FROM archives WHERE package = ? AND (version = ? OR ? = '') AND signed_by != '' ORDER BY id DESC",
            (package, version, version),
        ).fetchone()
        return str(row[0]) if row else ""

    def copies(self, content: bytes, packages: frozenset[str]) -> str:
        """Return one path under which signed archives of the packages ship a content, "" for none."""
        rows = self._base.execute(
            "SELECT path, package FROM contents JOIN archives ON id = archive WHERE content = ? AND signed_by != ''",
            (content,),
        )
        return next((path.decode("utf-8", "backslashreplace") for path, package in rows if package in packages), "")

    def archives(self) -> list[tuple[str, str, str, str]]:
        """Return package, version, architecture and signer of every archive that is known."""
        return self._base.execute(
            "SELECT package, version, architecture, signed_by FROM archives ORDER BY id"
        ).fetchall()

    def is_signed(self, package: str, version: str, architecture: str) -> bool:
        """Say whether a key that counts signed this very archive."""
        row = self._base.execute(
            "SELECT 1 FROM archives WHERE package = ? AND version = ? AND architecture = ? AND signed_by != ''",
            (package, version, architecture),
        ).fetchone()
        return row is not None

    def drop(self, keep: Collection[tuple[str, str]], before_ms: int) -> int:
        """Forget archives that are not of the packages and versions to keep and were seen before a time; returns how many."""
        rows = self._base.execute(
            "SELECT id, package, version FROM archives WHERE seen_ms < ?", (before_ms,)
        ).fetchall()
        gone = [number for number, package, version in rows if (package, version) not in keep]
        with self._writing():
            for number in gone:
                for table in ("shipped", "contents"):
                    self._base.execute(f"DELETE FROM {table} WHERE archive = ?", (number,))  # two fixed names
                self._base.execute("DELETE FROM archives WHERE id = ?", (number,))
        return len(gone)

    def former(self, path: bytes) -> list[str]:
        """Return the packages that listed a name when last settled."""
        return [row[0] for row in self._base.execute("SELECT package FROM settled WHERE path = ?", (path,))]

    def versions(self) -> dict[str, str]:
        """Return the versions by package (`name:architecture`) as last settled."""
        return dict(self._base.execute("SELECT package, version FROM versions").fetchall())

    def settle(self, versions: Mapping[str, str], lists: Iterable[tuple[str, Sequence[bytes]]]) -> None:
        """Keep the versions, and the names that each of the packages in `lists` has now (none for one that went)."""
        with self._writing():
            for package, paths in lists:
                self._base.execute("DELETE FROM settled WHERE package = ?", (package,))
                for at in range(0, len(paths), TOGETHER):
                    part = paths[at : at + TOGETHER]
                    values = ", ".join(f"(?{number}, ?1)" for number in range(2, len(part) + 2))
                    self._base.execute(f"INSERT OR IGNORE INTO settled VALUES {values}", (package, *part))
            self._base.execute("DELETE FROM versions")
            self._base.executemany("INSERT INTO versions VALUES (?, ?)", versions.items())

    def keys(self) -> dict[str, str]:
        """Return the fingerprints that are trusted, and how they came to be."""
        return dict(self._base.execute("SELECT fingerprint, how FROM keys").fetchall())

    def trust(self, fingerprints: Iterable[str], how: str) -> None:
        """Trust keys from now on."""
        with self._writing():
            self._base.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", ((each, how) for each in fingerprints))

    def seen(self) -> dict[str, bool]:
        """Return the archives that were read, by device, inode, time and size, and whether they were signed."""
        return {stamp: bool(signed) for stamp, signed in self._base.execute("SELECT stamp, signed FROM seen")}

    def note(self, stamps: Mapping[str, bool], gone: Iterable[str] = ()) -> None:
        """Keep which archives were read, and forget those that are there no more."""
        with self._writing():
            self._base.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", stamps.items())
            self._base.executemany("DELETE FROM seen WHERE stamp = ?", ((stamp,) for stamp in gone))

    def flaws(self, group: str = "") -> dict[str, str]:
        """Return what could not be verified when it was last looked at, and why; `group` is how its names begin."""
        rows = self._base.execute("SELECT what, why FROM flaws WHERE substr(what, 1, ?) = ?", (len(group), group))
        return dict(rows.fetchall())

    def keep_flaws(self, found: Mapping[str, str], mended: Iterable[str]) -> None:
        """Keep what could not be verified, and forget what was since, or is there no more."""
        with self._writing():
            self._base.executemany("DELETE FROM flaws WHERE what = ?", ((what,) for what in mended))
            self._base.executemany("INSERT OR REPLACE INTO flaws VALUES (?, ?)", found.items())

    def parts(self) -> dict[str, Part]:
        """Return what was judged so far of runs that are not over, by their id."""
        return _PARTS.decode(self.fact("parts") or "{}")

    def keep_parts(self, parts: Mapping[str, Part]) -> None:
        """Keep what was judged so far of runs that are not over."""
        text = msgspec.json.encode(parts).decode()
        if text != (self.fact("parts") or "{}"):
            self.keep("parts", text)

    def put_off(self, bodies: Sequence[bytes]) -> None:
        """Keep changes that are to be judged again."""
        if bodies:
            with self._writing():
                self._base.executemany("INSERT INTO put_off (body) VALUES (?)", ((body,) for body in bodies))

    def all_put_off(self) -> list[bytes]:
        """Return the changes that are to be judged again, oldest first."""
        return [row[0] for row in self._base.execute("SELECT body FROM put_off ORDER BY id")]

    def count_put_off(self) -> int:
        """Return how many they are."""
        return int(self._base.execute("SELECT count(*) FROM put_off").fetchone()[0])

    def forget_put_off(self) -> None:
        """They were judged."""
        self._base.execute("DELETE FROM put_off")

    def fact(self, name: str) -> str:
        """Return a small value, "" for none."""
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def keep(self, name: str, value: str) -> None:
        """Keep a small value."""
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _writing(self) -> "_Writing":
        return _Writing(self._base)


class _Writing:
    """One transaction of the file."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._base.execute("ROLLBACK" if kind else "COMMIT")
