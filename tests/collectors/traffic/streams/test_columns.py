"""Sessions as columns."""

import numpy as np

from collectors.traffic.streams import columns as codes
from collectors.traffic.streams.columns import SessionColumns


def test_columns_grow_and_keep_what_they_have() -> None:
    known = SessionColumns(4)
    known.code[2] = codes.OPEN
    known.pairs["next"][1, 2] = 77
    known.grow(3)
    assert len(known.code) == 4
    known.grow(100)
    assert len(known.code) >= 100
    assert (known.code[2], known.pairs["next"][1, 2]) == (codes.OPEN, 77)
    assert known.memory_bytes() > 100 * 20 * 8


def test_a_cleared_slot_knows_nothing() -> None:
    known = SessionColumns(4)
    known.code[:] = codes.OPEN
    known.stamped[:] = known.loose[:] = known.ended[:] = True
    known.clear(np.array([1]))
    assert known.code.tolist() == [codes.OPEN, codes.NOTHING, codes.OPEN, codes.OPEN]
    assert not known.ended[:, 1].any()
    assert (known.pairs["fin"][:, 1] == -1).all()
