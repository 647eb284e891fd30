"""`pcre`: the expression, its flags, the buffer that a flag names, and what its groups are kept as."""

import re

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import OPTIONAL, Keyword
from collectors.traffic.rules.language.rule import Pcre

FLAG_BUFFERS = {
    "U": "http.uri",
    "I": "http.uri.raw",
    "H": "http.header",
    "D": "http.header.raw",
    "M": "http.method",
    "C": "http.cookie",
    "P": "http.request_body",
    "Q": "file.data",
    "Y": "http.stat_msg",
    "S": "http.stat_code",
    "V": "http.user_agent",
    "W": "http.host",
    "Z": "http.host.raw",
}
"""Flags that say which buffer an expression is for."""

_PERL = frozenset("imsxAEGO")
_NAMED = re.compile(r"\(\?P<(flow|pkt)_(\w+)>|\(\?P<(alert_)?(\w+)>|\((?!\?)")
_CAPTURE = re.compile(r"(flow|pkt|alert)\s*:\s*([\w.:-]+)$")


def _pcre(draft: Draft, argument: str, negated: bool) -> None:
    expression, tail = _cut(argument)
    flags, _, captures = tail.partition(",")
    perl, relative, buffer = _flags(flags.strip())
    match = Pcre(
        expression.encode("latin-1"), perl, negated, relative, _captures(expression, captures if "," in tail else "")
    )
    if buffer:
        _into(draft, match, buffer)
    else:
        test = draft.add(match)
        if relative:
            if not draft.sticky and draft.before(match, test) is None:
                raise Refused("pcre: with R it follows another match of the same buffer")
            draft.relative(match, test)


def _cut(argument: str) -> tuple[str, str]:
    if not argument.startswith("/"):
        raise Refused("pcre: the expression does not begin with /")
    end = len(argument)
    while True:
        end = argument.rfind("/", 1, end)
        if end < 1:
            raise Refused("pcre: the expression does not end with /")
        backslashes = len(argument[:end]) - len(argument[:end].rstrip("\\"))
        if backslashes % 2 == 0:
            break
    if end == 1:
        raise Refused("pcre: the expression is empty")
    return argument[1:end], argument[end + 1 :]


def _flags(flags: str) -> tuple[str, bool, str]:
    """Return Perl's own flags, whether it is relative, and the buffer or ""."""
    perl, relative, buffer = [], False, ""
    for flag in flags:
        if flag in _PERL:
            perl.append(flag)
        elif flag == "R":
            relative = True
        elif flag in FLAG_BUFFERS:
            if buffer and buffer != FLAG_BUFFERS[flag]:
                raise Refused(f"pcre: its flags name both {buffer} and {FLAG_BUFFERS[flag]}")
            buffer = FLAG_BUFFERS[flag]
        elif flag != "B":
            raise Refused(f'pcre: "{flag}" is not a flag')
    return "".join(perl), relative, buffer


def _captures(expression: str, listed: str) -> tuple[tuple[str, str], ...]:
    """Return what the groups are kept as: from the list behind the flags, or from names inside the expression."""
    if listed.strip():
        found = []
        for item in listed.split(","):
            capture = _CAPTURE.match(item.strip())
            if not capture:
                raise Refused(f'pcre: "{item.strip()}" is not a variable; write flow:name or pkt:name')
            found.append((capture[1], capture[2]))
        return tuple(found)
    if "(?P<" not in expression:
        return ()
    names: list[tuple[str, str]] = []
    for group in _NAMED.finditer(expression):
        if group.start() and _escaped(expression, group.start()):
            continue
        names.append((group[1], group[2]) if group[1] else ("", ""))
    while names and not names[-1][0]:
        names.pop()
    return tuple(names)


def _escaped(text: str, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _into(draft: Draft, match: Pcre, name: str) -> None:
    """Add the expression to the buffer its flag names."""
    buffer = BUFFERS[name]
    if draft.sticky and draft.sticky != name:
        raise Refused(f"pcre: its flag names {name}, but {draft.sticky} is active")
    draft.protocol(buffer.protocol or "http", f"pcre with the flag for {name}")
    test = draft.place() if draft.sticky else draft.modified(buffer, "to_client" if name == "file.data" else "")
    test.matches.append(match)
    draft.order.append((match, test))
    if match.relative:
        draft.relative(match, test)


KEYWORDS: dict[str, Keyword] = {"pcre": Keyword(_pcre, quotes=OPTIONAL, negation=True)}
