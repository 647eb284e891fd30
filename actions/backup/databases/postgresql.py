"""PostgreSQL: each database by pg_dump in custom format, roles and tablespaces by pg_dumpall, and what the role in use cannot read."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import msgspec

from actions.backup.databases.end_marker import EndMarker
from actions.backup.databases.file_name import file_name
from actions.backup.databases.options import PostgresqlOptions
from actions.backup.databases.password import read_password
from actions.backup.databases.pg_archive import PgArchive
from actions.backup.databases.pg_gaps import CLUSTER_GAPS, DATABASE_GAPS, ClusterGaps, DatabaseGaps
from actions.backup.databases.pipe import Tool, answer, piped
from actions.backup.databases.source import Dump, DumpFailed, Listing, Reading
from contracts.codec import UNDECODABLE
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Host

T = TypeVar("T")

GLOBALS = b"globals.sql"
_GLOBALS_BEGIN = r"--\n-- PostgreSQL database cluster dump\n--\n"
_GLOBALS_END = r"-- PostgreSQL database cluster dump complete\s*--(\s*\\unrestrict \S+)?"
_ASK_S = 300.0
_DATABASES = """
SELECT coalesce(json_agg(found), '[]') FROM (
SELECT datname AS name, datistemplate AS template, datallowconn AS open, has_database_privilege(oid, 'CONNECT') AS may
FROM pg_catalog.pg_database ORDER BY datname
) AS found
"""


class Database(msgspec.Struct, frozen=True):
    """A database as the cluster lists it: whether it is a template, takes connections, and whether the role may connect."""

    name: str
    template: bool
    open: bool
    may: bool


class Postgresql:
    """`Source` of one PostgreSQL cluster. A database that was not excluded and cannot be dumped is a failure."""

    product = "postgresql"

    def __init__(self, options: PostgresqlOptions) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """What its options call it."""
        return self.options.name

    def dumps(self, host: Host) -> Listing:
        """Ask the cluster for its databases."""
        listing = Listing()
        cluster = self._cluster_gaps(host)
        listing.blind += cluster.blind(self.name)
        for one in self._chosen(host, listing):
            try:
                gaps = self._ask(host, one.name, DATABASE_GAPS, DatabaseGaps)
            except (DumpFailed, Unavailable) as error:
                listing.failed.append(_failed(f"{self.name}/{one.name}", error))
                continue
            listing.blind += gaps.silent(f"{self.name}/{one.name}")
            listing.dumps.append(self._dump(host, one.name, gaps))
        listing.dumps.append(self._globals(host, with_passwords=cluster.passwords))
        return listing

    def unreadable(self, host: Host) -> list[Blind]:
        """What the present role cannot read in any database, so that a dump would fail or lack it; empty when all is well."""
        found = list(self._cluster_gaps(host).blind(self.name))
        listing = Listing()
        for one in self._chosen(host, listing):
            gaps = self._ask(host, one.name, DATABASE_GAPS, DatabaseGaps)
            found += [*gaps.loud(f"{self.name}/{one.name}"), *gaps.silent(f"{self.name}/{one.name}")]
        return found + [_as_blind(error) for error in listing.failed]

    def _cluster_gaps(self, host: Host) -> ClusterGaps:
        return self._ask(host, self.options.maintenance, CLUSTER_GAPS, ClusterGaps)

    def _chosen(self, host: Host, listing: Listing) -> list[Database]:
        """The databases to dump; those that there is no way into go to `listing.failed`."""
        there = self._ask(host, self.options.maintenance, _DATABASES, list[Database])
        wanted = set(self.options.databases) or {one.name for one in there if not one.template}
        wanted -= set(self.options.exclude)
        names = {one.name for one in there}
        for name in sorted(wanted - names):
            listing.failed.append(
                DumpFailed(f"{self.name}/{name}", "there is no such database", advice="mend `databases`")
            )
        chosen = []
        for one in there:
            if one.name in wanted and one.open and one.may:
                chosen.append(one)
            elif one.name in wanted:
                listing.failed.append(self._closed(one))
        return chosen

    def _closed(self, one: Database) -> DumpFailed:
        what = f"{self.name}/{one.name}"
        if not one.open:
            return DumpFailed(what, "it takes no connections", advice="add it to `exclude`, or allow connections")
        advice = f"GRANT CONNECT ON DATABASE {quote_identifier(one.name)} to the role, or add it to `exclude`"
        return DumpFailed(what, "the role may not connect to it", advice=advice)

    def _dump(self, host: Host, database: str, gaps: DatabaseGaps) -> Dump:
        what = f"{self.name}/{database}"
        # Uncompressed, so that what did not change is found again by the repository, which compresses it.
        words = ("-Fc", "-Z0", "-w", "-d", self._conninfo(database))
        open = piped(host, self._tool(host, "pg_dump", *words), PgArchive, what)
        return Dump(file_name(database, ".dump"), _explained(open, gaps, what))

    def _globals(self, host: Host, *, with_passwords: bool) -> Dump:
        words = ["--globals-only", "-w", "-l", self.options.maintenance, "-d", self._conninfo(self.options.maintenance)]
        if not with_passwords:
            words.append("--no-role-passwords")
        tool = self._tool(host, "pg_dumpall", *words)
        check = lambda: EndMarker(_GLOBALS_END, begins=_GLOBALS_BEGIN)  # noqa: E731
        return Dump(GLOBALS, piped(host, tool, check, f"{self.name}/roles and tablespaces"))

    def _ask(self, host: Host, database: str, sql: str, kind: type[T]) -> T:
        """The answer to a question, as the JSON of `kind`."""
        words = ("-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", self._conninfo(database), "-c", sql)
        tool = self._tool(host, "psql", *words)._replace(timeout_s=min(_ASK_S, self.options.timeout))
        said = answer(host, tool, f"{self.name}/{database}")
        try:
            return msgspec.json.decode(said, type=kind)
        except UNDECODABLE as error:
            raise DumpFailed(f"{self.name}/{database}", f"psql answered what is not expected ({error})") from error

    def _tool(self, host: Host, tool: str, *words: str) -> Tool:
        environment = {"PGCLIENTENCODING": "UTF8", "PGAPPNAME": "holdfast"}
        files = {}
        if self.options.password is not None:
            password = read_password(host, self.options.password)
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            files["pgpass"] = f"*:*:*:*:{escaped}\n".encode()
            environment["PGPASSFILE"] = "{file:pgpass}"
        return Tool((tool, *words), self.options.run_as, environment, files, self.options.timeout)

    def _conninfo(self, database: str) -> str:
        return conninfo(host=self.options.host, port=str(self.options.port), user=self.options.role, dbname=database)


def conninfo(**parts: str) -> str:
    """A connection string: a bare name of a database would be taken for one when it has an equals sign in it."""
    return " ".join(f"{key}={_quote(value)}" for key, value in parts.items() if value)


def role_statements(role: str) -> str:
    """The SQL that makes the role to dump with, for a superuser to read and run once in the maintenance database.

    Named like the Unix user it needs no password (`peer`). PostgreSQL 14 or newer.
    """
    name = quote_identifier(role)
    return f"""\
-- A role that reads everything, the hashes of the roles' passwords too, and changes nothing: for dumps.
CREATE ROLE {name} LOGIN;
GRANT pg_read_all_data TO {name};
ALTER ROLE {name} SET default_transaction_read_only = on;
-- Rows that row security would hide.
ALTER ROLE {name} BYPASSRLS;
-- Large objects, which pg_read_all_data leaves out. The check for writing goes as well; else grant SELECT on each of them.
ALTER ROLE {name} SET lo_compat_privileges = on;
"""


def quote_identifier(name: str) -> str:
    """An SQL identifier for any name."""
    return '"' + name.replace('"', '""') + '"'


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _explained(
    open: Callable[[], AbstractContextManager[Reading]], gaps: DatabaseGaps, what: str
) -> Callable[[], AbstractContextManager[Reading]]:
    """The same dump; when it fails, the advice says what the role cannot read."""

    @contextmanager
    def explained() -> Iterator[Reading]:
        try:
            with open() as reading:
                yield reading
        except DumpFailed as error:
            found = gaps.loud(what)
            if not found:
                raise
            advice = " ".join(f"The role cannot see {one.what}: {one.fix}" for one in found)
            raise DumpFailed(error.what, error.why, said=error.said, advice=advice) from error

    return explained


def _failed(what: str, error: DumpFailed | Unavailable) -> DumpFailed:
    return error if isinstance(error, DumpFailed) else DumpFailed(what, error.message, advice=error.advice)


def _as_blind(error: DumpFailed) -> Blind:
    return Blind(what=error.what, why=Why.PERMISSION, detail=error.why, fix=error.advice)
