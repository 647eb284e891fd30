"""Bulk lists of networks from files: addresses, networks, Spamhaus DROP (text and JSON lines); merged, and loaded by difference.

Everything is in whole numbers here: an interval is its first and its last address. A list with one line that is no address is refused as a
whole, because nobody knows what else it holds.
"""

import bisect
import json
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence

from contracts.blocking import LISTED, TABLE, set_name
from contracts.errors import HoldfastError
from contracts.netfilter import Element

Interval = tuple[int, int]
Intervals = dict[int, list[Interval]]
"""By IP version, ascending, without overlaps or neighbours."""

_LINE = re.compile(r"([0-9a-fA-F:.]+)(?:/(\d{1,3}))?(?:\s*[;#].*|\s+.*)?")
_BITS = {4: 32, 6: 128}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_MAPPED, _MAPPED_BITS = 0xFFFF, 96
"""IPv4 addresses inside IPv6 (`::ffff:0:0/96`), which arrive as IPv4."""
_SHOWN = 60
_PER_LINE = 5000


class ListRefused(HoldfastError):
    """A list's content is not what a blocklist holds; the message says where."""


def parse(content: bytes, most: int, widest: Mapping[int, int]) -> Intervals:
    """Return the networks in `content`; raises `ListRefused` for a line that is none, one wider than `widest`, or more than `most`."""
    try:
        text = content.decode("ascii", "strict") if content.isascii() else content.decode("utf-8-sig", "strict")
    except UnicodeDecodeError as error:
        raise ListRefused(f"it is not text (byte {error.start})", advice="name a text file of networks") from error
    if "\0" in text:
        raise ListRefused("it is not text (it holds zero bytes)", advice="name a text file of networks")
    if not text.strip():
        raise ListRefused("it is empty, as after a download that failed", advice="a list of nothing holds a comment")
    found: dict[int, list[Interval]] = {4: [], 6: []}
    count = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        interval = _interval(line, number, widest)
        if interval is None:
            continue
        count += 1
        if count > most:
            raise ListRefused(f"it holds more than {most} networks", advice="raise actions.blocklist.max_networks")
        found[interval[0]].append(interval[1])
    return {version: merged(intervals) for version, intervals in found.items()}


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return `intervals` ascending, with those that overlap or touch made one."""
    ordered = sorted(intervals)
    out: list[Interval] = []
    for first, last in ordered:
        if out and first <= out[-1][1] + 1:
            if last > out[-1][1]:
                out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return out


def joined(lists: Iterable[Intervals]) -> Intervals:
    """Return what is in any of `lists`."""
    every = list(lists)
    return {version: merged(one for each in every for one in each.get(version, ())) for version in (4, 6)}


def without(
    intervals: Intervals, protected: Iterable[tuple[int, int, int]]
) -> tuple[Intervals, list[tuple[int, Interval, Interval]]]:
    """Return `intervals` without those that hold an address of `protected` (version, first, last), and which were left out for which."""
    kept = {version: list(each) for version, each in intervals.items()}
    skipped: list[tuple[int, Interval, Interval]] = []
    for version, first, last in protected:
        each = kept.get(version, [])
        place = bisect.bisect_right(each, (first, 1 << 129)) - 1
        place = max(0, place)
        while place < len(each) and each[place][0] <= last:
            if each[place][1] >= first:
                skipped.append((version, each.pop(place), (first, last)))
            else:
                place += 1
        kept[version] = each
    return kept, skipped


def difference(before: Intervals, after: Intervals) -> tuple[Intervals, Intervals]:
    """Return which intervals have to go and which have to come to turn one content of the sets into another."""
    gone: Intervals = {}
    come: Intervals = {}
    for version in (4, 6):
        old, new = set(before.get(version, ())), set(after.get(version, ()))
        gone[version], come[version] = sorted(old - new), sorted(new - old)
    return gone, come


def commands(version: int, intervals: Sequence[Interval]) -> Iterator[str]:
    """Yield nft commands that add `intervals`."""
    for start in range(0, len(intervals), _PER_LINE):
        words = ",".join(spelled(version, one) for one in intervals[start : start + _PER_LINE])
        yield f"add element inet {TABLE} {set_name(LISTED, version)} {{ {words} }}"


def every_command(intervals: Intervals) -> tuple[str, ...]:
    """Return the commands that add all of `intervals`."""
    return tuple(line for version in (4, 6) for line in commands(version, intervals.get(version, ())))


def elements(version: int, intervals: Sequence[Interval]) -> list[Element]:
    """Return `intervals` as elements of a set."""
    return [Element(network=_text(version, first), last=_text(version, last)) for first, last in intervals]


def spelled(version: int, interval: Interval) -> str:
    """Return an interval as nft takes it: an address, a network or a range."""
    first, last = interval
    begin = _text(version, first)
    size = last - first + 1
    if size == 1:
        return begin
    if not size & (size - 1) and not first % size:
        return f"{begin}/{_BITS[version] - size.bit_length() + 1}"
    return f"{begin}-{_text(version, last)}"


def saved(intervals: Intervals) -> bytes:
    """Return a normal form that `restored` reads back: one interval a line."""
    lines = [f"{version} {first:x} {last:x}" for version in (4, 6) for first, last in intervals.get(version, ())]
    return "\n".join([*lines, ""]).encode()


def restored(content: bytes) -> Intervals:
    """Return what `saved` wrote; raises `ValueError` for anything else."""
    found: Intervals = {4: [], 6: []}
    for line in content.decode("ascii").splitlines():
        version, first, last = line.split(" ")
        if int(version) not in found:
            raise ValueError(f"IP version {version[:20]}")
        found[int(version)].append((int(first, 16), int(last, 16)))
    return found


def _interval(line: str, number: int, widest: Mapping[int, int]) -> tuple[int, Interval] | None:
    """Return version and interval of one line, None for a line of a JSON list that holds no network."""
    if line[0] == "{":
        inside = _cidr(line, number)
        if not inside:
            return None
        line = inside
    match = _LINE.fullmatch(line)
    version = 6 if match is not None and ":" in match[1] else 4
    try:
        value = int.from_bytes(socket.inet_pton(_FAMILY[version], match[1] if match else ""), "big")
    except OSError as error:
        raise ListRefused(f'line {number}: "{_shown(line)}" is no address and no network') from error
    assert match is not None
    bits = _BITS[version]
    length = int(match[2]) if match[2] else bits
    if length > bits:
        raise ListRefused(f'line {number}: "{_shown(line)}" has a prefix length over {bits}')
    if length < widest[version]:
        raise ListRefused(f'line {number}: "{_shown(line)}" is wider than /{widest[version]}')
    size = 1 << (bits - length)
    first = value - value % size
    if version == 6 and first >> 32 == _MAPPED and length >= _MAPPED_BITS:
        version, first = 4, first & 0xFFFFFFFF
        if length - _MAPPED_BITS < widest[4]:
            raise ListRefused(f'line {number}: "{_shown(line)}" is wider than /{_MAPPED_BITS + widest[4]}')
    return version, (first, first + size - 1)


def _cidr(line: str, number: int) -> str:
    """Return the network of a JSON line of Spamhaus DROP, "" for its last line, which holds the list's own data."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ListRefused(f'line {number}: "{_shown(line)}" is no JSON') from error
    if "cidr" not in row and row.get("type") == "metadata":
        return ""
    found = row.get("cidr")
    if not isinstance(found, str) or not _LINE.fullmatch(found):
        raise ListRefused(f'line {number}: "{_shown(line)}" has no network under "cidr"')
    return found


def _text(version: int, value: int) -> str:
    return socket.inet_ntop(_FAMILY[version], value.to_bytes(_BITS[version] // 8, "big"))


def _shown(line: str) -> str:
    word = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in word)
