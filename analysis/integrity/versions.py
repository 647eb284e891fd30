"""The order of versions, as rpm and dpkg see it: whether a run put an older one in the place of a newer one. Pure.

Sources: rpm's manual, "Dependencies" (versioning, tilde and caret), `rpmio/rpmvercmp.cc`; Debian Policy 5.6.12.
"""

import re
from itertools import zip_longest

_PARTS = re.compile(r"[0-9]+|[a-zA-Z]+|[~^]")
_DIGITS = re.compile(r"([^0-9]*)([0-9]*)")
_END = 0


def is_older_rpm(one: str, other: str) -> bool:
    """Say whether a version of rpm's, `epoch:version-release`, is older than another."""
    for mine, theirs in zip(_split(one), _split(other), strict=True):
        order = _order_rpm(mine, theirs)
        if order:
            return order < 0
    return False


def is_older_dpkg(one: str, other: str) -> bool:
    """Say whether a version of dpkg's, `epoch:upstream-revision`, is older than another."""
    for mine, theirs in zip(_split(one), _split(other), strict=True):
        for held, wanted in zip_longest(_ranks(mine), _ranks(theirs), fillvalue=([_END], _number(""))):
            if held != wanted:
                return held < wanted
    return False


def _split(version: str) -> tuple[str, str, str]:
    """Return epoch, version and release, "0" and "" where there are none; what follows the last dash is the release."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    name, dash, release = rest.rpartition("-")
    return (epoch, name, release) if dash else (epoch, rest, "")


def _order_rpm(one: str, other: str) -> int:
    """Return -1, 0 or 1 for older, equal and newer."""
    mine, theirs = _PARTS.findall(one), _PARTS.findall(other)
    for at in range(max(len(mine), len(theirs))):
        left, right = (parts[at] if at < len(parts) else "" for parts in (mine, theirs))
        if left != right:
            held, wanted = _rank(left), _rank(right)
            if held != wanted:
                return -1 if held < wanted else 1
    return 0


def _rank(part: str) -> tuple[int, int, str]:
    """Return a part's place: before the end comes a tilde, after it a caret, then letters, then numbers."""
    if part.isdigit():
        return 3, *_number(part)
    return {"~": -1, "": _END, "^": 1}.get(part, 2), 0, part if part.isalpha() else ""


def _number(digits: str) -> tuple[int, str]:
    """Return what a number is compared by, which may have more digits than Python reads as one."""
    plain = digits.lstrip("0")
    return len(plain), plain


def _ranks(version: str) -> list[tuple[list[int], tuple[int, str]]]:
    """Return what a version is compared by: in turns the characters before a number, and the number."""
    return [([*map(_weight, text), _END], _number(number)) for text, number in _DIGITS.findall(version)]


def _weight(letter: str) -> int:
    """Return the place of a character: a tilde before the end, letters after it, all others behind."""
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
