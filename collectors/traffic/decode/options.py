"""Options of IPv4 and TCP headers: type, length, value; walked for many packets in step, at most 40 steps."""

from dataclasses import dataclass

import numpy as np

from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.decode.span import Span

_END, _NOTHING = 0, 1
_STEPS = 40
"""A header has at most 40 bytes of options."""


@dataclass(frozen=True)
class Options:
    """`known`: option number -> the least and most length it may have (with its two first bytes); `bare` may come without a value, too."""

    known: dict[int, tuple[int, int]]
    bare: int = -1

    def tables(self) -> tuple[I64, I64]:
        """Return least and most length by option number; unknown ones have a least length of 0."""
        least, most = np.zeros(256, np.int64), np.full(256, 255, np.int64)
        for number, (low, high) in self.known.items():
            least[number], most[number] = low, high
        return least, most


class Walked:
    """What was off, by index of the span; and where known options are: `places[number]` is -1 or a position in the data."""

    def __init__(self, count: int) -> None:
        self.bad_length = np.zeros(count, np.bool_)
        self.bad_size = np.zeros(count, np.bool_)
        self.duplicate = np.zeros(count, np.bool_)
        self.unknown = np.zeros(count, np.bool_)
        self.unfinished = np.zeros(count, np.bool_)


def walk(data: U8, span: Span, options: Options) -> Walked:
    """Walk the options at `span`: a length that does not fit ends a packet's walk, other faults do not."""
    walked = Walked(len(span))
    least, most = options.tables()
    seen = np.zeros((len(span), 4), np.uint64)
    index, at, end = np.arange(len(span)), span.start, span.end
    for _ in range(_STEPS):
        going = (at < end) & (data[at] != _END)
        index, at, end = index[going], at[going], end[going]
        if not len(index):
            break
        kind = data[at]
        single = kind == _NOTHING
        alone = ~single & (at + 1 >= end)
        walked.unfinished[index[alone]] = True
        length = np.where(single, 1, data[at + 1]).astype(np.int64)
        wrong = ~single & ~alone & ((length < 2) | (at + length > end))
        walked.bad_length[index[wrong]] = True
        good = ~(alone | wrong)
        _judge(walked, seen, index, kind, length, good & ~single, (least, most), options.bare)
        index, at, end = index[good], (at + length)[good], end[good]
    return walked


def _judge(
    walked: Walked,
    seen: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
    index: I64,
    kind: U8,
    length: I64,
    valued: Bools,
    sizes: tuple[I64, I64],
    bare: int,
) -> None:
    index, kind, length = index[valued], kind[valued], length[valued]
    if not len(index):
        return
    least, most = sizes
    known = least[kind] > 0
    walked.unknown[index[~known]] = True
    fits = (length >= least[kind]) & (length <= most[kind]) | ((kind == bare) & (length == 2))
    walked.bad_size[index[known & ~fits]] = True
    word, bit = kind >> 6, np.uint64(1) << (kind & 63).astype(np.uint64)
    again = known & ((seen[index, word] & bit) != 0)
    walked.duplicate[index[again]] = True
    seen[index, word] |= bit
