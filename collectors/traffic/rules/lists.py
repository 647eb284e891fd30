"""Lists of values that rules name (`dataset`, `datarep`): which set each rule means, and what its file holds.

Formats are Suricata 8's: a value per line, base64 for `string`, hexadecimal for `md5` and `sha256`, an address for `ip` and `ipv4`; for
`datarep` a comma and a number from 0 to 65535 behind it. A file is named relative to that of its rule. A set with `state` begins with what
that file holds, if it is there.
"""

import binascii
import os
from collections.abc import Callable, Container, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import BufferTest, Datarep, Dataset, Rule
from contracts.collector import Piece

LARGEST = 256 << 20
DIGESTS_OF_FILES = {"filemd5": 16, "filesha1": 20, "filesha256": 32}
"""Lists of `filemd5` and its like: as md5sum(1) writes them, with what else stands in a line, and comments."""
DIGESTS = {"md5": 16, "sha256": 32, **DIGESTS_OF_FILES}
U16 = 65_535
OVERHEAD = 64
"""Bytes that a value costs beside its own, for `memcap`."""
KEPT_BYTES = 12 << 20
"""Of a set that is kept between runs: as it is written, it is a third larger at most."""

Reader = Callable[[str, str], bytes]
"""(the rule's file, the name that the rule gives) -> content; raises `OSError` or `ValueError`."""


class NotHandedOver(FileNotFoundError):
    """The core has not handed over a list of this path: the settings do not name it."""


def beside(rule_file: str, name: str) -> bytes:
    """Return the content of a list that lies relative to the file of its rule."""
    path = Path(rule_file).parent / name
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
    return content


def handed_over(lists: Iterable[Piece]) -> Reader:
    """Return the reader for one that opens no files: it has the lists that were handed over, by their paths."""
    known = {os.path.normpath(piece.path): piece for piece in lists}

    def read(rule_file: str, name: str) -> bytes:
        path = os.path.normpath(Path(rule_file).parent / name)
        piece = known.get(path)
        if piece is None:
            raise NotHandedOver(f"{path} is not among the files of collectors.traffic.lists")
        if piece.problem:
            raise ValueError(piece.problem)
        return piece.data

    return read


class Lists:
    """The sets of a ruleset. `resolve` takes the rules in their order and gives each the values of the lists it names."""

    def __init__(self, read: Reader = beside) -> None:
        self.found: set[str] = set()
        """Sets that are kept between runs, and whose file is there."""
        self._read = read
        self._values: dict[tuple[str, str, str, bool], dict[bytes, int]] = {}
        self._known: dict[tuple[str, bool], Dataset | Datarep] = {}

    def resolve(self, rule: Rule) -> None:
        """Fill in the types and values of a rule's lists; raises `Refused` for a list that cannot be had, or that is not as it was."""
        for match in lookups(rule):
            if match.type in DIGESTS_OF_FILES:
                # Such a list is its file, and a name is relative to the rule's: two rules may mean two files by one.
                match.name = f"{match.type}:{Path(rule.file).parent / match.load}"
            key = (match.name, isinstance(match, Datarep))
            known = self._known.get(key)
            if known is None:
                self._declare(rule, match)
                self._known[key] = match
            else:
                _agree(match, known)
                match.type, match.values, match.memcap = known.type, known.values, known.memcap
                if isinstance(match, Dataset) and isinstance(known, Dataset):
                    match.load, match.state, match.save_only = known.load, known.state, known.save_only

    def _declare(self, rule: Rule, match: Dataset | Datarep) -> None:
        word = match.type if match.type in DIGESTS_OF_FILES else type(match).__name__.lower()
        if not match.type:
            raise Refused(f"{word}: {match.name} has no type, and no rule before this one gives it one")
        if isinstance(match, Datarep) and not match.load:
            raise Refused(f"datarep: {match.name} has no list to load, and no rule before this one names it")
        file = match.load or (match.state if isinstance(match, Dataset) and not match.save_only else "")
        if not file:
            return
        key = (rule.file, file, match.type, isinstance(match, Datarep))
        if key not in self._values:
            try:
                content = self._read(rule.file, file)
                self._values[key] = dict(entries(content, match.type, isinstance(match, Datarep)))
            except FileNotFoundError as error:
                if match.load:
                    raise Refused(f"{word}: {file}: {_why(error)}") from None
                return  # a set that has not been kept yet
            except OSError as error:
                raise Refused(f"{word}: {file}: {_why(error)}") from None
            except ValueError as error:
                raise Refused(f"{word}: {file}: {error}") from None
        values = self._values[key]
        if match.type in DIGESTS_OF_FILES and not values:
            raise Refused(f"{word}: {file} names no file's digest")
        size = size_of(values)
        if match.memcap and size > match.memcap:
            raise Refused(f"{word}: {file} needs {size} bytes, more than its memcap of {match.memcap}")
        if isinstance(match, Dataset) and match.state and size > KEPT_BYTES:
            raise Refused(f"{word}: {file} needs {size} bytes; a set that is kept has {KEPT_BYTES >> 20} MiB at most")
        match.values = values
        if not match.load:
            self.found.add(match.name)


def lookups(rule: Rule) -> Iterator[Dataset | Datarep]:
    """Yield a rule's tests of lists."""
    for test in _tests(rule):
        for match in test.matches:
            if isinstance(match, Dataset | Datarep):
                yield match


def size_of(values: Iterable[bytes]) -> int:
    """Return what values cost, for `memcap`."""
    return sum(len(value) + OVERHEAD for value in values)


def unfilled(rules: Iterable[Rule], found: Container[str] = ()) -> dict[str, str]:
    """Return the sets that are kept between runs, that no rule here fills and whose file is not there: name -> file.

    Whoever asks them is answered wrongly.
    """
    tests = [match for rule in rules for match in lookups(rule) if isinstance(match, Dataset)]
    filled = {match.name for match in tests if match.cmd == "set"}
    return {
        match.name: match.state
        for match in tests
        if match.state and match.name not in filled and match.name not in found
    }


def value_of(kind: str, data: bytes) -> bytes | None:
    """Return a buffer's value as its set keeps it, None for one that is none of that type."""
    if kind in DIGESTS:
        return data if len(data) == DIGESTS[kind] else None
    if kind in ("ip", "ipv4"):
        try:
            return _packed(data.decode("ascii") if len(data) not in (4, 16) else data, kind)
        except ValueError:
            return None
    return data


def _tests(rule: Rule) -> list[BufferTest]:
    return [test for test in (rule.payload, rule.base64, *rule.buffers) if test is not None]


def _agree(match: Dataset | Datarep, known: Dataset | Datarep) -> None:
    """Refuse a set that another rule has declared as something else."""
    word = type(match).__name__.lower()
    if match.type and match.type != known.type:
        raise Refused(f"{word}: {match.name} is of type {known.type} by an earlier rule")
    if match.load and match.load != known.load:
        raise Refused(
            f"{word}: {match.name} is {f'loaded from {known.load}' if known.load else 'not loaded'} by an earlier rule"
        )
    if isinstance(match, Dataset) and isinstance(known, Dataset) and match.state and match.state != known.state:
        raise Refused(
            f"{word}: {match.name} is {f'kept in {known.state}' if known.state else 'not kept'} by an earlier rule"
        )


def entries(content: bytes, kind: str, rated: bool) -> Iterator[tuple[bytes, int]]:
    """Yield the values of a list's content, each with its reputation; raises `ValueError` that names the line."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        text = line.strip()
        if kind in DIGESTS_OF_FILES:
            text = text.partition(b"#")[0].partition(b" ")[0]
        if not text:
            continue
        try:
            value, comma, rest = text.partition(b",")
            if rated and not comma:
                raise ValueError("no reputation behind a comma")
            yield _value(value.strip(), kind), _reputation(rest.strip()) if comma else 0
        except ValueError as error:
            shown = text[:60].decode("ascii", "backslashreplace")
            raise ValueError(f'line {number}: "{shown}": {error}') from None


def written(kind: str, value: bytes) -> bytes:
    """Return the line of a list that `entries` reads as a value."""
    if kind in DIGESTS:
        return binascii.hexlify(value)
    if kind == "string":
        return binascii.b2a_base64(value, newline=False)
    return str(ip_address(value)).encode()


def _why(error: OSError) -> str:
    return str(error) if isinstance(error, NotHandedOver) else (error.strerror or str(error)).lower()


def _value(text: bytes, kind: str) -> bytes:
    """Return the value that a list's line writes."""
    if kind in DIGESTS:
        if len(text) != 2 * DIGESTS[kind]:
            raise ValueError(f"not {2 * DIGESTS[kind]} hexadecimal digits")
        return binascii.unhexlify(text)
    if kind == "string":
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            raise ValueError("not base64") from None
    return _packed(text.decode("ascii", "replace"), kind)


def _packed(address: str | bytes, kind: str) -> bytes:
    """Return an address as 4 or 16 bytes, one of IPv4 within IPv6 as 4; raises `ValueError` for one that is not of the kind."""
    found = ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    packed: bytes = (mapped or found).packed
    if kind == "ipv4" and len(packed) != 4:
        raise ValueError("not an IPv4 address")
    return packed


def _reputation(text: bytes) -> int:
    if not text.isdigit() or int(text) > U16:
        raise ValueError(f"the reputation is not a number from 0 to {U16}")
    return int(text)
