"""Reads the elements of sets and maps for the subject `datapath`: what is in them, without what changes by itself or decides nothing.

The kernel counts elements before nft is asked for them: nft builds its whole JSON in memory, a gigabyte for a million of them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from collectors.firewall import nft
from collectors.firewall.datapath_rows import Sheet, compact
from contracts.codec import UNDECODABLE
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.text import escape

_IDLE = frozenset({"val", "timeout", "expires", "comment", "counter", "last"})
"""What an element may hold and still be no more than its value for a packet that is looked up."""
_WRAPPED = b'{"elem":{'
_ROOM = 64 << 10
_TIMES = 6
"""How much longer nft's answer may be than what is kept of it: comments, counters and time-outs are left out."""
_NAMED = 5
_FEW = 8
_MANY = 50_000
"""More than a few sets are read together, if all of them have no more elements than these."""
_SET_S = 20.0
_OPTIONS = "collectors.datapath.max_elements and max_set_bytes"


class _Names(msgspec.Struct):
    family: str
    table: str
    name: str


class _Answer(msgspec.Struct):
    nftables: list[dict[str, msgspec.Raw]]


class Sets:
    """Reads sets and remembers which could not be read."""

    def __init__(self, max_elements: int, max_bytes: int) -> None:
        self._max_elements, self._max_bytes = max_elements, max_bytes
        self._large: list[str] = []
        self._other: list[tuple[str, Unavailable]] = []
        self._together: dict[tuple[str, str, str, str], msgspec.Raw] = {}

    def read(self, host: ReadOnlyHost, defined: Sequence[tuple[str, msgspec.Raw]]) -> list[tuple[str, str]]:
        """Return the document of each set or map in `defined` (sort and definition), and why its elements are not in it ("" if they are).

        Raises `Malformed` when one vanished meanwhile.
        """
        self._large, self._other, self._together = [], [], {}
        sets = [(sort, msgspec.json.decode(raw, type=_Names), bytes(raw).decode()) for sort, raw in defined]
        if len(sets) > _FEW:
            self._read_together(host, [(sort, names) for sort, names, _ in sets])
        found = [self._one(host, sort, names, bare) for sort, names, bare in sets]
        self._together = {}
        return found

    def _read_together(self, host: ReadOnlyHost, sets: Sequence[tuple[str, _Names]]) -> None:
        """Read many sets in two runs of nft instead of one each, unless they are large."""
        total = 0
        for _, names in sets:
            try:
                place = (names.family, escape(names.table), escape(names.name))
                count = host.nftables.count(*place, self._max_elements)
            except Unavailable:
                return  # asking for it alone says why
            total += count
            if count > self._max_elements or total > _MANY:
                return
        for sort in ("set", "map"):
            try:
                answer = nft.answered(host.commands.ask("nft", "-j", "-s", "list", f"{sort}s", timeout_s=_SET_S))
                for raw in parts(answer.stdout, sort):
                    names = msgspec.json.decode(raw, type=_Names)
                    self._together[sort, names.family, names.table, names.name] = raw
            except (Unavailable, Malformed, *UNDECODABLE):
                continue  # one by one, then: whichever of them it is about says so

    def _one(self, host: ReadOnlyHost, sort: str, names: _Names, bare: str) -> tuple[str, str]:
        place = f"{sort} {names.family} {escape(names.table)} {escape(names.name)}"
        try:
            document = self._elements(host, sort, names)
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                raise Malformed(f"{place} vanished while it was read") from error
            if error.why is Why.TOO_LARGE:
                self._large.append(place)
            else:
                self._other.append((place, error))
            return bare, error.message
        return (bare if document is None else document), ""

    def state(self, sheet: Sheet) -> None:
        """State as blind spots what could not be read."""
        if self._large:
            names = ", ".join(place[:80] for place in self._large[:_NAMED])
            more = f" and {len(self._large) - _NAMED} more" if len(self._large) > _NAMED else ""
            what = f"the elements of {len(self._large)} large sets"
            detail = f"{names}{more}: more than {self._max_elements} elements or {self._max_bytes} bytes each"
            sheet.missing(what, Why.TOO_LARGE, detail, f"Raise {_OPTIONS}, as far as one row travels.")
        for place, error in self._other:
            sheet.missing(f"the elements of {place[:200]}", error.why, error.message, error.advice)

    def _elements(self, host: ReadOnlyHost, sort: str, names: _Names) -> str | None:
        """Return the document with its elements, None when there are none; raises `Unavailable`."""
        known = self._together.get((sort, names.family, names.table, names.name))
        if known is not None:
            return self._bounded(_document(known, sort))
        table, name = escape(names.table), escape(names.name)
        count = host.nftables.count(names.family, table, name, self._max_elements)
        if not count:
            return None
        if count > self._max_elements:
            raise Unavailable(Why.TOO_LARGE, f"more than {self._max_elements} elements")
        if not (nft.PLAIN.fullmatch(names.table) and nft.PLAIN.fullmatch(names.name)):
            # nft reads its arguments as a program: such a name is never handed to it.
            message = "the name is not one that nft accepts on its command line"
            raise Unavailable(Why.MALFORMED, message, advice="Rename the set.")
        most = self._max_bytes * _TIMES + _ROOM
        argv = ("nft", "-j", "-s", "list", sort, names.family, names.table, names.name)
        answer = host.commands.ask(*argv, timeout_s=_SET_S, max_bytes=most)
        if b"No such file or directory" in answer.stderr:
            raise Unavailable(Why.NOT_PRESENT, "it is gone")
        return self._bounded(stripped(nft.answered(answer).stdout, sort))

    def _bounded(self, document: str) -> str:
        if len(document) > self._max_bytes:
            raise Unavailable(Why.TOO_LARGE, f"more than {self._max_bytes} bytes")
        return document


def stripped(answer: bytes, sort: str) -> str:
    """Return the one set or map of nft's `answer`, compact, its elements by their values alone; raises `Malformed`."""
    found = parts(answer, sort)
    if len(found) != 1:
        raise Malformed(f"nft names {len(found)} of one {sort}")
    return _document(found[0], sort)


def parts(answer: bytes, sort: str) -> list[msgspec.Raw]:
    """Return what `answer` holds of `sort`, compact; raises `Malformed`."""
    try:
        entries = msgspec.json.decode(msgspec.json.format(answer, indent=-1), type=_Answer).nftables
    except UNDECODABLE as error:
        raise Malformed(f"nft's JSON of a {sort} does not decode: {error}") from error
    return [entry[sort] for entry in entries if sort in entry]


def _document(raw: msgspec.Raw, sort: str) -> str:
    if _WRAPPED not in bytes(raw):
        return bytes(raw).decode()
    try:
        whole: dict[str, Any] = msgspec.json.decode(raw)
    except UNDECODABLE as error:
        raise Malformed(f"nft's JSON of a {sort} does not decode: {error}") from error
    elements = whole.get("elem", [])
    whole["elem"] = [_pair(element) if sort == "map" else _value(element) for element in elements]
    if "interval" not in whole.get("flags", ()):  # the order of a hash table is not the same every time
        whole["elem"].sort(key=compact)
    return compact(whole).decode()


def _pair(element: Any) -> Any:
    return [_value(element[0]), *element[1:]] if isinstance(element, list) and element else element


def _value(element: Any) -> Any:
    """Return an element without what decides nothing; what else it holds (a limit) stays, without its state."""
    inner = element.get("elem") if isinstance(element, dict) and len(element) == 1 else None
    if not isinstance(inner, dict) or "val" not in inner:
        return element
    rest = {name: value for name, value in inner.items() if name not in _IDLE}
    if not rest:
        return inner["val"]
    for value in rest.values():
        if isinstance(value, dict):
            value.pop("used", None)
    return {"elem": {"val": inner["val"], **rest}}
