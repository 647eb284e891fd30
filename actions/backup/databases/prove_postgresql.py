"""Proving PostgreSQL dumps: restored into a throw-away cluster on a socket in a private directory, and questioned."""

import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from actions.backup.databases.options import ProveOptions
from actions.backup.databases.pg_archive import PgArchive
from actions.backup.databases.pipe import Tool, answer, last_lines
from actions.backup.databases.postgresql import conninfo
from actions.backup.databases.source import DumpFailed
from actions.backup.databases.throwaway import (
    ProofFailed,
    check_root,
    give,
    scratch_folder,
    server,
    untroubled,
    without_privileges,
)
from contracts.host import Host

_PROGRAMS = Path("/usr/lib/postgresql")
_SUPERUSER = "postgres"
_THERE_FROM_THE_START = {"postgres", "template1"}
_TABLESPACE = re.compile(
    rb"(CREATE|ALTER|DROP) TABLESPACE |(GRANT|REVOKE) .* ON TABLESPACE |(COMMENT|SECURITY LABEL) .*ON TABLESPACE "
)
_TABLES = """
SELECT coalesce(json_agg(format('SELECT %L AS name, count(*) AS rows FROM %I.%I', nspname || '.' || relname, nspname, relname)), '[]')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
"""
_MANY = 200


class _Count(msgspec.Struct):
    name: str
    rows: int


@dataclass
class ThrowawayPostgresql:
    """A cluster that is running; made by `throwaway_postgresql`."""

    host: Host
    options: ProveOptions
    folder: Path
    programs: Path
    restored: list[str] = field(default_factory=list)

    def restore_globals(self, pieces: Iterable[bytes]) -> None:
        """Make the roles; tablespaces are left out, since their directories are another server's. ProofFailed."""
        script = b"".join(pieces)
        lines = [line for line in script.split(b"\n") if not _TABLESPACE.match(line)]
        tool = self._tool("psql", "-X", "-q", "-w", "-d", self._conninfo("postgres"), "-f", "-")
        errors = [line for line in self._feed(tool, [b"\n".join(lines)]).splitlines() if b"ERROR:" in line]
        wrong = [line for line in errors if not line.rstrip().endswith(b"already exists")]
        if wrong:
            raise ProofFailed("roles", "they cannot be made again", said=last_lines(b"\n".join(wrong)))

    def restore(self, pieces: Iterable[bytes]) -> str:
        """Restore one database, under its name, which is returned; ProofFailed."""
        rest = iter(pieces)
        first = next(rest, b"")
        archive = PgArchive()
        archive.feed(memoryview(first))
        if archive.database is None:
            raise ProofFailed("a PostgreSQL dump", "it is not in custom format")
        database = archive.database
        words = ["--no-tablespaces", "--exit-on-error", "-w"]
        if database in _THERE_FROM_THE_START:
            words += ["-d", self._conninfo(database)]
        else:
            words += ["-C", "-d", self._conninfo("postgres")]

        def all_pieces() -> Iterator[bytes]:
            yield first
            yield from rest

        self._feed(self._tool("pg_restore", *words), all_pieces())
        self.restored.append(database)
        return database

    def counts(self, database: str) -> dict[str, int]:
        """The rows of every table."""
        statements = msgspec.json.decode(self.ask(database, _TABLES), type=list[str])
        found: dict[str, int] = {}
        for at in range(0, len(statements), _MANY):
            union = " UNION ALL ".join(statements[at : at + _MANY])
            said = self.ask(database, f"SELECT json_agg(found) FROM ({union}) AS found")
            found |= {one.name: one.rows for one in msgspec.json.decode(said, type=list[_Count])}
        return found

    def ask(self, database: str, sql: str) -> str:
        """The answer to a statement: columns by tab, rows by line. ProofFailed."""
        words = (
            "-X",
            "-A",
            "-t",
            "-q",
            "-w",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self._conninfo(database),
            "-c",
            sql,
        )
        try:
            return answer(self.host, self._tool("psql", *words), database).decode("utf-8", "replace").rstrip("\n")
        except DumpFailed as error:
            raise ProofFailed(database, f"it does not answer {sql[:80]!r}", said=error.said) from error

    def _feed(self, tool: Tool, pieces: Iterable[bytes]) -> bytes:
        with tool.run(self.host, pieces) as running:
            done = running.end()
        if done.code:
            raise ProofFailed("the throw-away cluster", f"{tool.argv[0]} fails", said=last_lines(done.stderr))
        return done.stderr

    def _conninfo(self, database: str) -> str:
        return conninfo(host=str(self.folder), user=_SUPERUSER, dbname=database)

    def _tool(self, name: str, *words: str) -> Tool:
        environment = {"PGCLIENTENCODING": "UTF8"}
        return Tool((str(self.programs / name), *words), self.options.run_as, environment, {}, self.options.timeout)


@contextmanager
def throwaway_postgresql(host: Host, options: ProveOptions) -> Iterator[ThrowawayPostgresql]:
    """A new cluster without network, whose superuser is whoever may enter its directory; ended and wiped afterwards."""
    check_root(options.run_as)
    programs = _programs(options)
    with scratch_folder(options.scratch, options.run_as) as folder:
        data = str(folder / "data")
        one = ThrowawayPostgresql(host, options, folder, programs)
        words = ("-D", data, "-U", _SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        argv = without_privileges(host, str(programs / "initdb"), *words)
        with host.stream(*argv, user=options.run_as, timeout_s=options.timeout) as running:
            done = running.end()
        if done.code:
            raise ProofFailed("the throw-away cluster", "it cannot be made", said=last_lines(done.stderr))
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "unix_socket_permissions": "0700",
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "max_connections": "10",
            "shared_buffers": "32MB",
            **options.postgresql_settings,
        }
        with (folder / "settings").open("w") as file:
            file.writelines(f"{key} = '{_escape(value)}'\n" for key, value in settings.items())
        give(folder / "settings", options.run_as)
        server_words = (
            str(programs / "postgres"),
            "-D",
            data,
            "-c",
            f"config_file={folder}/settings",
            "-c",
            f"hba_file={data}/pg_hba.conf",
        )
        with server(
            host,
            server_words,
            folder,
            run_as=options.run_as,
            ready=lambda: untroubled(lambda: one.ask("postgres", "SELECT 1")),
            stop=signal.SIGINT,  # without waiting for anybody
            timeout_s=options.timeout,
        ):
            yield one


def _programs(options: ProveOptions) -> Path:
    if options.postgresql_bin:
        return Path(options.postgresql_bin)
    found = sorted(_PROGRAMS.glob("*/bin/initdb"), key=lambda path: _number(path.parent.parent.name))
    if not found:
        raise ProofFailed(
            "PostgreSQL",
            f"there is no initdb below {_PROGRAMS}",
            advice="install the package postgresql, or set `postgresql_bin`",
        )
    return found[-1].parent


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
