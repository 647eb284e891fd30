"""The kinds of flows, direction by direction: worked out once for a flow; the bytes of directions that no rule asks for need not wait."""

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, Bools
from collectors.traffic.decode.table import TRANSPORT
from collectors.traffic.flows.batch import Batch
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.rows import Rows
from collectors.traffic.rules.engine.view import TCP, UDP

_UNKNOWN = -1


class Followed:
    """Kinds by direction (slot * 2 + to client) of TCP's and UDP's flows, and by them which directions' bytes a rule may look at."""

    def __init__(self, kinds: HeaderKinds, group: int) -> None:
        """`group`: the headers of the rules that look at streams, among those of `kinds`."""
        self._kinds = kinds
        self._group = group
        self._kind: npt.NDArray[np.int32] = np.zeros(0, np.int32)

    def see(self, rows: Rows, batch: Batch) -> None:
        """Begin a block: find the kinds of directions that are new in it, and give all rows of known ones theirs."""
        if self._kinds.begin():
            self._kind[:] = _UNKNOWN
        table, chosen = rows.table, batch.rows
        # Others than these may have other ends than their flow: ICMP errors, fragments.
        whole = (table.protocol[chosen] == TCP) | (table.protocol[chosen] == UDP)
        whole &= table.flags[chosen] & np.uint16(TRANSPORT) != 0
        chosen = chosen[whole]
        if not len(chosen):
            return
        directions = rows.slots[chosen] * 2 + rows.sides[chosen]
        most = int(directions.max()) + 2
        if most > len(self._kind):
            self._kind = np.concatenate([self._kind, np.full(2 * most, _UNKNOWN, np.int32)])
        kinds = self._kind[directions]
        new = np.flatnonzero(kinds < 0)
        if len(new):
            which, first = np.unique(directions[new], return_index=True)
            self._kind[which] = self._kinds.of(rows, chosen[new[first]])
            kinds = self._kind[directions]
        rows.kinds[chosen] = kinds

    def wants(self, directions: I64) -> Bools:
        """Return which of some directions are followed; those of which nothing is known yet are."""
        found = np.ones(len(directions), np.bool_)
        if self._kinds.narrow[self._group]:
            known = np.flatnonzero(directions < len(self._kind))
            kinds = self._kind[directions[known]]
            found[known] = (kinds < 0) | self._kinds.wanted[kinds, self._group]
        return found

    def end(self, slots: I64) -> None:
        """Forget flows that ended."""
        slots = slots[slots * 2 < len(self._kind)]
        self._kind[slots * 2] = _UNKNOWN
        self._kind[slots * 2 + 1] = _UNKNOWN
