"""Which sources the settings ask for."""

from actions.backup.databases.command import Command
from actions.backup.databases.mysql import Mysql
from actions.backup.databases.options import DatabaseOptions
from actions.backup.databases.postgresql import Postgresql
from actions.backup.databases.redis import Redis
from actions.backup.databases.source import Source
from actions.backup.databases.sqlite import Sqlite
from contracts.errors import UsageError


def make_sources(options: DatabaseOptions) -> list[Source]:
    """One source for each entry; UsageError when two have one name, since they would lie in one folder."""
    sources: list[Source] = [
        *map(Postgresql, options.postgresql),
        *map(Mysql, options.mysql),
        *map(Sqlite, options.sqlite),
        *map(Redis, options.redis),
        *map(Command, options.command),
    ]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two databases are called {name!r}", advice="give each entry another `name`")
    return sources
