"""A slow model of one buffer's tests: it tries every place of every match, and knows no shortcuts."""

import re
from collections.abc import Iterator

from collectors.traffic.rules.language.rule import BufferTest, Content, IsDataAt, Match, Pcre


def passes(test: BufferTest, data: bytes) -> bool:
    """Return whether there are places for all matches at once."""
    return _from(list(test.matches), data, 0)


def _from(matches: list[Match], data: bytes, pos: int) -> bool:
    if not matches:
        return True
    first, rest = matches[0], matches[1:]
    return any(_from(rest, data, end) for end in _ends(first, data, pos))


def _ends(match: Match, data: bytes, pos: int) -> Iterator[int]:
    """Yield where the next relative match would go on, for every way in which this match holds."""
    if isinstance(match, Content):
        found = list(_places(match, data, pos))
        if match.negated:
            if not found:
                yield pos
        else:
            for place in found:
                yield place + len(match.pattern)
    elif isinstance(match, Pcre):
        yield from _pcre(match, data, pos)
    else:
        assert isinstance(match, IsDataAt) and isinstance(match.at, int)
        there = pos + match.at <= len(data) if match.relative else match.at < len(data)
        if there != match.negated:
            yield pos


def _places(content: Content, data: bytes, pos: int) -> Iterator[int]:
    pattern, text = content.pattern, data
    if content.nocase:
        pattern, text = pattern.lower(), data.lower()
    low, high = 0, len(data)
    for number in (content.offset, content.depth, content.distance, content.within):
        assert number is None or isinstance(number, int)
    if content.distance is not None or content.within is not None:
        distance = int(content.distance or 0)
        low = max(0, pos + distance)
        if content.within is not None:
            high = min(high, pos + distance + int(content.within))
    if content.offset is not None:
        low = int(content.offset)
    if content.depth is not None:
        high = min(high, int(content.depth))
    for place in range(low, high - len(pattern) + 1):
        if text[place : place + len(pattern)] == pattern and (
            not content.endswith or place + len(pattern) == len(data)
        ):
            yield place


def _pcre(match: Pcre, data: bytes, pos: int) -> Iterator[int]:
    base = pos if match.relative else 0
    compiled = re.compile(match.pattern, re.DOTALL if "s" in match.flags else 0)
    text = data[base:]
    found = [one for at in range(len(text) + 1) if (one := compiled.match(text, at))]
    if match.negated:
        if not found:
            yield pos
    else:
        for one in found:
            yield base + one.end()
