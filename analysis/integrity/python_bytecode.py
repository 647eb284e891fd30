"""Whether compiled Python is what its source compiles to: compiled again and compared as values, not as bytes. Pure.

`marshal` writes the same code in several ways (what is shared is marked by how often it was referred to meanwhile), so both sides are
read into plain values by a reader of our own, which builds nothing and runs nothing. Sources: PEP 552 (header), CPython's
`Python/marshal.c` of 3.11.
"""

import marshal
import struct
from typing import Any

HEADER = 16
MAGIC = struct.pack("<H", 3495) + b"\r\n"
"""Of CPython 3.11 (`Lib/importlib/_bootstrap_external.py`)."""
_DEPTH = 200
_FLAG_REF = 0x80


class NotCode(ValueError):
    """The bytes are no compiled Python of a version known here."""


def same_code(compiled: bytes, source: bytes, path: str, optimize: int = 0, magic: bytes = b"") -> bool | None:
    """Say whether `compiled` is what `source` compiles to; None when it is of another Python, so that it cannot be told.

    `magic` is the running interpreter's own, `MAGIC` by default: only its own kind can be made again. `path` is the file name in the code.
    """
    if compiled[:4] != (magic or MAGIC) or magic not in (b"", MAGIC):
        return None
    if len(compiled) < HEADER:
        return False
    try:
        ours = marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=optimize))
        return bool(values(compiled[HEADER:]) == values(ours))
    except (SyntaxError, NotCode, RecursionError, MemoryError):
        return False


def values(data: bytes) -> Any:
    """Return what marshalled data holds as nested tuples of plain values; raises `NotCode` for what is damaged or unknown."""
    try:
        reader = _Reader(data)
        found = reader.value(0)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise NotCode("the data ends early") from error
    if reader.at != len(data):
        raise NotCode("there is more after the end")
    return found


class _Reader:
    """Reads one marshalled value; what refers to an earlier value is that value again."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._seen: list[Any] = []

    def value(self, depth: int) -> Any:
        if depth > _DEPTH:
            raise NotCode("nested too deeply")
        code = self._data[self.at]
        self.at += 1
        kind = chr(code & ~_FLAG_REF)
        if kind == "r":
            return self._seen[self._number("<I")]
        slot = -1
        if code & _FLAG_REF:
            slot = len(self._seen)
            self._seen.append(None)
        found = self._plain(kind) if kind in _PLAIN else self._compound(kind, depth)
        if slot >= 0:
            self._seen[slot] = found
        return found

    def _plain(self, kind: str) -> Any:
        if kind in "NFTS.0":
            return ("single", kind)
        if kind == "i":
            return ("int", self._number("<i"))
        if kind == "g":
            return ("float", self._take(8))
        if kind == "y":
            return ("complex", self._take(16))
        if kind == "l":
            return self._long()
        if kind == "s":
            return ("bytes", self._take(self._number("<I")))
        if kind in "zZ":
            return ("str", self._take(self._number("<B")))
        return ("str", self._take(self._number("<I")))

    def _long(self) -> Any:
        count = self._number("<i")
        value = 0
        for place in range(abs(count)):
            value |= self._number("<H") << 15 * place
        return ("int", -value if count < 0 else value)

    def _compound(self, kind: str, depth: int) -> Any:
        if kind in "()[":
            count = self._number("<B" if kind == ")" else "<I")
            return ("list" if kind == "[" else "tuple", *(self.value(depth + 1) for _ in range(count)))
        if kind in "<>":
            # In no order of its own: compared by what it holds.
            held = [self.value(depth + 1) for _ in range(self._number("<I"))]
            return ("set", *sorted(held, key=repr))
        if kind == "c":
            # argcount, posonlyargcount, kwonlyargcount, stacksize, flags; then ten values with the first line number among them.
            numbers = struct.unpack("<5i", self._take(20))
            first = [self.value(depth + 1) for _ in range(8)]
            line = self._number("<i")
            return ("code", numbers, *first, line, *(self.value(depth + 1) for _ in range(2)))
        raise NotCode(f"a value of the unknown kind {kind!r}")

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _take(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) != count:
            raise NotCode("the data ends early")
        self.at += count
        return found


_PLAIN = frozenset("NFTS.0igylsuaAtzZ")
