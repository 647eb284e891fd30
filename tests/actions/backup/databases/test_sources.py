"""The settings become sources, each with a folder of its own."""

from pathlib import Path

import pytest

from actions.backup.databases.options import (
    CommandOptions,
    DatabaseOptions,
    MysqlOptions,
    PostgresqlOptions,
    RedisOptions,
    SqliteOptions,
)
from actions.backup.databases.prove import PRODUCTS
from actions.backup.databases.sources import make_sources
from contracts.errors import UsageError


def test_each_entry_becomes_a_source() -> None:
    options = DatabaseOptions(
        postgresql=(PostgresqlOptions(), PostgresqlOptions(name="pg2", port=5433)),
        mysql=(MysqlOptions(),),
        sqlite=(SqliteOptions(paths=("/var/lib",)),),
        redis=(RedisOptions(),),
        command=(CommandOptions(name="ldap", argv=("slapcat",)),),
    )
    sources = make_sources(options)
    assert [one.name for one in sources] == ["postgresql", "pg2", "mysql", "sqlite", "redis", "ldap"]
    assert tuple(dict.fromkeys(one.product for one in sources)) == ("postgresql", "mysql", "sqlite", "redis", "command")
    assert {one.product for one in sources} == set(PRODUCTS)
    assert make_sources(DatabaseOptions()) == []


def test_two_of_one_name_are_refused() -> None:
    options = DatabaseOptions(redis=(RedisOptions(), RedisOptions(port=6380)))
    with pytest.raises(UsageError, match="two databases are called 'redis'"):
        make_sources(options)


def test_making_sources_touches_nothing(tmp_path: Path) -> None:
    make_sources(DatabaseOptions(sqlite=(SqliteOptions(paths=(str(tmp_path / "none"),)),)))
