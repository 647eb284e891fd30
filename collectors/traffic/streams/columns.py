"""Sessions in which nothing has been out of the ordinary, by the flow's slot: numpy arrays instead of an object each.

Offsets are those of `streams.side`: 0 is the byte behind the SYN. Index 0 of a pair of columns is what the client sends, 1 the server.
"""

from typing import Final

import numpy as np

from collectors.traffic.block import I64

NOTHING: Final = 0
SYN_SENT: Final = 1
SYN_RECV: Final = 2
OPEN: Final = 3
FINISHED: Final = 4
RESET: Final = 5
REFUSED: Final = 6
CAREFUL: Final = 7
"""How far a session is: none; SYN; SYN/ACK; established; both sides' FINs acknowledged; reset; the SYN answered by a reset; and a session
that is an object of its own (`streams.session`), because something about it asks for care."""

PAIRS: Final = ("base", "next", "acked", "limit", "window", "scale", "stamp", "seconds", "released", "fin")
"""`base` is the sequence number of offset 0, `next` where the sender goes on (its FIN counts one), `acked` and `limit` the receiver's
acknowledgement and right edge, `window` as announced last (scaled), `scale` the receiver's window scale, `stamp` (-1: none) and `seconds`
the last timestamp and when, `released` what has been handed on, `fin` the offset of the FIN, -1 without."""


class SessionColumns:
    """The columns; they grow with the flow table."""

    __slots__ = ("_pairs", "code", "ended", "loose", "pairs", "stamped")

    def __init__(self, count: int = 4096) -> None:
        self.code: I64 = np.zeros(count, np.int64)
        self.stamped = np.zeros(count, np.bool_)
        """Both sides use timestamps."""
        self.loose = np.zeros(count, np.bool_)
        """Picked up midstream: windows are not known."""
        self.ended = np.zeros((2, count), np.bool_)
        """The direction has no more bytes: its end, or its depth, was told."""
        self._keep(np.zeros((len(PAIRS), 2, count), np.int64))

    def _keep(self, pairs: I64) -> None:
        self._pairs = pairs
        self.pairs: dict[str, I64] = dict(zip(PAIRS, pairs, strict=True))

    def take(self, slot: int) -> dict[str, list[int]]:
        """Return one slot's pairs by name."""
        return dict(zip(PAIRS, self._pairs[:, :, slot].tolist(), strict=True))

    def put(self, slot: int, pairs: dict[str, tuple[int, int]]) -> None:
        """Set one slot's pairs, all of them, in the order of `PAIRS`."""
        self._pairs[:, :, slot] = list(pairs.values())

    def grow(self, count: int) -> None:
        """Make room for slots below `count`."""
        old = len(self.code)
        if count <= old:
            return
        count = max(count, 2 * old)
        for name in ("code", "stamped", "loose"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(count - old, column.dtype)]))
        self.ended = np.concatenate([self.ended, np.zeros((2, count - old), np.bool_)], axis=1)
        self._keep(np.concatenate([self._pairs, np.zeros((len(PAIRS), 2, count - old), np.int64)], axis=2))

    def clear(self, slots: I64) -> None:
        """Begin anew."""
        self.code[slots] = NOTHING
        self.stamped[slots] = self.loose[slots] = False
        self.ended[:, slots] = False
        self._pairs[:, :, slots] = 0
        self.pairs["fin"][:, slots] = self.pairs["stamp"][:, slots] = -1

    def memory_bytes(self) -> int:
        """Return what the arrays hold."""
        return self._pairs.nbytes + self.code.nbytes + self.stamped.nbytes + self.loose.nbytes + self.ended.nbytes
