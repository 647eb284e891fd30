"""Proving SQLite files: restored into a private directory, checked whole, and questioned."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.sqlite_check import open_private
from actions.backup.databases.throwaway import ProofFailed, scratch_folder, write_file

_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND rootpage > 0"
)


class RestoredSqlite:
    """A file that was restored; made by `restored_sqlite`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def counts(self) -> dict[str, int]:
        """The rows of every table, but for virtual ones."""
        found = {}
        for (name,) in self._rows(_TABLES):
            quoted = '"' + str(name).replace('"', '""') + '"'
            ((rows,),) = self._rows(f"SELECT count(*) FROM {quoted}")
            found[str(name)] = int(str(rows))
        return found

    def ask(self, sql: str) -> str:
        """The answer to a statement: columns by tab, rows by line. ProofFailed."""
        return "\n".join("\t".join("" if value is None else str(value) for value in row) for row in self._rows(sql))

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise ProofFailed("the restored file", f"it does not answer {sql[:80]!r}: {error}") from error


@contextmanager
def restored_sqlite(options: ProveOptions, pieces: Iterable[bytes]) -> Iterator[RestoredSqlite]:
    """The file, restored and found sound; wiped afterwards. ProofFailed."""
    with scratch_folder(options.scratch, "") as folder:
        file = folder / "restored"
        write_file(file, pieces)
        try:
            connection = open_private(file, time.monotonic() + options.timeout)
        except sqlite3.Error as error:
            raise ProofFailed("the restored file", f"SQLite cannot read it: {error}") from error
        with closing(connection):
            one = RestoredSqlite(connection)
            said = one.ask("PRAGMA quick_check(5)")
            if said != "ok":
                raise ProofFailed("the restored file", f"it is not sound: {said}")
            yield one
