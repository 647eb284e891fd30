"""What only few rows have: ARP's fields, and the header that an ICMP error quotes. Kept beside the column table, by row."""

from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64

QUOTE = np.dtype(
    [
        ("family", "u1"),
        ("protocol", "u1"),
        ("sport", "u2"),
        ("dport", "u2"),
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
    ]
)
"""The packet that an ICMP error is about, as it was sent: its source is who the error is sent to."""

ARP = np.dtype(
    [("operation", "u2"), ("sender_mac", "u8"), ("sender_ip", "u4"), ("target_mac", "u8"), ("target_ip", "u4")]
)


class Side:
    """`rows` of the column table in rising order, and `fields`, a structured array of the same length."""

    __slots__ = ("fields", "rows")

    def __init__(self, rows: I64, fields: npt.NDArray[Any]) -> None:
        self.rows = rows
        self.fields = fields

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def none(cls, layout: np.dtype[Any]) -> "Side":
        """Return one without rows."""
        return cls(np.zeros(0, np.int64), np.zeros(0, layout))


def merge(sides: list[Side]) -> Side:
    """Return all of them as one, with the rows in rising order."""
    filled = [side for side in sides if len(side)]
    if not filled:
        return sides[0]
    rows = np.concatenate([side.rows for side in filled])
    order = np.argsort(rows, kind="stable")
    return Side(rows[order], np.concatenate([side.fields for side in filled])[order])
