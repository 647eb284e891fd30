"""What the flow table says of a block: which packets belong to which flow, and the flows that ended."""

import numpy as np

from collectors.traffic.block import I64, U8, Bools
from collectors.traffic.flows.groups import Groups
from collectors.traffic.flows.store import Columns

REUSED, TIMED_OUT, EVICTED, SHUT_DOWN = 1, 2, 3, 4
"""Why a flow ended: its ports began a new connection, silence, no room, the sensor stops."""


class Ended:
    """Flows that ended: their columns as they were at last, why (`REUSED` …), and the `slots` that `Batch.flow` called them by."""

    __slots__ = ("columns", "reason", "slots")

    def __init__(self, columns: Columns, reason: U8, slots: I64) -> None:
        self.columns = columns
        self.reason = reason
        self.slots = slots

    def __len__(self) -> int:
        return len(self.slots)


class Batch:
    """Which packets of a block belong to which flow.

    `rows` of the column table, by group: group g is `rows[starts[g] : ends[g]]`, in the order they came, all of flow `flow[g]` (a slot of
    `FlowTable.columns`); `new[g]` says that the flow begins with it. `to_client` goes with `rows`. A slot means the same flow from the
    batch in which it is new up to and including the batch in whose `ended` it is. `related` are rows of ICMP errors about a flow, with
    `related_flow` and `related_to_client`; they are in no group. `later` (by group) are the packets to the client that the flow's columns
    count though they come only behind this batch, where that is the part of a block; else there are none.
    """

    __slots__ = (
        "ended",
        "ends",
        "flow",
        "later",
        "new",
        "related",
        "related_flow",
        "related_to_client",
        "rows",
        "starts",
        "to_client",
    )

    def __init__(self) -> None:
        nothing = np.zeros(0, np.int64)
        self.rows: I64 = nothing
        self.starts: I64 = nothing
        self.ends: I64 = nothing
        self.flow: I64 = nothing
        self.later: I64 | None = None
        self.new: Bools = np.zeros(0, np.bool_)
        self.to_client: Bools = np.zeros(0, np.bool_)
        self.related: I64 = nothing
        self.related_flow: I64 = nothing
        self.related_to_client: Bools = np.zeros(0, np.bool_)
        self.ended: list[Ended] = []

    def flow_of_rows(self, count: int) -> I64:
        """Return the slot by row of the column table, -1 for rows without a flow."""
        slots = np.full(count, -1, np.int64)
        slots[self.rows] = np.repeat(self.flow, self.ends - self.starts)
        slots[self.related] = self.related_flow
        return slots

    def join(self, groups: Groups, flow: I64, new: Bools, to_client: Bools) -> None:
        """Add groups behind those that are there."""
        begin = len(self.rows)
        starts, ends = groups.starts + begin, groups.ends() + begin
        if not begin:
            self.rows, self.starts, self.ends, self.flow, self.new, self.to_client = (
                groups.rows,
                starts,
                ends,
                flow,
                new,
                to_client,
            )
            return
        self.rows = np.concatenate([self.rows, groups.rows])
        self.starts = np.concatenate([self.starts, starts])
        self.ends = np.concatenate([self.ends, ends])
        self.flow = np.concatenate([self.flow, flow])
        self.new = np.concatenate([self.new, new])
        self.to_client = np.concatenate([self.to_client, to_client])
