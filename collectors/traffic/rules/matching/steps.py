"""Steps for everything but contents and numbers: pcre, isdataat, sizes, base64, sets, entropy, ASN.1."""

import math
from collections import Counter

from collectors.traffic.rules.language.rule import (
    Asn1,
    Base64Decode,
    Bsize,
    Datarep,
    Dataset,
    Entropy,
    IsDataAt,
    Pcre,
    Urilen,
)
from collectors.traffic.rules.matching.asn1 import faulty
from collectors.traffic.rules.matching.base64 import decode
from collectors.traffic.rules.matching.regex import Expression, TooHard
from collectors.traffic.rules.matching.state import NEVER, NO, YES, Scan, Step

FAR_OFF = 100_000_000
MOST_BASE64 = 65_535
CLOSE = 1e-9


def pcre_step(pcre: Pcre, then: Step | None) -> Step:
    """Return the step of a pcre; the expression is checked now (raises `Refused`) and compiled when it is first needed."""
    expression = Expression(pcre.pattern, pcre.flags)
    expression.check()
    relative, negated, again = pcre.relative, pcre.negated, pcre.next_relative
    captures = [
        (number, *name) for number, name in enumerate(pcre.captures, 1) if name[0] and number <= expression.groups
    ]

    def step(scan: Scan) -> int:
        before = scan.pos
        base = before if relative else 0
        data = scan.data[base:] if base else scan.data
        begin = 0
        while begin <= len(data):
            scan.steps -= 1
            if scan.steps <= 0:
                return NEVER
            try:
                found = expression.search(data, begin)
            except TooHard:
                scan.state.too_hard += 1
                return NO
            if (found is None) != negated:
                return NO
            if found is not None:
                begin = found.start() + 1
                scan.pos = base + found.end()
                for number, kind, name in captures:
                    value = found.group(number)
                    if value is not None:
                        scan.state.captures.append((kind, name, value))
            result = YES if then is None else then(scan)
            if result != NO or not again or found is None:
                return result
            scan.pos = before
        return NO

    return step


def isdataat_step(test: IsDataAt, then: Step | None) -> Step:
    """Return the step of isdataat: relative places may be the buffer's very end, others have to be inside it."""
    fixed = isinstance(test.at, int)
    fails = NEVER if fixed else NO

    def step(scan: Scan) -> int:
        at = test.at if isinstance(test.at, int) else scan.state.values.get(test.at, 0)
        if at >= FAR_OFF:
            there = False
        elif test.relative:
            there = scan.pos + at <= scan.size
        else:
            there = at < scan.size
        if there == test.negated:
            return NO if test.negated and test.relative else fails
        return YES if then is None else then(scan)

    return step


def bsize_step(test: Bsize, then: Step | None) -> Step:
    """Return the step of bsize; what came before a chunk counts."""

    def step(scan: Scan) -> int:
        if not test.number.holds(scan.size + scan.begin):
            return NEVER
        return YES if then is None else then(scan)

    return step


def urilen_step(test: Urilen, then: Step | None) -> Step:
    """Return the step of urilen: 16 bits, as much as fits."""

    def step(scan: Scan) -> int:
        if not test.number.holds(min(scan.size, 0xFFFF)):
            return NEVER
        return YES if then is None else then(scan)

    return step


def base64_step(test: Base64Decode, then: Step | None) -> Step:  # noqa: ARG001 - as every step
    """Return the step of base64_decode: it ends its buffer's tests and holds if those of base64_data do."""

    def step(scan: Scan) -> int:
        at = test.offset + (scan.pos if test.relative else 0)
        if test.offset and at >= scan.size:
            return NO
        decoded = decode(scan.data[at : at + (test.bytes or MOST_BASE64)])
        if scan.state.base64 is None or not decoded:
            return NO
        return YES if scan.state.base64(decoded, scan.state) else NO

    return step


def lookup_step(test: Dataset | Datarep, then: Step | None) -> Step:
    """Return the step of dataset and datarep."""

    def step(scan: Scan) -> int:
        if scan.state.lookup is None or not scan.state.lookup(test, scan.data):
            return NEVER
        return YES if then is None else then(scan)

    return step


def entropy_of(data: bytes) -> float:
    """Return Shannon's entropy in bits a byte."""
    if not data:
        return 0.0
    size = len(data)
    return -sum(count / size * math.log2(count / size) for count in Counter(data).values()) + 0.0


def _compares(test: Entropy, value: float) -> bool:
    match test.op:
        case "=":
            return abs(value - test.value) < CLOSE
        case "!=":
            return abs(value - test.value) >= CLOSE
        case "<":
            return value < test.value
        case "<=":
            return value <= test.value
        case ">":
            return value > test.value
        case ">=":
            return value >= test.value
    return (test.value < value < test.high) == (test.op == "in")


def entropy_step(test: Entropy, then: Step | None) -> Step:
    """Return the step of entropy."""

    def step(scan: Scan) -> int:
        if test.offset > scan.size or test.offset + test.bytes > scan.size:
            return NO
        part = scan.data[test.offset : test.offset + test.bytes if test.bytes else None]
        if not _compares(test, entropy_of(part)):
            return NO
        return YES if then is None else then(scan)

    return step


def asn1_step(test: Asn1, then: Step | None) -> Step:
    """Return the step of asn1."""

    def step(scan: Scan) -> int:
        if test.relative_offset is not None:
            at = scan.pos + test.relative_offset
        else:
            at = test.absolute_offset or 0
        if not 0 <= at < scan.size or not faulty(scan.data, at, test):
            return NO
        return YES if then is None else then(scan)

    return step
