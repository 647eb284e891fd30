"""Segments of one direction that wait: put in at any offset, overlaps resolved by the target's policy, taken out in order."""

from bisect import bisect_left
from typing import Final

from collectors.traffic.streams.policy import Policy, newcomer_wins

MAX_SEGMENTS: Final = 4096
"""So many segments of one direction wait at most: a flood of tiny ones costs no more than that."""


class Segments:
    """Pieces sorted by offset. Where two cover one byte, both hold the same value: the one that counts."""

    __slots__ = ("_end", "_longest", "_pieces", "_starts", "held")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes | bytearray] = []
        self._longest = 0
        self._end = 0
        """Nothing lies behind this offset."""
        self.held = 0
        """Bytes in all pieces."""

    def __len__(self) -> int:
        return len(self._starts)

    def first(self) -> int | None:
        """Return the offset of the first byte that waits."""
        return self._starts[0] if self._starts else None

    def begins_behind(self, offset: int) -> bool:
        """Return whether something waits, and the bytes at `offset` do not."""
        return bool(self._starts) and self._starts[0] > offset

    def contiguous(self, offset: int) -> int:
        """Return where the bytes from `offset` on first have a hole, or end."""
        starts, pieces = self._starts, self._pieces
        for place in range(len(starts)):
            if starts[place] > offset:
                break
            offset = max(offset, starts[place] + len(pieces[place]))
        return offset

    def insert(self, offset: int, data: bytes, policy: Policy) -> bool:
        """Put a segment in; returns whether bytes that wait were different ones."""
        if offset >= self._end or not self._starts:
            self._put(len(self._starts), offset, data)
            return False
        end = offset + len(data)
        place = bisect_left(self._starts, offset)
        behind = place == len(self._starts) or self._starts[place] >= end
        if behind and (place == 0 or self._starts[place - 1] + self._longest <= offset):
            self._put(place, offset, data)
            return False
        fresh = bytearray(data)
        overlapped = self._overlapped(place, offset, end)
        different = False
        for index in overlapped:
            different |= self._settle(index, offset, fresh, policy)
        for index in overlapped:
            start, piece = self._starts[index], bytearray(self._pieces[index])
            low, high = max(start, offset), min(start + len(piece), end)
            piece[low - start : high - start] = fresh[low - offset : high - offset]
            self._pieces[index] = piece
        self._put(place, offset, fresh)
        return different

    def _put(self, place: int, offset: int, data: bytes | bytearray) -> None:
        self._starts.insert(place, offset)
        self._pieces.insert(place, data)
        size = len(data)
        if size > self._longest:
            self._longest = size
        if offset + size > self._end:
            self._end = offset + size
        self.held += size

    def _overlapped(self, place: int, offset: int, end: int) -> list[int]:
        found = []
        index = place
        while index < len(self._starts) and self._starts[index] < end:
            found.append(index)
            index += 1
        index = place - 1
        while index >= 0 and self._starts[index] + self._longest > offset:
            if self._starts[index] + len(self._pieces[index]) > offset:
                found.append(index)
            index -= 1
        return found

    def _settle(self, index: int, offset: int, fresh: bytearray, policy: Policy) -> bool:
        """Take over into `fresh` what counts of piece `index`; returns whether the two were different."""
        start, piece = self._starts[index], self._pieces[index]
        end, old_end = offset + len(fresh), start + len(piece)
        low, high = max(start, offset), min(old_end, end)
        old = piece[low - start : high - start]
        if old == fresh[low - offset : high - offset]:
            return False
        if not newcomer_wins(policy, offset, end, start, old_end):
            fresh[low - offset : high - offset] = old
        return True

    def take(self, offset: int, limit: int) -> bytes:
        """Take out the bytes from `offset` on that follow each other without a hole, up to `limit`; what lies before goes, too."""
        starts, pieces = self._starts, self._pieces
        if starts and starts[0] == offset:
            size = len(pieces[0])
            if offset + size <= limit and (len(starts) == 1 or starts[1] > offset + size):
                # What honest traffic has: one piece, whole.
                self.held -= size
                del starts[0]
                if not starts:
                    self._longest = self._end = 0
                return bytes(pieces.pop(0))
        parts: list[bytes | bytearray] = []
        at, used, count = offset, 0, len(starts)
        while used < count:
            start, piece = starts[used], pieces[used]
            if start > at or start >= limit:
                break
            end = start + len(piece)
            if start == at and end <= limit:
                parts.append(piece)
                at = end
            elif end > at and at < limit:
                parts.append(piece[at - start : limit - start])
                at = min(end, limit)
            if end > limit:
                break
            used += 1
        self._drop(used)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def _drop(self, count: int) -> None:
        if count:
            for place in range(count):
                self.held -= len(self._pieces[place])
            del self._starts[:count], self._pieces[:count]
            if not self._starts:
                self._longest = self._end = 0

    def clear(self) -> None:
        """Forget everything."""
        self._drop(len(self._starts))
