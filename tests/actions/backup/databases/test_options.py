"""The settings of databases are read as written, with their units, and refuse what cannot be meant."""

from typing import Any

import msgspec
import pytest

from actions.backup.databases.options import DatabaseOptions, ProveOptions


def read(value: dict[str, Any]) -> DatabaseOptions:
    return msgspec.convert(value, DatabaseOptions)


def test_an_entry_needs_no_more_than_what_has_no_sensible_default() -> None:
    options = read({"postgresql": [{}], "mysql": [{}], "redis": [{}], "sqlite": [{"paths": ["/a"]}]})
    assert options.postgresql[0].host == "/run/postgresql"
    assert options.postgresql[0].password is None
    assert read({"command": [{"name": "x", "argv": ["a"]}]}).command[0].min_size == 1
    assert ProveOptions().scratch == "/var/tmp"


@pytest.mark.parametrize(
    "value",
    [
        {"postgresql": [{"name": "../up"}]},
        {"postgresql": [{"name": "a/b"}]},
        {"postgresql": [{"name": ""}]},
        {"postgresql": [{"port": 0}]},
        {"sqlite": [{}]},
        {"command": [{"name": "x", "argv": []}]},
        {"command": [{"name": "x", "argv": ["a"], "file": "a/b"}]},
        {"command": [{"name": "x", "argv": ["a"], "file": ".."}]},
        {"command": [{"name": "x", "argv": ["a"], "min_size": -1}]},
        {"mysql": [{"pasword": "file:/x"}]},
    ],
)
def test_what_cannot_be_meant_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(value)
