"""The faults in ASN.1 that the keyword `asn1` looks for: lengths and values that overflow what reads them."""

from collectors.traffic.rules.language.rule import Asn1

MOST_OBJECTS = 256
DEEPEST = 30
LONGEST_REAL = 256


def faulty(data: bytes, at: int, wanted: Asn1) -> bool:
    """Return whether the objects that begin at `at` have one of the faults that are asked for."""
    spans = [(at, len(data), 0)]
    for _ in range(MOST_OBJECTS):
        if not spans:
            return False
        at, end, depth = spans.pop()
        header = _header(data, at, end)
        if header is None:
            continue
        tag, begin, length = header
        if wanted.oversize_length and length > wanted.oversize_length:
            return True
        if _overflows(data, tag, begin, length, wanted):
            return True
        after = begin + length
        if after < end:
            spans.append((after, end, depth))
        if tag & 0x20 and depth < DEEPEST:
            spans.append((begin, min(after, end), depth + 1))
    return False


def _header(data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """Return (tag, where the content begins, its length), or None when there is no whole header."""
    if at + 2 > end:
        return None
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & 0x1F == 0x1F:
        return None
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 8 or at + count > end:
            return None
        length = int.from_bytes(data[at : at + count])
        at += count
    return tag, at, length


def _overflows(data: bytes, tag: int, begin: int, length: int, wanted: Asn1) -> bool:
    first = data[begin] if begin < len(data) and length else None
    if first is None:
        return False
    if wanted.bitstring_overflow and tag & 0x1F == 3 and not tag & 0xC0:
        return first > (length - 1) * 8
    if wanted.double_overflow and tag & 0x1F == 9 and not tag & 0xC0:
        return first & 0xC0 == 0 and length > LONGEST_REAL
    return False
