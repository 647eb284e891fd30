"""Which rules are worth evaluating: for a packet, by payload and stream; for a transaction, by its buffers."""

from collectors.traffic.decode.table import Table
from collectors.traffic.protocols.news import Transaction
from collectors.traffic.rules.engine.patterns import Pattern, Prefilter
from collectors.traffic.rules.engine.plan import BOTH, PACKET, TRANSACTION, Compiled
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.rules.language.rule import Transform
from collectors.traffic.rules.matching.transforms import Change, changes

Key = tuple[str, tuple[Transform, ...]]


class Prefilters:
    """The prefilters of a ruleset: one for packets, one for streams, one for each buffer of transactions."""

    def __init__(self, rules: list[Compiled]) -> None:
        self.rules = rules
        self._packets, self._streams = Prefilter(), Prefilter()
        self._buffers: dict[Key, Prefilter] = {}
        self._open: list[Compiled] = []
        self._open_tx: list[Compiled] = []
        self._transforms: dict[Key, Change | None] = {}
        for one in rules:
            self._sort(one)
        for prefilter in (self._packets, self._streams, *self._buffers.values()):
            prefilter.compile()

    def _sort(self, one: Compiled) -> None:
        if one.kind == PACKET:
            if one.fast is None:
                self._open.append(one)
                return
            self._packets.add(one.fast, one.order)
            self._streams.add(Pattern(one.fast.literal, one.fast.nocase), one.order)
        elif one.kind == TRANSACTION:
            if one.fast is None or one.fast_key is None or one.fast_key[0] == "payload":
                self._open_tx.append(one)
                return
            key: Key = one.fast_key  # type: ignore[assignment]
            if key not in self._buffers:
                self._buffers[key] = Prefilter()
                self._transforms[key] = changes(key[1])
            self._buffers[key].add(one.fast, one.order)

    def always_mask(self, table: Table) -> dict[int, list[Compiled]]:
        """Return nothing yet: rules without a pattern are looked at for every packet."""
        del table
        return {}

    def packet(self, packet: Packet, chunk: bytes, always: dict[int, list[Compiled]]) -> list[Compiled]:
        """Return the rules to evaluate for a packet and the stream bytes that came due with it, in order."""
        del always
        found: set[int] = set()
        if not packet.pseudo and packet.payload:
            found |= self._packets.rules(self._packets.find(packet.payload))
        if chunk and packet.protocol == TCP:
            found |= self._streams.rules(self._streams.find(chunk))
        candidates = [self.rules[number] for number in found]
        candidates += self._open
        candidates.sort(key=lambda one: one.order)
        return candidates

    def transaction(self, transaction: Transaction, protocol: str, to_client: bool, progress: int) -> list[Compiled]:
        """Return the rules to evaluate for a transaction: those whose pattern was in a buffer of it, and those without one."""
        del progress
        found: set[int] = set()
        for key, prefilter in self._buffers.items():
            change = self._transforms[key]
            for way in (False, True):
                for value in transaction.buffers(key[0], way):
                    found |= prefilter.rules(prefilter.find(change(bytes(value)) if change else bytes(value)))
        candidates = [self.rules[number] for number in found] + self._open_tx
        spoken = {protocol, transaction.protocol}
        candidates = [
            one
            for one in candidates
            if (one.direction in (BOTH, int(to_client))) and (one.applications is None or one.applications & spoken)
        ]
        candidates.sort(key=lambda one: one.order)
        return candidates
