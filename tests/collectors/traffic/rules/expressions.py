"""A string for a regular expression: the shortest that its parts allow, by walking Python's own parse of it."""

import random
import re
import re._constants as c  # type: ignore[import-not-found,unused-ignore]
import re._parser as parser  # type: ignore[import-not-found,unused-ignore]
from typing import Any

_CATEGORIES = {
    c.CATEGORY_DIGIT: b"0123456789",
    c.CATEGORY_WORD: b"abcxyzABC0123_",
    c.CATEGORY_SPACE: b" ",
    c.CATEGORY_NOT_DIGIT: b"abcx",
    c.CATEGORY_NOT_WORD: b"-.;",
    c.CATEGORY_NOT_SPACE: b"abcx1",
}
_PLAIN = (
    b"abcdefxyzABCDEFXYZ0123456789-_=./&?:;,%+ \"'<>()[]{}@!#$*|\\^~`\r\n\t" + bytes(range(128, 256)) + bytes(range(32))
)


def example(pattern: bytes, flags: str, seed: random.Random) -> bytes | None:
    """Return bytes that the expression may match, or None when it is not one that Python can read."""
    options = (
        (re.IGNORECASE if "i" in flags else 0)
        | (re.DOTALL if "s" in flags else 0)
        | (re.VERBOSE if "x" in flags else 0)
    )
    try:
        tree = parser.parse(pattern, options)
    except (re.error, OverflowError, ValueError):
        return None
    return _Writer(seed).write(tree)


class _Writer:
    def __init__(self, seed: random.Random) -> None:
        self.seed = seed
        self.groups: dict[int, bytes] = {}

    def write(self, tree: Any) -> bytes:
        return b"".join(self.part(op, argument) for op, argument in tree)

    def part(self, op: Any, argument: Any) -> bytes:
        if op is c.LITERAL:
            return bytes((argument,))
        if op is c.NOT_LITERAL:
            return self.one({argument}, True)
        if op is c.ANY:
            return b"a"
        if op is c.IN:
            return self.among(argument)
        if op is c.BRANCH:
            return self.write(self.seed.choice(argument[1]))
        if op in {c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT}:
            low, high, tree = argument
            count = low if low or high == 0 else self.seed.choice((0, min(1, high)))
            return b"".join(self.write(tree) for _ in range(count))
        if op is c.SUBPATTERN:
            self.groups[argument[0]] = found = self.write(argument[3])
            return found
        if op is c.ATOMIC_GROUP:
            return self.write(argument)
        if op is c.GROUPREF:
            return self.groups.get(argument, b"")
        return b""

    def one(self, values: set[int], negated: bool) -> bytes:
        choices = [byte for byte in _PLAIN if (byte in values) != negated]
        return bytes((choices[0] if negated else self.seed.choice(choices or [0x61]),)) if choices else b"a"

    def among(self, items: Any) -> bytes:
        negated = bool(items) and items[0][0] is c.NEGATE
        values: set[int] = set()
        for op, argument in items:
            if op is c.LITERAL:
                values.add(argument)
            elif op is c.RANGE:
                values |= set(range(argument[0], argument[1] + 1))
            elif op is c.CATEGORY:
                values |= set(_CATEGORIES[argument])
                if negated and argument is c.CATEGORY_WORD:
                    values |= set(range(48, 58)) | set(range(65, 91)) | set(range(97, 123))
        return self.one(values, negated)
