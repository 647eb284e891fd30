"""Grants are read as the server means them, patterns of databases included."""

import pytest

from actions.backup.databases.mysql_gaps import Grants, Table, database_gaps, needed, server_gaps

LINES = [
    "GRANT SHOW DATABASES, PROCESS ON *.* TO `me`@`localhost` IDENTIFIED VIA unix_socket",
    "GRANT SELECT, SHOW VIEW ON `shop`.* TO `me`@`localhost`",
    "GRANT TRIGGER ON `sh%`.* TO `me`@`localhost`",
    r"GRANT EVENT ON `a\_b`.* TO `me`@`localhost`",
    "GRANT SELECT ON `o``dd`.* TO `me`@`localhost`",
    "GRANT SELECT (`id`) ON `other`.`t` TO `me`@`localhost`",
    "GRANT EXECUTE ON FUNCTION `other`.`f` TO `me`@`localhost`",
    "GRANT ALL PRIVILEGES ON `mine`.* TO `me`@`localhost` WITH GRANT OPTION",
]


@pytest.mark.parametrize(
    ("privilege", "database", "holds"),
    [
        ("SELECT", "shop", True),
        ("SELECT", "shopping", False),
        ("TRIGGER", "shop", True),
        ("TRIGGER", "shopping", True),
        ("TRIGGER", "sh", True),
        ("TRIGGER", "nosh", False),
        ("EVENT", "a_b", True),
        ("EVENT", "axb", False),
        ("SELECT", "o`dd", True),
        ("SELECT", "other", False),
        ("SHOW VIEW", "mine", True),
        ("PROCESS", "any", True),
    ],
)
def test_a_privilege_holds_where_it_was_granted(privilege: str, database: str, holds: bool) -> None:
    assert Grants.parse(LINES).holds(privilege, database) is holds


def test_what_is_missing_is_named() -> None:
    grants = Grants.parse(LINES)
    assert list(server_gaps(grants, "my")) == []
    assert [one.what for one in needed(grants, "my/shop", "shop")] == ["all events of my/shop"]
    assert (
        list(needed(Grants.parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]), "x", "x"))
        == []
    )
    few = Grants.parse(["GRANT USAGE ON *.* TO `me`@`localhost`"])
    assert len(list(server_gaps(few, "my"))) == 1
    assert len(list(needed(few, "my/x", "x"))) == 4


def test_tables_are_named_by_what_is_wrong_with_them() -> None:
    grants = Grants.parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"])
    tables = [
        Table("a", "MyISAM", "BASE TABLE"),
        Table("b", None, "BASE TABLE"),
        Table("c", "InnoDB", "SYSTEM VERSIONED"),
    ]
    engine, history = database_gaps(grants, "my/shop", "shop", tables)
    assert engine.detail.endswith("a (MyISAM), b (?)")
    assert history.detail.endswith("c")
