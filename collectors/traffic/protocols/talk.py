"""What is kept of a flow that has said something; and who its two ends are, looked up for all flows of a block at once."""

from typing import Final

from collectors.traffic.decode.table import Table
from collectors.traffic.flows.batch import Batch, Ended
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.account import Pair
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Parser

_FIELDS: Final = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "family")


class Talk:
    """One conversation on its way to its parser.

    `waiting` are bytes of a protocol that is not known yet, `first` the beginning of each side, `looked` whether it has shown what it can.
    `left`: nobody wants its bytes any more (nothing recognised them, they are encrypted, or the protocol has no parser). `told` counts the
    conversation's events that are news already; `expected` is the protocol that should follow (STARTTLS), while that is not known.
    `held` is what was kept of it as of the last look of the account, `since_ns` when that began, `marked`: it has said something since.
    """

    __slots__ = (
        "conversation",
        "expected",
        "facts",
        "first",
        "held",
        "left",
        "looked",
        "marked",
        "parser",
        "since_ns",
        "told",
        "waiting",
    )

    def __init__(self, slot: int, facts: Facts) -> None:
        self.conversation = Conversation(slot)
        self.conversation.datagrams = facts.datagrams
        self.facts = facts
        self.parser: Parser | None = None
        self.waiting: list[tuple[bool, bytes, int]] = []
        self.looked = [False, False]
        self.first = [b"", b""]
        self.left = False
        self.told = 0
        self.expected = ""
        self.held = 0
        self.since_ns = 0
        self.marked = False

    def size(self) -> int:
        """Return about how much memory is taken by what has not ended."""
        size = self.parser.held() if self.parser is not None else 0
        for _, data, _ in self.waiting:
            size += len(data)
        return size

    def ends(self) -> Pair:
        """Return the pair of ends that it is between; of IPv6 the networks of 64 bits, as one host has all of such a one."""
        facts = self.facts
        if facts.family == 6:
            return 6, (facts.client[0], 0), (facts.server[0], 0)
        return facts.family, facts.client, facts.server

    def leave(self) -> None:
        """Let go of all that is needed for reading: nobody wants any more of it."""
        self.left = True
        if self.parser is not None:
            self.parser.release()
            self.parser = None
        self.waiting = []
        self.first = [b"", b""]


class Ends:
    """The ends of the flows of a block, and of those that ended with it; made when the first new conversation asks."""

    def __init__(self, table: Table | None, batch: Batch | None, ended: list[Ended]) -> None:
        self._table = table
        self._batch = batch
        self._ended = ended
        self._live: dict[int, tuple[int, ...]] | None = None
        self._gone: dict[int, tuple[Columns, int]] | None = None

    def of(self, slot: int, datagrams: bool) -> Facts | None:
        """Return the ends of a flow that has packets in the block, None when it has none."""
        live = self._live
        if live is None:
            live = self._live = self._look()
        found = live.get(slot)
        if found is None:
            return None
        src_hi, src_lo, dst_hi, dst_lo, sport, dport, family, to_client = found
        if to_client:
            return Facts(dport, sport, (dst_hi, dst_lo), (src_hi, src_lo), datagrams, family)
        return Facts(sport, dport, (src_hi, src_lo), (dst_hi, dst_lo), datagrams, family)

    def of_ended(self, slot: int) -> Facts | None:
        """Return the ends of a flow that ended, None when it did not."""
        if self._gone is None:
            self._gone = {
                one: (ended.columns, place) for ended in self._ended for place, one in enumerate(ended.slots.tolist())
            }
        found = self._gone.get(slot)
        if found is None:
            return None
        columns, place = found
        src_hi, src_lo, dst_hi, dst_lo, sport, dport, family = (int(getattr(columns, name)[place]) for name in _FIELDS)
        return Facts(sport, dport, (src_hi, src_lo), (dst_hi, dst_lo), False, family)

    def _look(self) -> dict[int, tuple[int, ...]]:
        """Return by slot what the first packet of each flow says, and which way it goes."""
        table, batch = self._table, self._batch
        if table is None or batch is None:
            return {}
        rows = batch.rows[batch.starts]
        columns = [getattr(table, name)[rows].tolist() for name in _FIELDS]
        columns.append(batch.to_client[batch.starts].tolist())
        return dict(zip(batch.flow.tolist(), zip(*columns, strict=True), strict=True))
