"""Reach: for each database of a job the statements that make its role, and what that role cannot read now; nothing is dumped."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from actions.backup.databases.command import Command
from actions.backup.databases.mysql import Mysql, user_statements
from actions.backup.databases.options import DatabaseOptions
from actions.backup.databases.postgresql import Postgresql, role_statements
from actions.backup.databases.redis import Redis, acl_statement
from actions.backup.databases.source import DumpFailed, Source
from actions.backup.databases.sources import make_sources
from actions.backup.databases.sqlite import Sqlite
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Host

ROLE = "holdfast-backup"
"""The user of the worker, after whom the roles are called unless the settings say otherwise."""


@dataclass(slots=True)
class Reach:
    """What is known of one source: how its role is made, what it cannot read, and why it could not be asked ("" when it could)."""

    name: str
    product: str
    statements: str
    unreadable: list[Blind] = field(default_factory=list)
    failed: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything can be read."""
        return not self.unreadable and not self.failed


def reaches(options: DatabaseOptions, host: Host, user: str = "") -> Iterator[Reach]:
    """Each source, asked as `user` where its settings name none to run as; UsageError when two have one name."""
    for source in make_sources(_run_as(options, user)):
        reach = Reach(source.name, source.product, statements(source))
        try:
            reach.unreadable = unreadable(source, host)
        except (DumpFailed, Unavailable) as error:
            reach.failed = str(error)
        yield reach


def statements(source: Source) -> str:
    """What its administrator runs once so that the source can be read; "" where file permissions do."""
    match source:
        case Postgresql(options=options):
            return role_statements(options.role or options.run_as or ROLE)
        case Mysql(options=options):
            name = options.user or options.run_as or ROLE
            return user_statements(name) + "-- On MySQL: IDENTIFIED WITH auth_socket\n"
        case Redis(options=options):
            return f"{acl_statement(options.user or 'backup')}\n"
    return ""


def unreadable(source: Source, host: Host) -> list[Blind]:
    """What the source's role cannot read; DumpFailed or Unavailable when it cannot be asked."""
    match source:
        case Postgresql() | Mysql() | Redis():
            return source.unreadable(host)
        case Command(options=options):
            if not host.commands.present(options.argv[0].rpartition("/")[2]) and not _is_file(host, options.argv[0]):
                raise Unavailable(
                    Why.TOOL_MISSING, f"{options.argv[0]} is not there", advice="install it, or mend argv"
                )
            return []
        case Sqlite():
            listing = source.dumps(host)
            return [
                *listing.blind,
                *(Blind(what=one.what, why=Why.PERMISSION, detail=one.why, fix=one.advice) for one in listing.failed),
            ]
    raise AssertionError(source.product)


def _is_file(host: Host, path: str) -> bool:
    try:
        host.files.stat(path)
    except Unavailable:
        return False
    return True


def _run_as(options: DatabaseOptions, user: str) -> DatabaseOptions:
    """The options with `user` wherever a tool would run as whoever this is: what the worker sees, seen by root."""
    if not user:
        return options
    replace = msgspec.structs.replace
    return replace(
        options,
        postgresql=tuple(one if one.run_as else replace(one, run_as=user) for one in options.postgresql),
        mysql=tuple(one if one.run_as else replace(one, run_as=user) for one in options.mysql),
    )
