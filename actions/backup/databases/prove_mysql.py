"""Proving MariaDB dumps: restored into a throw-away server on a socket in a private directory, and questioned."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from actions.backup.databases.mysql import either, hexadecimal
from actions.backup.databases.options import ProveOptions
from actions.backup.databases.pipe import Tool, answer, last_lines
from actions.backup.databases.source import DumpFailed
from actions.backup.databases.throwaway import (
    ProofFailed,
    check_root,
    scratch_folder,
    server,
    untroubled,
    without_privileges,
)
from contracts.host import Host

_ADMINISTRATOR = "root"
_OWN = frozenset({"information_schema", "performance_schema", "sys", "mysql"})


@dataclass
class ThrowawayMysql:
    """A server that is running; made by `throwaway_mysql`."""

    host: Host
    options: ProveOptions
    folder: Path

    def restore(self, pieces: Iterable[bytes]) -> list[str]:
        """Restore the dump of a database; returns the databases that were made by it. ProofFailed."""
        before = set(self.databases())
        self._feed(pieces)
        return sorted(set(self.databases()) - before)

    def restore_users(self, pieces: Iterable[bytes]) -> int:
        """Make the users again and count them; the last deed, since it may take our own access away. ProofFailed."""

        def all_pieces() -> Iterator[bytes]:
            yield from pieces
            yield b"\nSELECT count(*) FROM mysql.user;\n"

        said = self._feed(all_pieces()).split()
        if not said or not said[-1].isdigit():
            raise ProofFailed("users", "the server does not say how many there are")
        return int(said[-1])

    def databases(self) -> list[str]:
        """The databases that are not the server's own."""
        rows = self.ask("", "SELECT HEX(CONVERT(schema_name USING utf8mb4)) FROM information_schema.schemata").split()
        return sorted({bytes.fromhex(row).decode() for row in rows} - _OWN)

    def counts(self, database: str) -> dict[str, int]:
        """The rows of every table."""
        query = f"""
        SELECT JSON_OBJECT('name', table_name) FROM information_schema.tables
        WHERE table_schema = CONVERT({hexadecimal(database)} USING utf8mb4) AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
        """
        found = {}
        for line in self.ask("", query).splitlines():
            name = msgspec.json.decode(line, type=dict[str, str])["name"]
            place = ".".join("`" + part.replace("`", "``") + "`" for part in (database, name))
            found[name] = int(self.ask("", f"SELECT count(*) FROM {place}"))
        return found

    def ask(self, database: str, sql: str) -> str:
        """The answer to a statement: columns by tab, rows by line. ProofFailed."""
        tool = self._tool("--batch", "--raw", "--skip-column-names", "-e", sql, *(["--", database] if database else []))
        try:
            return answer(self.host, tool, database).decode("utf-8", "replace").rstrip("\n")
        except DumpFailed as error:
            raise ProofFailed(
                database or "the throw-away server", f"it does not answer {sql[:80]!r}", said=error.said
            ) from error

    def _feed(self, pieces: Iterable[bytes]) -> bytes:
        found = bytearray()
        buffer = memoryview(bytearray(1 << 16))
        with self._tool("--batch", "--skip-column-names").run(self.host, pieces) as running:
            while count := running.readinto(buffer):
                found = found[-(1 << 16) :] + buffer[:count]
            done = running.end()
        if done.code:
            raise ProofFailed("the throw-away server", "it does not take the dump", said=last_lines(done.stderr))
        return bytes(found)

    def _tool(self, *words: str) -> Tool:
        more = (
            "--no-defaults",
            f"--socket={self.folder}/socket",
            f"--user={_ADMINISTRATOR}",
            "--default-character-set=utf8mb4",
        )
        argv = (either(self.host, "mariadb", "mysql"), *more, "--max-allowed-packet=1G", *words)
        return Tool(argv, self.options.run_as, {}, {}, self.options.timeout)


@contextmanager
def throwaway_mysql(host: Host, options: ProveOptions) -> Iterator[ThrowawayMysql]:
    """A new server without network, whose administrator is whoever may enter its directory; ended and wiped afterwards."""
    check_root(options.run_as)
    with scratch_folder(options.scratch, options.run_as) as folder:
        one = ThrowawayMysql(host, options, folder)
        _install(host, options, folder)
        words = (
            either(host, "mariadbd", "mysqld"),
            "--no-defaults",
            f"--datadir={folder}/data",
            f"--tmpdir={folder}",
            f"--socket={folder}/socket",
            f"--pid-file={folder}/pid",
            "--skip-networking",
            "--event-scheduler=OFF",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=64M",
            "--max-allowed-packet=1G",
            "--secure-file-priv=" + str(folder / "data"),
        )
        with server(
            host,
            words,
            folder,
            run_as=options.run_as,
            ready=lambda: untroubled(lambda: one.ask("", "SELECT 1")),
            timeout_s=options.timeout,
        ):
            yield one


def _install(host: Host, options: ProveOptions, folder: Path) -> None:
    if host.commands.present("mariadb-install-db"):
        words: tuple[str, ...] = (
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={folder}/data",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        )
    else:
        words = ("mysqld", "--no-defaults", "--initialize-insecure", f"--datadir={folder}/data")
    with host.stream(*without_privileges(host, *words), user=options.run_as, timeout_s=options.timeout) as running:
        done = running.end()
    if done.code:
        raise ProofFailed("the throw-away server", "it cannot be made", said=last_lines(done.stderr))
