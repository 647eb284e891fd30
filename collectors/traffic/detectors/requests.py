"""The HTTP requests of a block, each once when it begins and once when its answer is there, for the detectors that look at them."""

from dataclasses import dataclass

from collectors.traffic.detectors.memory import COPY, Memory
from collectors.traffic.protocols.http.transaction import COMPLETE, HttpTransaction
from collectors.traffic.protocols.news import Change, Transaction


@dataclass(slots=True)
class Answered:
    """A request with its answer: the flow's slot, the transaction, the status (0: none that can be read)."""

    slot: int
    tx: HttpTransaction
    status: int


class Requests:
    """Collects until `clear`: `begun` has the slot of each new request, `answered` those whose answer's head is there."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.begun: list[int] = []
        self.answered: list[Answered] = []
        self._streams: set[int] = set()

    def take(self, change: Change, tx: Transaction) -> None:
        """Take a change of an HTTP transaction."""
        memory, slot = self._memory, change.conversation.slot
        if not isinstance(tx, HttpTransaction) or memory.home[0, slot] == COPY:
            return
        number = tx.number + 1
        if number > memory.requests[slot]:
            memory.requests[slot] = number
            self.begun.append(slot)
        if tx.request >= COMPLETE:
            memory.asking[slot] = False
        if tx.done and number > memory.finished[slot]:
            memory.finished[slot] = number
            self.answered.append(_answered(slot, tx))

    def take_stream(self, change: Change, tx: Transaction) -> None:
        """Take a change of a stream of HTTP/2: answers may come in any order, and frames of the connection itself are no requests."""
        memory, slot = self._memory, change.conversation.slot
        if not isinstance(tx, HttpTransaction) or not tx.method or memory.home[0, slot] == COPY:
            return
        number = tx.number + 1
        if number > memory.requests[slot]:
            memory.requests[slot] = number
            self.begun.append(slot)
        if tx.request >= COMPLETE:
            memory.asking[slot] = False
        if tx.done and id(tx) not in self._streams:
            # It is over with this block: there are no changes of it later.
            self._streams.add(id(tx))
            self.answered.append(_answered(slot, tx))

    def clear(self) -> None:
        """Begin anew."""
        self.begun, self.answered = [], []
        self._streams.clear()


def _answered(slot: int, tx: HttpTransaction) -> Answered:
    return Answered(slot, tx, int(tx.stat_code) if tx.stat_code.isdigit() else 0)
