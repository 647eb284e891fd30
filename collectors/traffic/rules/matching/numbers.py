"""Steps for byte_test, byte_jump, byte_extract and byte_math: a number read from the buffer, as binary or as digits."""

import re
from collections.abc import Callable

from collectors.traffic.rules.language.rule import ByteExtract, ByteJump, ByteMath, ByteTest
from collectors.traffic.rules.matching.state import NO, YES, Scan, Step

MASK = (1 << 64) - 1
_DIGITS = {
    8: re.compile(rb"[ \t-\r]*([+-]?)(?:0?)([0-7]+)"),
    10: re.compile(rb"[ \t-\r]*([+-]?)([0-9]+)"),
    16: re.compile(rb"[ \t-\r]*([+-]?)(?:0[xX](?=[0-9a-fA-F]))?([0-9a-fA-F]+)"),
}
MOST_DIGITS = 23


def _value(scan: Scan, number: int | str) -> int:
    return number if isinstance(number, int) else scan.state.values.get(number, 0)


def _signed(number: int) -> int:
    """Return the low 32 bits as a signed number, as Suricata takes offsets from variables."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def _place(scan: Scan, offset: int | str, relative: bool) -> int | None:
    """Return where to read, or None when there is nothing to be read."""
    at = offset if isinstance(offset, int) else _signed(_value(scan, offset))
    if relative:
        at += scan.pos
    return at if at >= 0 and scan.size and (at < scan.size or not relative) else None


Reader = Callable[[Scan, int, int], tuple[int, int] | None]


def _reader(base: int, endian: str, bitmask: int) -> Reader:
    """Return what reads (value, bytes taken) at a place, or None when there is no number of that many bytes."""
    shift = (bitmask & -bitmask).bit_length() - 1 if bitmask else 0

    def digits(scan: Scan, at: int, nbytes: int) -> tuple[int, int] | None:
        found = _DIGITS[base].match(scan.data, at, at + (nbytes or MOST_DIGITS))
        if not found:
            return None
        value = int(found[2], base)
        if value > MASK:
            return None
        if found[1] == b"-":
            value = -value & MASK
        return (value & bitmask) >> shift if bitmask else value, found.end() - at

    def binary(scan: Scan, at: int, nbytes: int) -> tuple[int, int] | None:
        little = scan.state.little if endian == "dce" else endian == "little"
        value = int.from_bytes(scan.data[at : at + nbytes], "little" if little else "big")
        return (value & bitmask) >> shift if bitmask else value, nbytes

    return digits if base else binary


def _read(
    scan: Scan, read: Reader, nbytes: int | str, offset: int | str, relative: bool
) -> tuple[int, int, int] | None:
    """Return (place, value, bytes taken), or None."""
    at = _place(scan, offset, relative)
    size = _value(scan, nbytes)
    if at is None or size > scan.size - at or size > MOST_DIGITS:
        return None
    found = read(scan, at, size)
    return None if found is None else (at, *found)


def test_step(test: ByteTest, then: Step | None) -> Step:
    """Return the step of byte_test."""
    read = _reader(test.base, test.endian, test.bitmask)
    holds = _COMPARE[test.op]

    def step(scan: Scan) -> int:
        found = _read(scan, read, test.nbytes, test.offset, test.relative)
        if found is None or holds(found[1], _value(scan, test.value)) == test.negated:
            return NO
        return YES if then is None else then(scan)

    return step


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": int.__eq__,
    "<": int.__lt__,
    ">": int.__gt__,
    "<=": int.__le__,
    ">=": int.__ge__,
    "&": lambda value, wanted: value & wanted != 0,
    "^": lambda value, wanted: value ^ wanted != 0,
}


def jump_step(jump: ByteJump, then: Step | None) -> Step:
    """Return the step of byte_jump."""
    read = _reader(jump.base, jump.endian, jump.bitmask)

    def step(scan: Scan) -> int:
        found = _read(scan, read, jump.nbytes, jump.offset, jump.relative)
        if found is None:
            return NO
        at, value, taken = found
        value *= jump.multiplier
        if jump.align:
            value = (value + 3) & ~3
        value = (value + jump.post_offset + (1 << 63)) % (1 << 64) - (1 << 63)
        if jump.origin == "end":
            value += scan.size
        elif not jump.origin:
            value += at + taken
        if value > scan.size:
            return NO
        scan.pos = max(value, 0)
        return YES if then is None else then(scan)

    return step


def extract_step(extract: ByteExtract, then: Step | None) -> Step:
    """Return the step of byte_extract. What is read counts as matched: relative tests go on behind it."""
    read = _reader(extract.base, extract.endian, 0)
    align = extract.align

    def step(scan: Scan) -> int:
        found = _read(scan, read, extract.nbytes, extract.offset, extract.relative)
        if found is None:
            return NO
        at, value, taken = found
        value = value * extract.multiplier & MASK
        if align:
            value = (value + align - 1) // align * align
        scan.pos = at + taken
        scan.state.values[extract.name] = value
        return YES if then is None else then(scan)

    return step


def math_step(math: ByteMath, then: Step | None) -> Step:
    """Return the step of byte_math."""
    read = _reader(math.base, math.endian, 0)
    shift = (math.bitmask & -math.bitmask).bit_length() - 1 if math.bitmask else 0

    def step(scan: Scan) -> int:
        found = _read(scan, read, math.nbytes, math.offset, math.relative)
        if found is None:
            return NO
        at, value, taken = found
        result = _compute(math.op, value, _value(scan, math.rvalue))
        if result is None:
            return NO
        result &= MASK
        if math.bitmask:
            result = (result & math.bitmask) >> shift
        scan.pos = at + taken
        scan.state.values[math.name] = result
        return YES if then is None else then(scan)

    return step


def _compute(op: str, value: int, by: int) -> int | None:
    match op:
        case "+":
            return value + by
        case "-":
            return value - by
        case "*":
            return value * by
        case "/":
            return value // by if by else None
        case "<<":
            return value << by if by < 64 else 0
    return value >> by if by < 64 else 0
