"""Excludes: restic's language of patterns that say what a backup leaves out. Pure; what exclude files hold is read by the caller.

A pattern is compared part by part with a path: relative it may match anywhere, beginning with `/` only from the root. In a part `*`, `?`
and `[a-z]` are as in Go's `filepath.Match`; a part `**` stands for any number of parts. A later pattern that begins with `!` takes in
again what earlier ones left out. Sources: restic's `internal/filter/filter.go` and `doc/040_backup.rst`.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.errors import UsageError

_SPECIAL = frozenset("\\[]*?")
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
CACHE_TAG = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55"
"""What marks a folder as a cache (bford.info/cachedir), in the form of an `exclude_if_present` entry."""


class BadPattern(UsageError):
    """A pattern that no path can be compared with."""


class _Pattern(NamedTuple):
    """One pattern: `parts` with "" for `**`, from the root or anywhere; `regex` where one says the same."""

    parts: tuple[str, ...]
    rooted: bool
    negated: bool
    regex: re.Pattern[str] | None


class Excludes:
    """Whether a path is left out by `patterns`, or by `insensitive` ones, which take no notice of case. Raises BadPattern."""

    def __init__(self, patterns: Sequence[str] = (), insensitive: Sequence[str] = ()) -> None:
        self._exact = _List(patterns)
        self._folded = _List([lowered(pattern) for pattern in insensitive])

    def __bool__(self) -> bool:
        return bool(self._exact) or bool(self._folded)

    def match(self, path: str) -> bool:
        """Say whether the absolute `path` is left out; bytes that are not UTF-8 are surrogates, as `os.fsdecode` makes them."""
        return self._exact.match(path) or (bool(self._folded) and self._folded.match(lowered(path)))


class _List:
    """Patterns in their order; without a `!` among them one regular expression asks for all at once."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_parse(pattern) for pattern in patterns if pattern]
        plain = all(not pattern.negated and pattern.regex is not None for pattern in self._patterns)
        texts = [pattern.regex.pattern for pattern in self._patterns if pattern.regex is not None]
        self._all = re.compile("|".join(f"(?:{text})" for text in texts), re.DOTALL) if plain and texts else None

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, path: str) -> bool:
        if self._all is not None:
            return self._all.search(path) is not None
        matched = False
        for pattern in self._patterns:
            if matched == pattern.negated and _matches(pattern, path):
                matched = not matched
        return matched


def read_patterns(text: str, environment: Mapping[str, str]) -> list[str]:
    """The patterns of an exclude file: one a line; empty lines and those that begin with `#` are passed over.

    `$NAME` and `${NAME}` stand for variables of `environment` ("" when not set), `$$` for a dollar sign.
    """
    lines = (line.strip() for line in text.splitlines())
    return [_VARIABLE.sub(lambda found: _expanded(found, environment), line) for line in lines if _says(line)]


def parse_tag(entry: str) -> tuple[str, bytes]:
    """Name and required beginning of an `exclude_if_present` entry `NAME[:BEGINNING]`; raises BadPattern."""
    name, _, beginning = entry.partition(":")
    if not name or "/" in name:
        raise BadPattern(f'"{entry}" names no file', advice="write NAME or NAME:BEGINNING, the name without a folder")
    return name, beginning.encode()


def lowered(text: str) -> str:
    """`text` in lower case, character by character as Go does it: none becomes two."""
    return "".join(low if len(low := char.lower()) == 1 else low[0] for char in text)


def check_patterns(patterns: Iterable[str]) -> None:
    """Raise BadPattern for the first that no path can be compared with."""
    for pattern in patterns:
        if pattern:
            _parse(pattern)


def _says(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _expanded(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name = found[1] or found[2]
    return environment.get(name, "") if name else "$"


def _parse(text: str) -> _Pattern:
    negated = text.startswith("!")
    parts = _split(_clean(text[1:] if negated else text))
    try:
        pieces = [_part(part) for part in parts[1:]] if parts[0] == "/" else [_part(part) for part in parts]
    except ValueError as error:
        raise BadPattern(f'the pattern "{text}" is not valid: {error}', advice=r"write \[ for a bracket") from error
    rooted = parts[0] == "/"
    regex = None
    if pieces.count("") <= 1:  # restic wants a longer path where `**` occurs twice, which no plain expression says
        body = "".join(f"/{piece}" if piece else "(?:/[^/]*)*" for piece in pieces)
        regex = re.compile((r"\A" if rooted else "") + body + r"(?=/|\Z)", re.DOTALL)
    return _Pattern(tuple(pieces), rooted, negated, regex)


def _clean(text: str) -> str:
    """Go's `filepath.Clean`: like normpath, which alone keeps two slashes at the beginning."""
    cleaned = posixpath.normpath(text)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _split(text: str) -> list[str]:
    parts = text.split("/")
    return ["/", *parts[1:]] if parts[0] == "" else parts


def _part(part: str) -> str:
    """The regular expression of one part, "" for `**`; ValueError says what is wrong with it."""
    if part in {"", "**"}:
        return ""
    if not _SPECIAL.intersection(part):
        return re.escape(part)
    out, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[":
            found, at = _class(part, at)
            out += found
        elif char == "\\":
            if at == len(part):
                raise ValueError("it ends with a backslash")
            out += re.escape(part[at])
            at += 1
        else:
            out += re.escape(char)
    return out


def _class(part: str, at: int) -> tuple[str, int]:
    """A class of characters that begins behind its bracket: its expression, and where it ends."""
    negated = part.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (part.startswith("]", at) and ranges):
        low, at = _char(part, at)
        high = low
        if part.startswith("-", at):
            high, at = _char(part, at + 1)
        ranges.append((low, high))
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{inside}]", at + 1


def _char(part: str, at: int) -> tuple[str, int]:
    """One character within a class; a dash or a closing bracket must be written with a backslash."""
    if at >= len(part):
        raise ValueError("a [ is not closed")
    if part[at] in "-]":
        raise ValueError(f"{part[at]} stands where a character of a class belongs")
    if part[at] == "\\":
        at += 1
        if at >= len(part):
            raise ValueError("a [ is not closed")
    if at + 1 >= len(part):
        raise ValueError("a [ is not closed")
    return part[at], at + 1


def _matches(pattern: _Pattern, path: str) -> bool:
    if pattern.regex is not None:
        return pattern.regex.search(path) is not None
    return _expand(list(pattern.parts), pattern.rooted, path.count("/") + 1, path)


def _expand(parts: list[str], rooted: bool, length: int, path: str) -> bool:
    """What restic does with several `**`: each in turn becomes no part, one, two and so on, as far as the path may be long enough.

    `length` counts the parts of the path with its root.
    """
    if "" not in parts:
        body = "".join(f"/{part}" for part in parts)
        return re.search((r"\A" if rooted else "") + body + r"(?=/|\Z)", path, re.DOTALL) is not None and bool(
            parts or rooted
        )
    at = parts.index("")
    size = len(parts) + rooted
    return any(
        _expand([*parts[:at], *["[^/]*"] * count, *parts[at + 1 :]], rooted, length, path)
        for count in range(length - size + 2)
    )
