"""System accounts that a package's signed script makes or takes away: whole lines, locked, of the system's range, named there. Pure."""

import re
from collections.abc import Iterable, Sequence

LOCKED = frozenset({"!", "*", "!*", "!!", "x", ""})
SYSTEM = range(1, 1000)
SHELLS = frozenset({"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync"})


def account_product(path: bytes, old: bytes, new: bytes, scripts: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names of the accounts that were added or went, [] when anything else differs or a script does not name one.

    `scripts` pairs a package's name with its signed maintainer scripts. Group files may also gain members that a script names. A name
    counts as named when it stands there as a whole word together with a tool that makes accounts.
    """
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        return []
    database = path.rpartition(b"/")[2].decode("ascii", "replace")
    touched = [name for name in before if name not in after and _is_system(database, before[name])]
    if len(touched) != len(before.keys() - after.keys()):
        return []
    for name, fields in after.items():
        former = before.get(name)
        if former == fields:
            continue
        members = _new_members(database, former, fields)
        if former is None and _is_system(database, fields):
            touched += [name, *members]
        elif former is not None and members:
            touched += members
        else:
            return []
    return touched if all(_is_named(name, scripts) for name in touched) else []


def _lines(content: bytes) -> dict[str, list[str]] | None:
    """Return fields by name; None where a name stands twice or a line is off, which no tool writes."""
    found: dict[str, list[str]] = {}
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) < 3 or fields[0] in found:
            return None
        found[fields[0]] = fields
    return found


def _is_system(database: str, fields: list[str]) -> bool:
    if database == "passwd":
        return len(fields) == 7 and fields[1] in LOCKED - {""} and _in_range(fields[2]) and fields[6] in SHELLS
    if database == "group":
        return len(fields) == 4 and fields[1] in LOCKED and _in_range(fields[2])
    if database in ("shadow", "gshadow"):
        return fields[1] in LOCKED - {"", "x"}
    return False


def _in_range(number: str) -> bool:
    return number.isdigit() and int(number) in SYSTEM


def _new_members(database: str, former: list[str] | None, fields: list[str]) -> list[str]:
    """Return who joined a group; [] unless that is all that differs."""
    if database not in ("group", "gshadow") or len(fields) != 4:
        return []
    before = set(former[3].split(",")) if former is not None else set()
    if former is not None and (former[:3] != fields[:3] or not before - {""} <= set(fields[3].split(","))):
        return []
    return sorted(set(fields[3].split(",")) - before - {""})


def _is_named(name: str, scripts: Iterable[tuple[str, str]]) -> bool:
    word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    tool = re.compile(
        r"\b(adduser|addgroup|useradd|groupadd|usermod|deluser|delgroup|userdel|groupdel|systemd-sysusers|sysusers\.d)\b"
    )
    return any(word.search(script) and tool.search(script) for _, script in scripts)
