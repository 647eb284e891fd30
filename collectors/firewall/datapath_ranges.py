"""Finds the rules that nft lists as what they are not: two comparisons that it takes for one range.

nft 1.0.6 lists `tcp dport < 1024 tcp sport > 1023` as `tcp sport != 1024-1023`: what comes out of it is another rule. Only the kernel
tells, so it is asked how many ranges a rule really compares with, for those that are listed with one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from contracts.host import ReadOnlyHost
from contracts.text import escape

UNREAD = "nft lists two comparisons of it as one range, so what it says is not known"
_SIGN = b'"range":'


class _Part(msgspec.Struct):
    family: str
    table: str
    chain: str
    handle: int
    expr: list[dict[str, Any]]


def misread(host: ReadOnlyHost, rules: Iterable[msgspec.Raw]) -> frozenset[tuple[str, str, str, int]]:
    """Return family, table, chain and handle of rules that are not what nft lists; raises `Unavailable` where the kernel does not tell."""
    listed: dict[tuple[str, str, str], dict[int, tuple[int, int]]] = {}
    for raw in rules:
        if _SIGN in bytes(raw):
            part = msgspec.json.decode(raw, type=_Part)
            counts = _ranges(part.expr)
            if any(counts):
                listed.setdefault((part.family, part.table, part.chain), {})[part.handle] = counts
    return frozenset(one for place, counts in listed.items() for one in _of_chain(host, place, counts))


def _of_chain(
    host: ReadOnlyHost, place: tuple[str, str, str], listed: dict[int, tuple[int, int]]
) -> Iterator[tuple[str, str, str, int]]:
    family, table, chain = place
    real = host.nftables.ranges(family, escape(table), escape(chain), listed)
    for handle, (within, without) in listed.items():
        known = real.get(handle)
        if known is not None and (within > known[0] or without > known[1]):
            yield family, table, chain, handle


def _ranges(expressions: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many comparisons of a rule are listed as being within one range, and how many as not being so."""
    matches = [found for one in expressions if isinstance(found := one.get("match"), dict)]
    operators = [
        found.get("op") for found in matches if isinstance(found.get("right"), dict) and "range" in found["right"]
    ]
    return operators.count("=="), operators.count("!=")
