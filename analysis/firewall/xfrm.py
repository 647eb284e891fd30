"""IPsec policies (xfrm) as conditions: which packets one is for, and whether it lets them pass as they are (ip-xfrm(8))."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from analysis.firewall.model import AnyOf, Binary, Constant, Field, Match, Maybe, Name, Span, Statement, XfrmPolicy
from analysis.firewall.values import PROTOCOLS, address, network, number
from contracts.subjects.datapath import Row

DIRECTIONS = ("in", "fwd", "out")
_LAST = 1 << 32
_BEHIND = frozenset({"ptype", "share", "index", "output-mark"})
"""Words with a value that say nothing of which packets a policy is for."""


def policies(rows: Mapping[str, Row]) -> tuple[XfrmPolicy, ...]:
    """Return the policies that `rows` state by priority; of equal ones those that let pass come last, for nobody knows their order."""
    found = [policy for row in rows.values() if row.what == "xfrm" for policy in _of(row)]
    return tuple(sorted(found, key=lambda policy: (policy.priority, policy.passes)))


def _of(row: Row) -> Iterator[XfrmPolicy]:
    words = row.text.split()
    if row.unread or not words:
        for direction in DIRECTIONS:
            yield XfrmPolicy(direction, 0, (Maybe(row.unread),), passes=False, text=row.unread or "not read")
    elif words[0] == "default":
        yield XfrmPolicy(words[1], _LAST, (), passes=False, text=row.text)
    else:
        yield _policy(words)


def _policy(words: list[str]) -> XfrmPolicy:
    """Return one policy; a word that is not understood makes it uncertain for whom it is."""
    at = words.index("tmpl") if "tmpl" in words else len(words)
    head, templates = words[:at], words[at:]
    direction, action, priority = "in", "", 0
    conditions: list[Statement] = []
    rest = iter(head)
    for word in rest:
        value = next(rest, "")
        if word == "socket":  # of one socket alone, mostly the key exchange's own
            direction = value
            conditions.append(Maybe("of one socket"))
        elif word == "dir":
            direction = value
        elif word == "action":
            action = value
        elif word == "priority":
            priority = number(value) or 0
        elif word not in _BEHIND:
            conditions += _condition(word, value, head)
    required = templates.count("tmpl") - list(pairwise(templates)).count(("level", "use"))
    return XfrmPolicy(
        direction, priority, tuple(conditions), passes=action in ("", "allow") and not required, text=" ".join(words)
    )


def _condition(word: str, value: str, head: list[str]) -> Iterator[Statement]:
    six = ":" in (head[1] if len(head) > 1 else "")
    if word in ("src", "dst"):
        yield from _network(word, value, six=six)
    elif word == "proto" and (protocol := PROTOCOLS.get(value, number(value))) is not None:
        yield Match(Field("meta l4proto"), "==", Span(protocol, protocol))
    elif word in ("sport", "dport") and (port := number(value)) is not None and "mask" not in head:
        yield Match(Field(f"th {word}"), "==", Span(port, port))
    elif word == "mark":
        mark, mask = (number(one) for one in (*value.split("/"), "0xffffffff")[:2])
        if mark is None or mask is None:
            yield Maybe(f"mark {value}")
        else:
            marked = Match(Binary("&", Field("meta mark"), Constant(mask)), "==", Span(mark & mask, mark & mask))
            yield AnyOf(((marked,), *_by("vti*")))  # such a tunnel lends its packets a mark
    elif word == "if_id":
        yield AnyOf(_by("xfrm"))
    else:
        yield Maybe(f"{word} {value}")


def _by(kind: str) -> tuple[tuple[Statement, ...], ...]:
    return tuple((Match(Field(f"meta {end}kind"), "==", Name(kind)),) for end in ("iif", "oif"))


def _network(word: str, value: str, *, six: bool) -> Iterator[Statement]:
    start, _, length = value.partition("/")
    found, bits = address(start), 128 if six else 32
    size = number(length) if length else bits
    if found is None or size is None or size > bits:
        yield Maybe(f"{word} {value}")
        return
    yield Match(
        Field(f"{'ip6' if six else 'ip'} {'saddr' if word == 'src' else 'daddr'}"),
        "==",
        Span(*network(found[1], size, bits)),
    )
