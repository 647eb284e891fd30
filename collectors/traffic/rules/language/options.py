"""The options of a rule as text: split at semicolons, keyword from argument, quotes and negation taken off."""

import re
from collections.abc import Iterator

from collectors.traffic.rules.language.errors import Refused

_END = re.compile(r"(?<!\\);")


def split(body: str) -> Iterator[tuple[str, str | None]]:
    """Yield (keyword, argument or None) of what stands between a rule's parentheses; a backslash keeps a semicolon from ending one."""
    parts = _END.split(body)
    if parts.pop().strip():
        raise Refused("the last option does not end with a semicolon")
    for part in parts:
        keyword, colon, argument = part.partition(":")
        yield keyword.strip(), argument.strip() if colon else None


def unquote(keyword: str, argument: str, needed: bool) -> str:
    """Return the argument without its double quotes; with `needed` they have to be there."""
    if argument[:1] != '"':
        if needed:
            raise Refused(f"{keyword}: its argument stands in double quotes")
        return argument
    if len(argument) < 2 or argument[-1] != '"':
        raise Refused(f"{keyword}: the double quote is not closed (is a semicolon missing?)")
    return argument[1:-1]
