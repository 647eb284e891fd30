"""Batches: groups are joined one behind the other, and every row is found again."""

import numpy as np

from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.groups import Groups
from collectors.traffic.flows.keys import Keys

NONE = np.zeros(0, np.uint64)
KEYS = Keys(NONE, NONE, NONE, np.zeros(0, np.bool_), NONE)


def test_joined_groups_keep_their_rows_and_slots() -> None:
    batch = Batch()
    for rows, starts, flow in (([4, 7, 1], [0, 2], [10, 11]), ([2, 3], [0, 1], [12, 10])):
        new, to_client = np.ones(len(flow), np.bool_), np.zeros(len(rows), np.bool_)
        batch.join(Groups(np.array(rows), np.array(starts), KEYS), np.array(flow), new, to_client)
    batch.related, batch.related_flow = np.array([0]), np.array([11])
    parts = [batch.rows[start:end].tolist() for start, end in zip(batch.starts, batch.ends, strict=True)]
    assert parts == [[4, 7], [1], [2], [3]]
    assert batch.flow_of_rows(9).tolist() == [11, 11, 12, 10, 10, -1, -1, 10, -1]
    assert len(batch.new) == 4 and len(batch.to_client) == 5
