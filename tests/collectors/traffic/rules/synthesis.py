"""Bytes for the tests of a rule: a buffer that passes them, and the same with one byte of a match changed.

The bytes are laid out from what the rule says, match by match, without asking the matcher; it is asked at the end.
"""

import random

from collectors.traffic.rules.language.rule import (
    Bsize,
    BufferTest,
    ByteExtract,
    ByteJump,
    ByteTest,
    Content,
    IsDataAt,
    Number,
    Pcre,
    Urilen,
)
from tests.collectors.traffic.rules.expressions import example

FILLERS = b"QZ\x01~\xfe7"
OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "=": "!", "&": "0", "^": "="}


class Unmade(Exception):
    """No bytes could be laid out for these tests."""


class Layout:
    """The buffer while it is laid out. `fixed` are the positions that a match has taken, `spans` those of positive contents."""

    def __init__(self, filler: int, seed: random.Random, reserve: int) -> None:
        self.filler = filler
        self.seed = seed
        self.data = bytearray()
        self.fixed: set[int] = set()
        self.spans: list[tuple[int, Content]] = []
        self.values: dict[str, int] = {}
        self.pos = 0
        self.reserve = reserve
        self.size: tuple[int, int] | None = None
        self.ends = False
        self.least = 0

    def put(self, at: int, part: bytes) -> None:
        if at < 0 or at > 70_000:
            raise Unmade
        self.grow(at + len(part))
        for place, byte in enumerate(part, at):
            if place in self.fixed and self.data[place] != byte:
                raise Unmade
            self.data[place] = byte
            self.fixed.add(place)
        self.pos = at + len(part)

    def grow(self, size: int) -> None:
        if size > len(self.data):
            self.data += bytes((self.filler,)) * (size - len(self.data))

    def number(self, where: int | str | None) -> int:
        return where if isinstance(where, int) else self.values.get(str(where), 0) if where is not None else 0

    def add(self, match: object) -> None:
        if isinstance(match, Content):
            self.content(match)
        elif isinstance(match, Pcre):
            self.pcre(match)
        elif isinstance(match, IsDataAt):
            self.isdataat(match)
        elif isinstance(match, ByteTest):
            self.byte_test(match)
        elif isinstance(match, ByteJump):
            self.byte_jump(match)
        elif isinstance(match, ByteExtract):
            self.byte_extract(match)
        elif isinstance(match, Bsize | Urilen):
            self.sized(match.number)
        else:
            raise Unmade

    def content(self, content: Content) -> None:
        if content.negated:
            return
        if content.distance is not None or content.within is not None:
            at = max(self.pos + self.number(content.distance), 0)
        elif content.offset is not None or content.depth is not None:
            at = self.number(content.offset)
        else:
            at = max(len(self.data), self.reserve if not self.spans else 0)
        spare = 0
        if content.within is not None:
            spare = self.number(content.within) - len(content.pattern)
        elif content.depth is not None:
            spare = self.number(content.depth) - self.number(content.offset) - len(content.pattern)
        elif content.distance is not None or content.offset is not None:
            spare = 64
        for move in range(min(max(spare, 0), 200) + 1):
            if not any(at + move + i in self.fixed for i in range(len(content.pattern))):
                at += move
                break
        self.put(at, content.pattern)
        self.spans.append((at, content))
        self.ends |= content.endswith

    def pcre(self, match: Pcre) -> None:
        if match.negated:
            return
        text = example(match.pattern, match.flags, self.seed)
        if text is None:
            raise Unmade
        at = self.pos if match.relative else 0 if match.pattern[:1] == b"^" and not self.fixed else len(self.data)
        self.put(at, text)

    def isdataat(self, match: IsDataAt) -> None:
        at = self.number(match.at) + (self.pos if match.relative else 1)
        if match.negated:
            self.ends = True
        else:
            self.least = max(self.least, at)

    def place(self, offset: int | str, relative: bool) -> int:
        return self.number(offset) + (self.pos if relative else 0)

    def write(self, at: int, size: int, base: int, endian: str, value: int) -> int:
        before = self.pos
        if base:
            digits = {10: "%d", 16: "%x", 8: "%o"}[base] % value
            text = digits.rjust(size, "0").encode()
        else:
            if value < 0 or value >= 1 << (8 * size):
                raise Unmade
            text = value.to_bytes(size, "little" if endian == "little" else "big")
        if size and len(text) != size:
            raise Unmade
        self.put(at, text)
        self.pos = before
        return len(text)

    def byte_test(self, test: ByteTest) -> None:
        wanted = self.number(test.value)
        op = OPPOSITE[test.op] if test.negated else test.op
        value = {
            "=": wanted,
            "<": max(wanted - 1, 0),
            ">": wanted + 1,
            "&": wanted,
            "!": wanted + 1,
            "0": 0,
            "^": wanted + 1,
        }
        number = value.get(op, wanted)
        if test.bitmask:
            number <<= (test.bitmask & -test.bitmask).bit_length() - 1
        at, size = self.place(test.offset, test.relative), self.number(test.nbytes)
        here = bytes(self.data[at : at + size])
        if not test.base and len(here) == size and all(place in self.fixed for place in range(at, at + size)):
            return  # the bytes are part of a content: the rule means them as they are
        self.write(at, size, test.base, test.endian, number)

    def byte_jump(self, jump: ByteJump) -> None:
        at, size = self.place(jump.offset, jump.relative), self.number(jump.nbytes)
        here = bytes(self.data[at : at + size])
        taken = size
        if size and all(place in self.fixed for place in range(at, at + size)) and not jump.base:
            value = int.from_bytes(here, "little" if jump.endian == "little" else "big")
        else:
            value = 0
            taken = self.write(at, size, jump.base, jump.endian, value)
        value = value * jump.multiplier
        if jump.align:
            value = (value + 3) & ~3
        target = value + jump.post_offset
        target += {"": at + taken, "beginning": 0}.get(jump.origin, len(self.data))
        self.grow(target)
        self.pos = max(target, 0)

    def byte_extract(self, extract: ByteExtract) -> None:
        at = self.place(extract.offset, extract.relative)
        value = self.seed.randint(4, 9)
        taken = self.write(at, extract.nbytes, extract.base, extract.endian, value)
        self.values[extract.name] = value * extract.multiplier
        self.pos = at + taken

    def sized(self, number: Number) -> None:
        low, high = {
            "=": (number.low, number.low),
            "<": (0, number.low - 1),
            "<=": (0, number.low),
            ">": (number.low + 1, 1 << 20),
            ">=": (number.low, 1 << 20),
            "in": (number.low + 1, number.high - 1),
        }.get(number.op, (0, 1 << 20))
        self.size = (low, high) if self.size is None else (max(low, self.size[0]), min(high, self.size[1]))

    def finish(self) -> bytes:
        """Pad to the size that is asked for: behind the last match, or before one that has to stand at the end."""
        missing = max(self.size[0] if self.size else 0, self.least) - len(self.data)
        if missing > 0:
            if not self.ends:
                self.grow(len(self.data) + missing)
            else:
                raise Unmade
        if self.size and len(self.data) > self.size[1]:
            raise Unmade
        return bytes(self.data)


def layout(test: BufferTest, seed: random.Random, more: int = 0, fillers: bytes = FILLERS) -> Layout:
    """Return a layout that passes `test` if the words of the rule are understood; raises `Unmade`."""
    for match in test.matches:
        if (
            isinstance(match, Bsize | Urilen)
            and more < match.number.low < 4096
            and match.number.op in {"=", ">", ">=", "in"}
        ):
            # A free first content can make room for a size that is asked for.
            free = (
                match.number.low
                + (match.number.op in {">", "in"})
                - sum(len(m.pattern) for m in test.matches if isinstance(m, Content) and not m.negated)
            )
            more = max(more, free if seed.random() < 0.5 else 0)
    made = Layout(seed.choice(fillers), seed, more)
    for match in test.matches:
        made.add(match)
    return made


def altered(data: bytes, made: Layout) -> list[bytes]:
    """Return the buffer with one byte of one content changed (wherever else that content stands, too), for every byte of every content."""
    found = []
    for at, content in made.spans:
        low, pattern = data.lower(), data[at : at + len(content.pattern)].lower()
        for place in range(len(pattern)):
            changed = bytearray(data)
            there = at if low.find(pattern) < 0 else low.find(pattern)
            while there >= 0:
                changed[there + place] = data[there + place] ^ 0x15  # not a change of case
                there = low.find(pattern, there + 1)
            found.append(bytes(changed))
    return found
