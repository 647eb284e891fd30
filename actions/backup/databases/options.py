"""Settings of what is dumped: a list per product, each entry one instance with a name of its own."""

from typing import Annotated

from msgspec import Meta

from contracts.options import Duration, Secret, Size
from contracts.record import Record

Name = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.)[A-Za-z0-9_.-]{1,64}$",
        description="Its folder below /databases in the snapshot, and its name in events; give each entry another one.",
    ),
]
RunAs = Annotated[
    str,
    Meta(
        description="The Unix user to run the tool as (peer authentication); only root can. Empty: the user that runs the backup.",
        examples=["postgres"],
    ),
]
Timeout = Annotated[Duration, Meta(description="How long one dump may take before it is ended and counts as failed.")]
Password = Annotated[
    Secret | None,
    Meta(
        description="Where its password lies; without one, the Unix user vouches (peer, unix_socket).",
        examples=["credential:shop"],
    ),
]

DAY_S = 86_400.0
HOUR_S = 3_600.0


class PostgresqlOptions(Record):
    """One PostgreSQL cluster: each database in custom format, and roles and tablespaces."""

    name: Name = "postgresql"
    host: Annotated[str, Meta(description="The directory of its socket, or a host name.")] = "/run/postgresql"
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port; a part of the socket's name, too.")] = 5432
    role: Annotated[str, Meta(description="The role to connect as; empty: named like the Unix user.")] = ""
    password: Password = None
    databases: Annotated[
        tuple[str, ...],
        Meta(
            description="Which databases; empty: every one that is not a template, so that a new one is not forgotten."
        ),
    ] = ()
    exclude: Annotated[tuple[str, ...], Meta(description="Databases to leave out.")] = ()
    maintenance: Annotated[str, Meta(description="The database in which to ask for the others.")] = "postgres"
    run_as: RunAs = ""
    timeout: Timeout = DAY_S


class MysqlOptions(Record):
    """One MariaDB or MySQL server: each database in one transaction, and users with their grants."""

    name: Name = "mysql"
    socket: Annotated[str, Meta(description="Its socket; empty to use `host` and `port`.")] = "/run/mysqld/mysqld.sock"
    host: Annotated[str, Meta(description="Its host name, when there is no socket.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port, when there is no socket.")] = 3306
    user: Annotated[str, Meta(description="The user to connect as; empty: named like the Unix user.")] = ""
    password: Password = None
    databases: Annotated[
        tuple[str, ...],
        Meta(description="Which databases; empty: every one that is not the server's own."),
    ] = ()
    exclude: Annotated[tuple[str, ...], Meta(description="Databases to leave out.")] = ()
    run_as: RunAs = ""
    timeout: Timeout = DAY_S


class SqliteOptions(Record):
    """SQLite files, copied as of one moment while others write."""

    paths: Annotated[
        tuple[str, ...],
        Meta(
            description="Files, or directories in which every SQLite file is found by its header.",
            examples=[["/var/lib/app"]],
        ),
    ]
    name: Name = "sqlite"
    exclude: Annotated[
        tuple[str, ...], Meta(description="Files and directories to leave out, as absolute paths or patterns.")
    ] = ()
    scratch: Annotated[
        str,
        Meta(description="A directory for the private copy that is checked; empty: the state directory of the worker."),
    ] = ""
    timeout: Timeout = HOUR_S


class RedisOptions(Record):
    """One Redis (or Valkey) server: its dataset as an RDB file, taken by the replication protocol."""

    name: Name = "redis"
    socket: Annotated[str, Meta(description="Its socket; empty to use `host` and `port`.")] = ""
    host: Annotated[str, Meta(description="Its host name, when there is no socket.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port, when there is no socket.")] = 6379
    user: Annotated[str, Meta(description="The user to connect as; empty: the default user.")] = ""
    password: Password = None
    timeout: Timeout = DAY_S


class CommandOptions(Record):
    """Any command that writes what is to be kept to its standard output."""

    name: Name
    argv: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="The program and its arguments, without a shell.",
            examples=[["/usr/sbin/slapcat", "-n", "1"]],
        ),
    ]
    file: Annotated[
        str, Meta(pattern=r"^(?!\.{1,2}$)[^/\x00]{1,255}$", description="The name of the file in the snapshot.")
    ] = "output"
    min_size: Annotated[Size, Meta(ge=0, description="Fewer bytes than this count as a failure.")] = 1
    end_marker: Annotated[
        str,
        Meta(
            description="A regular expression that the last 4 KiB must match at their very end, white space left aside; empty: none.",
            examples=["-- Dump completed.*"],
        ),
    ] = ""
    run_as: RunAs = ""
    timeout: Timeout = DAY_S


class DatabaseOptions(Record):
    """Everything that is dumped, by product."""

    postgresql: Annotated[tuple[PostgresqlOptions, ...], Meta(description="PostgreSQL clusters.")] = ()
    mysql: Annotated[tuple[MysqlOptions, ...], Meta(description="MariaDB and MySQL servers.")] = ()
    sqlite: Annotated[tuple[SqliteOptions, ...], Meta(description="SQLite files.")] = ()
    redis: Annotated[tuple[RedisOptions, ...], Meta(description="Redis servers.")] = ()
    command: Annotated[tuple[CommandOptions, ...], Meta(description="Commands whose output is kept.")] = ()


class ProveQuery(Record):
    """A question that the restored copy must answer."""

    source: Annotated[str, Meta(description="The `name` of the database's entry.")]
    database: Annotated[str, Meta(description="The database, or for SQLite the path of the file.")]
    sql: Annotated[str, Meta(description="One statement.", examples=["SELECT count(*) FROM orders"])]
    expect: Annotated[
        str | None,
        Meta(description="What the answer must be, columns by tab and rows by line; without it, any answer will do."),
    ] = None


class ProveOptions(Record):
    """How dumps are restored into throw-away instances."""

    scratch: Annotated[
        str,
        Meta(
            description="Where the throw-away instances lie, each in a directory of its own that is wiped afterwards."
        ),
    ] = "/var/tmp"
    run_as: Annotated[
        str,
        Meta(
            description="The Unix user the instances run as when root proves: one that may do nothing else.",
            examples=["nobody"],
        ),
    ] = ""
    postgresql_bin: Annotated[
        str, Meta(description="The directory of PostgreSQL's programs; empty: the newest below /usr/lib/postgresql.")
    ] = ""
    postgresql_settings: Annotated[
        dict[str, str],
        Meta(description="Settings that the throw-away PostgreSQL needs, as libraries of extensions to preload."),
    ] = {}
    queries: Annotated[tuple[ProveQuery, ...], Meta(description="Questions besides the counts of rows.")] = ()
    may_be_empty: Annotated[
        tuple[str, ...],
        Meta(
            description="Names of sources whose dumps may restore to nothing, though they held something when they were proved before.",
            examples=[["cache"]],
        ),
    ] = ()
    timeout: Annotated[Duration, Meta(description="How long the restore and the questions of one source may take.")] = (
        6 * HOUR_S
    )
