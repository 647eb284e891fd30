"""One rule held against one packet or transaction: header, flow, tests, state, and the tests of its bytes."""

from collections.abc import Hashable, Iterable

from collectors.traffic.protocols.news import Conversation, Transaction
from collectors.traffic.rules.engine import tests
from collectors.traffic.rules.engine.lookups import Loaded, Lookups
from collectors.traffic.rules.engine.plan import BOTH, BufferPart, Compiled
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.state import Memory
from collectors.traffic.rules.engine.view import BUFFERS as PACKET_BUFFERS
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.rules.engine.waiting import Work
from collectors.traffic.rules.language.rule import FlowInt, XBits
from collectors.traffic.rules.matching.state import State

NOTHING, MATCHED, IN_STREAM = range(3)


def owners(packet: Packet, track: str) -> list[Hashable]:
    """Return whose bits a keyword means: hosts, or the pair of them."""
    match track:
        case "ip_src":
            return [("host", packet.source)]
        case "ip_dst":
            return [("host", packet.destination)]
        case "ip_both":
            return [("host", packet.source), ("host", packet.destination)]
    return [("pair", min(packet.source, packet.destination), max(packet.source, packet.destination))]


def _spoken(one: Compiled, talk: Conversation, transaction: Transaction) -> bool:
    """Return whether the rule is for the conversation's protocol, or for the one in which the transaction was begun."""
    return one.applications is None or talk.protocol in one.applications or transaction.protocol in one.applications


class Evaluator:
    """Evaluates whole rules; the bits and counters they ask for are `memory`'s."""

    def __init__(self, sets: HeaderSets, memory: Memory, lists: Iterable[Loaded] = ()) -> None:
        self._sets = sets
        self.memory = memory
        self.lookups = Lookups(lists)

    def packet(self, one: Compiled, packet: Packet, talk: Conversation | None, work: Work | None, proven: bool) -> int:
        """Return whether a rule about packets and streams matches: `NOTHING`, `MATCHED`, or `IN_STREAM` by bytes of the stream.

        `proven`: `Needs` has found that header, direction and the flow's state hold.
        """
        if not proven and not self._fits(one, packet):
            return NOTHING
        if not self._common(one, packet):
            return NOTHING
        if one.applications is not None and (
            talk is None or talk.protocol not in one.applications or not self._parsed(packet)
        ):
            return NOTHING
        if one.app_tests and not self._application(one, packet, talk, work):
            return NOTHING
        if one.events and not (work is not None and work.events.issuperset(one.events)):
            return NOTHING
        if not one.packet_parts:
            return MATCHED if one.payload is None else self._payload(one, packet, work, None)
        state = self._state()
        for part in one.packet_parts:
            if packet.pseudo or not self._value(part, PACKET_BUFFERS[part.name](packet), state):
                return NOTHING
        return MATCHED if one.payload is None else self._payload(one, packet, work, state)

    def transaction(
        self,
        one: Compiled,
        packet: Packet,
        talk: Conversation,
        transaction: Transaction,
        reached: tuple[int, int],
        chunk: bytes,
        proven: bool,
    ) -> bool:
        """Return whether a rule about transactions matches one of them now; `reached` is how far this side is, and the other."""
        progress, across = reached
        if not proven and not self._fits(one, packet):
            return False
        to_client = packet.to_client
        if one.hook_progress is not None and (one.hook_progress[0] != to_client or progress < one.hook_progress[1]):
            return False
        for side, first, last in one.reach:
            if side != to_client or not first <= progress <= last:
                return False
        for timed in one.timed:
            if not timed(transaction, to_client, packet.time_ns // 1_000_000_000):
                return False
        for test in one.tx_checks:
            if not test(transaction, to_client, one.direction != BOTH):
                return False
        if not self._common(one, packet) or not _spoken(one, talk, transaction):
            return False
        if one.app_tests and not self._application(one, packet, talk, None):
            return False
        state = self._state()
        for part in one.parts:
            way = to_client if part.side == BOTH else bool(part.side)
            if way != to_client and not one.within_tx:
                return False
            if way != to_client and across < part.whole:
                return False
            if not self._part(part, transaction, way, progress if way == to_client else across, state):
                return False
        for part in one.packet_parts:
            if packet.pseudo or not self._value(part, PACKET_BUFFERS[part.name](packet), state):
                return False
        if one.payload is None:
            return True
        return one.payload(chunk, state) if packet.protocol == TCP else one.payload(packet.payload, state)

    def _part(self, part: BufferPart, transaction: Transaction, way: bool, progress: int, state: State) -> bool:
        if progress < part.whole and not transaction.done:
            return False
        values = transaction.buffers(part.name, way)
        whole = not transaction.growing(part.name)
        if not values:
            return part.absent and part.match(None, state)
        for value in values:  # noqa: SIM110 - a generator costs more than the test
            if part.match(bytes(value), state, 0, whole):
                return True
        return False

    def _value(self, part: BufferPart, value: bytes, state: State) -> bool:
        return part.match(value, state) if value else part.absent

    def _parsed(self, packet: Packet) -> bool:
        return packet.protocol != TCP or packet.established or packet.streamed

    def _fits(self, one: Compiled, packet: Packet) -> bool:
        """Return whether header, direction and the state of the flow are the rule's."""
        if packet.family not in one.families or (one.protocols is not None and packet.protocol not in one.protocols):
            return False
        if one.direction != BOTH and (packet.slot < 0 or packet.to_client != bool(one.direction)):
            return False
        ends = (packet.family, packet.source, packet.sport, packet.destination, packet.dport)
        if not self._sets.holds(one.header, *ends) and not (
            one.header_back >= 0 and self._sets.holds(one.header_back, *ends)
        ):
            return False
        return one.flow is None or one.flow(packet)

    def asks_in_vain(self, one: Compiled, slot: int) -> bool:
        """Return whether the bits of a flow are not as the rule asks."""
        if slot < 0:
            return True
        for look in one.bits:  # noqa: SIM110 - a generator costs more than the test
            if not self.memory.bits_hold(slot, look):
                return True
        return False

    def _common(self, one: Compiled, packet: Packet) -> bool:
        if packet.pseudo and one.of_packet:
            return False
        if one.bits and self.asks_in_vain(one, packet.slot):
            return False
        for look in one.looks:
            if not self._state_holds(look, packet):
                return False
        for check in one.checks:  # noqa: SIM110 - a generator costs more than the test
            if not check(packet):
                return False
        return True

    def _state_holds(self, look: FlowInt | XBits, packet: Packet) -> bool:
        if isinstance(look, FlowInt):
            return packet.slot >= 0 and self.memory.counter_holds(packet.slot, look)
        return self.memory.timed_holds(owners(packet, look.track), look, packet.time_ns)

    def _application(self, one: Compiled, packet: Packet, talk: Conversation | None, work: Work | None) -> bool:
        if talk is None:
            return False
        if one.detected_only and not (work is not None and work.detected):
            return False
        found = talk.protocol
        sides = (talk.by_side[0] or found, talk.by_side[1] or found)
        return all(
            tests.application(test, sides, found, talk.original or found, packet.to_client) for test in one.app_tests
        )

    def _payload(self, one: Compiled, packet: Packet, work: Work | None, state: State | None) -> int:
        """Look at the stream first, then at the packet, for rules that are for both; places count from the piece's first byte."""
        assert one.payload is not None
        literal = one.literal
        if packet.protocol == TCP and one.requires_stream:
            chunk = work.chunk if work is not None else b""
            if chunk and literal in chunk and one.payload(chunk, state or self._state()):
                return IN_STREAM
            if packet.streamed and not one.requires_packet:
                return NOTHING
        if packet.pseudo or (not packet.payload and packet.protocol == TCP) or literal not in packet.payload:
            return NOTHING
        return MATCHED if one.payload(packet.payload, self._state()) else NOTHING

    def _state(self) -> State:
        state = State()
        state.lookup = self.lookups.holds
        return state
