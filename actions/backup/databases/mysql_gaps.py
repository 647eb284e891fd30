"""What a MariaDB or MySQL user cannot read or a dump cannot hold as of one moment.

Without the right privilege these servers hide databases, tables, triggers, routines and events instead of refusing, so that a dump lacks
them and the tool ends well: the grants tell beforehand. Source: the manuals' pages on mariadb-dump, mysqldump and privileges.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from contracts.coverage import Blind
from contracts.errors import Why

_GRANT = re.compile(
    r"GRANT (?P<what>.+?) ON (?:(?:TABLE|FUNCTION|PROCEDURE|PACKAGE(?: BODY)?) )?(?P<where>\*\.\*|`(?:[^`]|``)*`\.\*) TO "
)
_SHOWN = 5
_NEEDED = {
    "SELECT": "tables and routines",
    "SHOW VIEW": "views",
    "TRIGGER": "triggers",
    "EVENT": "events",
}


class Table(msgspec.Struct, frozen=True):
    """A table that a transaction does not hold still (`engine`), or that keeps a history (`kind` SYSTEM VERSIONED)."""

    name: str
    engine: str | None
    kind: str


class Grants(msgspec.Struct, frozen=True):
    """Privileges by where they hold: "*" for everywhere, else a pattern of databases."""

    by_place: dict[str, frozenset[str]]

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "Grants":
        """The grants that SHOW GRANTS lists; those on single tables and columns do not count."""
        found: dict[str, frozenset[str]] = {}
        for line in lines:
            match = _GRANT.match(line)
            if match:
                place = "*" if match["where"] == "*.*" else match["where"][1:-3].replace("``", "`")
                words = frozenset(word.strip() for word in match["what"].split(","))
                found[place] = found.get(place, frozenset()) | words
        return cls(found)

    def everywhere(self, privilege: str) -> bool:
        """Whether it holds for the whole server."""
        return bool(self.by_place.get("*", frozenset()) & {privilege, "ALL PRIVILEGES", "ALL"})

    def holds(self, privilege: str, database: str) -> bool:
        """Whether it holds for all of a database."""
        return self.everywhere(privilege) or any(
            words & {privilege, "ALL PRIVILEGES", "ALL"}
            for place, words in self.by_place.items()
            if place != "*" and _like(place, database)
        )


def server_gaps(grants: Grants, source: str) -> Iterator[Blind]:
    """Whether whole databases may be hidden."""
    if not (grants.everywhere("SHOW DATABASES") or grants.everywhere("SELECT")):
        yield Blind(
            what=f"databases of {source} in which the user has no privilege",
            why=Why.PERMISSION,
            detail="the server does not name them to a user without SHOW DATABASES",
            fix="Grant SHOW DATABASES ON *.* to it.",
        )


def needed(grants: Grants, what: str, database: str) -> Iterator[Blind]:
    """What the user lacks to read all of a database."""
    for privilege, kind in _NEEDED.items():
        if not grants.holds(privilege, database):
            yield Blind(
                what=f"all {kind} of {what}",
                why=Why.PERMISSION,
                detail=f"the user does not have {privilege} on it, and the server hides what it may not read",
                fix=f"Grant {privilege} ON *.* to it.",
            )


def database_gaps(grants: Grants, what: str, database: str, tables: Sequence[Table]) -> Iterator[Blind]:
    """What a dump of this database lacks or does not hold as of one moment although the tool does not fail."""
    yield from needed(grants, what, database)
    unsteady = [f"{table.name} ({table.engine or '?'})" for table in tables if table.kind != "SYSTEM VERSIONED"]
    if unsteady:
        yield Blind(
            what=f"{len(unsteady)} tables of {what} as of the same moment as the others",
            why=Why.INCOMPATIBLE,
            detail=f"their engine has no transactions: {_names(unsteady)}",
            fix="Convert them to InnoDB, or stop what writes to them while the backup runs.",
        )
    history = [table.name for table in tables if table.kind == "SYSTEM VERSIONED"]
    if history:
        yield Blind(
            what=f"the history of {len(history)} system-versioned tables of {what}",
            why=Why.INCOMPATIBLE,
            detail=f"the dump holds their present rows: {_names(history)}",
            fix="Keep the history in tables of its own, or copy the server's directory while it is stopped.",
        )


def _like(pattern: str, database: str) -> bool:
    """Whether a database matches the pattern of a grant: % and _ stand for anything unless a backslash is before them."""
    expression = ""
    rest = iter(pattern)
    for letter in rest:
        if letter == "\\":
            expression += re.escape(next(rest, "\\"))
        else:
            expression += {"%": ".*", "_": "."}.get(letter, re.escape(letter))
    return re.fullmatch(expression, database, re.DOTALL) is not None


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
