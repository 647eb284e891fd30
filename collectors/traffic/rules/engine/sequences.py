"""Contents that stand at fixed places from each other, or from the beginning of the payload, put together to one pattern.

One rule's `05` at the first byte and `00 0f` twenty bytes on are weak patterns each, together a strong one.
"""

from collections.abc import Iterator

from collectors.traffic.rules.engine.patterns import Pattern
from collectors.traffic.rules.language.rule import BufferTest, ByteTest, Content, IsDataAt

MOST_GAP, MOST_SPAN = 64, 160
"""Bytes between two contents, and from the first to the last one: beyond that Hyperscan would pay more than it saves."""

Piece = tuple[int, bytes, bool]
"""Where a content begins, its bytes, and whether case does not matter."""


def sequences(test: BufferTest) -> Iterator[tuple[Pattern, bytes]]:
    """Yield patterns of several contents of which each has to be there if the test is to hold, with all the bytes that they name."""
    head: list[Piece] = []
    for anchored, chain in _chains(test):
        if anchored:
            head += chain
        elif len(chain) > 1 and (made := _made(chain, False)) is not None:
            yield made
    if len(head) > 1 and (made := _made(_clear(head), True)) is not None:
        yield made


def _chains(test: BufferTest) -> Iterator[tuple[bool, list[Piece]]]:
    """Yield runs of contents that follow each other at fixed distances, and whether they are bound to the beginning."""
    anchored, end = True, 0
    chain: list[Piece] = []
    for match in test.matches:
        if isinstance(match, ByteTest | IsDataAt) or (isinstance(match, Content) and match.negated):
            # Neither moves the place from which the next one counts.
            continue
        if not isinstance(match, Content) or not match.pattern:
            yield anchored, chain
            anchored, end, chain = False, -1, []
            continue
        length = len(match.pattern)
        at = _follows(match, end) if match.relative else _stands(match)
        fixed = at is not None and (not match.relative or end >= 0)
        if not (fixed and match.relative and (chain or anchored)):
            yield anchored, chain
            chain = []
            anchored, at = fixed and not match.relative, at if fixed and not match.relative else 0
        assert at is not None
        chain.append((at, match.pattern, match.nocase))
        end = at + length
    yield anchored, chain


def _stands(match: Content) -> int | None:
    """Return the only place at which a content may stand, None for several."""
    offset = match.offset if match.offset is not None else 0
    if not isinstance(offset, int) or not isinstance(match.depth, int):
        return None
    return offset if match.depth - offset == len(match.pattern) else None


def _follows(match: Content, end: int) -> int | None:
    """Return the only place at which a content may stand behind one that ends at `end`, None for several."""
    distance = match.distance if match.distance is not None else 0
    if not isinstance(distance, int) or distance < 0 or match.within != len(match.pattern):
        return None
    return end + distance


def _clear(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces in order, without those that begin before the one before has ended."""
    found: list[Piece] = []
    for piece in sorted(pieces):
        if not found or piece[0] >= found[-1][0] + len(found[-1][1]):
            found.append(piece)
    return found


def _made(pieces: list[Piece], anchored: bool) -> tuple[Pattern, bytes] | None:
    """Return the pattern of pieces that are near enough to each other, and the bytes that it names."""
    parts: list[str] = ["^"] if anchored else []
    first = at = 0 if anchored else pieces[0][0]
    named = b""
    for begin, literal, nocase in pieces:
        end = begin + len(literal)
        if begin - at > MOST_GAP or end - first > MOST_SPAN:
            break
        text = "".join(f"\\x{byte:02x}" for byte in literal)
        parts.append((f".{{{begin - at}}}" if begin > at else "") + (f"(?i:{text})" if nocase else text))
        at, named = end, named + literal
    if not named:
        return None
    return Pattern(b"", last=at if anchored else 0, expression="".join(parts), span=at - first), named
