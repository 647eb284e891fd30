"""MariaDB and MySQL: each database by mariadb-dump or mysqldump in one transaction, and users with their grants."""

from collections.abc import Iterator

import msgspec

from actions.backup.databases.end_marker import EndMarker
from actions.backup.databases.file_name import file_name
from actions.backup.databases.mysql_gaps import Grants, Table, database_gaps, server_gaps
from actions.backup.databases.mysql_users import USERS_QUERY, User, users_script
from actions.backup.databases.options import MysqlOptions
from actions.backup.databases.password import read_password
from actions.backup.databases.pipe import Tool, answer, piped
from actions.backup.databases.source import Dump, DumpFailed, Listing
from actions.backup.databases.text_dump import text_dump
from contracts.codec import UNDECODABLE
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Host

USERS = b"users.sql"
_OWN = frozenset({"information_schema", "performance_schema", "sys", "mysql"})
_BEGIN = r"(/\*M?!\d+\\- enable the sandbox mode \*/ ?\n)?-- (MariaDB|MySQL) dump "
_END = r"-- Dump completed( on [\d: -]+)?"
_LEFT_OUT = (b"-- insufficient privileges to", b"-- does ")
_ASK_S = 300.0
_DUMP = (
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--no-tablespaces",
    "--default-character-set=utf8mb4",
    "--max-allowed-packet=1G",
)


class Mysql:
    """`Source` of one server. Every database that the server names and that was not excluded is dumped."""

    product = "mysql"

    def __init__(self, options: MysqlOptions) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """What its options call it."""
        return self.options.name

    def dumps(self, host: Host) -> Listing:
        """Ask the server for its databases."""
        listing = Listing()
        grants = self._grants(host)
        listing.blind += server_gaps(grants, self.name)
        maria = self._is_mariadb(host)
        for database in self._chosen(host, listing):
            what = f"{self.name}/{database}"
            try:
                listing.blind += database_gaps(grants, what, database, self._tables(host, database))
            except (DumpFailed, Unavailable) as error:
                listing.failed.append(DumpFailed(what, error.message, advice=error.advice))
                continue
            listing.dumps.append(self._dump(host, database, maria=maria))
        listing.dumps.append(self._users(host, maria=maria))
        return listing

    def unreadable(self, host: Host) -> list[Blind]:
        """What the present user cannot read in any database, so that a dump would fail or lack it; empty when all is well."""
        listing = Listing()
        grants = self._grants(host)
        found = [*server_gaps(grants, self.name)]
        for database in self._chosen(host, listing):
            what = f"{self.name}/{database}"
            found += database_gaps(grants, what, database, self._tables(host, database))
        return found + [
            Blind(what=one.what, why=Why.PERMISSION, detail=one.why, fix=one.advice) for one in listing.failed
        ]

    def _chosen(self, host: Host, listing: Listing) -> list[str]:
        there = list(
            self._rows(host, "SELECT JSON_OBJECT('name', schema_name) FROM information_schema.schemata ORDER BY 1")
        )
        names = [msgspec.convert(row["name"], str) for row in there]
        wanted = set(self.options.databases) or set(names) - _OWN
        wanted -= set(self.options.exclude)
        for name in sorted(wanted - set(names)):
            advice = f"mend `databases`, or: {_grant_all(self.options.user)}"
            listing.failed.append(
                DumpFailed(f"{self.name}/{name}", "there is no such database, or it is hidden", advice=advice)
            )
        return [name for name in names if name in wanted]

    def _tables(self, host: Host, database: str) -> list[Table]:
        """Tables whose engine has no transactions or that keep a history."""
        query = f"""
        SELECT JSON_OBJECT('name', t.table_name, 'engine', t.engine, 'kind', t.table_type)
        FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
        WHERE t.table_schema = CONVERT({hexadecimal(database)} USING utf8mb4) AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
          AND (t.table_type = 'SYSTEM VERSIONED' OR COALESCE(e.transactions, 'NO') <> 'YES')
        """
        return [msgspec.convert(row, Table) for row in self._rows(host, query)]

    def _grants(self, host: Host) -> Grants:
        said = answer(host, self._client(host, "SHOW GRANTS"), self.name).decode("utf-8", "replace")
        return Grants.parse(said.splitlines())

    def _is_mariadb(self, host: Host) -> bool:
        return any("mariadb" in str(row["v"]).lower() for row in self._rows(host, "SELECT JSON_OBJECT('v', VERSION())"))

    def _rows(self, host: Host, query: str) -> Iterator[dict[str, object]]:
        """The rows of a query whose one column is a JSON object."""
        for line in answer(host, self._client(host, query), self.name).splitlines():
            try:
                yield msgspec.json.decode(line, type=dict[str, object])
            except UNDECODABLE as error:
                raise DumpFailed(self.name, f"the server answered what is not expected ({error})") from error

    def _client(self, host: Host, query: str) -> Tool:
        words = ("--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4", "-e", query)
        tool = self._tool(host, either(host, "mariadb", "mysql"), *words)
        return tool._replace(timeout_s=min(_ASK_S, self.options.timeout))

    def _dump(self, host: Host, database: str, *, maria: bool) -> Dump:
        what = f"{self.name}/{database}"
        more = () if maria else ("--set-gtid-purged=OFF",)
        tool = self._tool(host, either(host, "mariadb-dump", "mysqldump"), *_DUMP, *more, "--databases", "--", database)
        check = lambda: EndMarker(_END, begins=_BEGIN, confessions=_LEFT_OUT)  # noqa: E731
        return Dump(file_name(database, ".sql"), piped(host, tool, check, what))

    def _users(self, host: Host, *, maria: bool) -> Dump:
        what = f"{self.name}/users and grants"
        if maria:
            tool = self._tool(host, either(host, "mariadb-dump", "mysqldump"), "--system=users", "--insert-ignore")
            return Dump(USERS, piped(host, tool, lambda: EndMarker(_END, begins=_BEGIN), what))

        def script() -> bytes:
            users = [msgspec.convert(row, User) for row in self._rows(host, USERS_QUERY)]
            return users_script(users, lambda query: answer(host, self._client(host, query), what).decode())

        return Dump(USERS, text_dump(script))

    def _tool(self, host: Host, tool: str, *words: str) -> Tool:
        """The tool with nothing but our own settings, which lie in memory: the password among them."""
        options = self.options
        settings = {"user": options.user}
        settings |= {"socket": options.socket} if options.socket else {"host": options.host, "port": str(options.port)}
        if options.password is not None:
            settings["password"] = read_password(host, options.password)
        lines = "".join(f"{key}={_quote(value)}\n" for key, value in settings.items() if value)
        argv = (tool, "--defaults-file={file:settings}", *words)
        return Tool(argv, options.run_as, {}, {"settings": f"[client]\n{lines}".encode()}, options.timeout)


def user_statements(user: str, *, maria: bool = True) -> str:
    """The SQL that makes the user to dump with, for an administrator to read and run once.

    Named like the Unix user it needs no password.
    """
    account = f"{_text(user)}@'localhost'"
    how = "IDENTIFIED VIA unix_socket" if maria else "IDENTIFIED WITH auth_socket"
    return f"""\
-- A user that reads everything and changes nothing, for dumps.
CREATE USER {account} {how};
{_grant_all(user)}
"""


def _grant_all(user: str) -> str:
    name = _text(user or "holdfast-backup")
    return f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES, PROCESS ON *.* TO {name}@'localhost';"


def either(host: Host, newer: str, older: str) -> str:
    """The tool by its new name where it is installed, else by the old one."""
    return newer if host.commands.present(newer) else older


def hexadecimal(text: str) -> str:
    """A text as a literal in which nothing needs quoting."""
    return "0x" + text.encode().hex()


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _quote(value: str) -> str:
    """A value for an option file, where a backslash escapes and quotes keep white space and #."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
