"""What rules ask of a flow as of one packet, while a block is already counted as a whole: packets, bytes, stream sizes, its beginning."""

from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.rules.language.rule import FieldTest, StreamSize

SYN, FIN = 0x02, 0x01
_SPACE = 1 << 32
_HALF = 1 << 31


class Counts:
    """Counts of the flows that are open, packet by packet; only what some rule asks for is kept."""

    def __init__(self, rules: list[Compiled]) -> None:
        tests = [test for one in rules for test in one.rule.tests]
        self._counting = any(isinstance(test, FieldTest) and test.name in ("flow.pkts", "flow.bytes") for test in tests)
        self._sizing = any(isinstance(test, StreamSize) for test in tests)
        self._begun: set[tuple[int, bool]] = set()
        self._counts: dict[int, list[int]] = {}
        self._streams: dict[int, list[tuple[int, int]]] = {}

    def see(self, packet: Packet) -> None:
        """Count a packet, and tell it what its flow is as of now."""
        slot = packet.slot
        if slot < 0:
            return
        packet.begins = (slot, packet.to_client) not in self._begun
        self._begun.add((slot, packet.to_client))
        if self._counting:
            have = self._counts.setdefault(slot, [0, 0, 0, 0])
            have[packet.to_client] += 1
            have[2 + packet.to_client] += packet.wire
            packet.counts = {"pkts": (have[0], have[1]), "bytes": (have[2], have[3])}
        if self._sizing and packet.protocol == TCP:
            if packet.accepted:
                self._grow(packet)
            packet.sizes = self.sizes(slot)

    def _grow(self, packet: Packet) -> None:
        """Move the end of what a side has sent: from its initial sequence number (midstream: the one before its first byte)."""
        row, table = packet.row, packet.table
        seq, flags = int(table.seq[row]), int(table.tcp_flags[row])
        end = seq + int(table.payload_len[row]) + bool(flags & SYN) + bool(flags & FIN)
        sides = self._streams.setdefault(packet.slot, [(-1, 0), (-1, 0)])
        first, size = sides[packet.to_client]
        if first < 0:
            first = seq if flags & SYN else (seq - 1) % _SPACE
        reach = (end - first) % _SPACE
        behind = (reach - size) % _SPACE
        if 0 < behind < _HALF:
            size += behind
        sides[packet.to_client] = (first, size)

    def sizes(self, slot: int) -> tuple[int, int] | None:
        """Return how much client and server have sent, None when nothing of it is known."""
        sides = self._streams.get(slot)
        return None if sides is None else (sides[0][1], sides[1][1])

    def forget(self, slot: int) -> None:
        """Drop what belongs to a flow that ended."""
        self._begun -= {(slot, False), (slot, True)}
        self._counts.pop(slot, None)
        self._streams.pop(slot, None)
