"""ARP spoofing: a card that claims an address which is another card's. ARP proves nothing, so that what counts is contradiction.

An address that moves once (failover, a new machine) is told as such. A claim is spoofed when the address goes back and forth, or when a
card keeps answering for another one's address although nobody asked it. Announcements (gratuitous ARP) are not answers to nobody: failover
makes these.
"""

from collections import Counter, deque

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.options import ArpOptions
from collectors.traffic.detectors.voice import Voice
from contracts.event import Kind, Severity
from contracts.record import Record

_REQUEST, _ANSWER = 1, 2
_MOST = 4096
"""Addresses that are remembered; the one that was heard of longest ago goes first."""
_AT_ONCE_NS = 500_000_000
"""Within this time the same claim on another interface is the same packet."""
_ASKED_NS = 5_000_000_000
_KNOWN_NS = 1_800_000_000_000
"""How long a card is believed to have its address after it was last heard."""


class _Owner(Record, frozen=False):
    card: int
    first: int
    heard_ns: int
    others: dict[int, int] = {}
    changes: deque[int] = deque()
    unasked: deque[tuple[int, int]] = deque()


class ArpSpoofing:
    """Who claims which IPv4 address, per interface; honest networks have few ARP packets, so these are taken one by one."""

    def __init__(self, options: ArpOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice
        self._window_ns = int(options.window * 1e9)
        self._owners: dict[int, _Owner] = {}
        self._asked: dict[tuple[int, int], int] = {}
        self._recent: dict[tuple[int, ...], tuple[int, int]] = {}
        self.evicted = 0

    def feed(self, glance: Glance) -> None:
        """Take the ARP packets of a block; the same packet on several interfaces counts once."""
        arps, block, table = glance.table.arps, glance.block, glance.table
        if not len(arps):
            return
        packets = table.packet[arps.rows]
        fields = (
            arps.rows.tolist(),
            block.interface[packets].tolist(),
            block.time_ns[packets].tolist(),
            arps.fields.tolist(),
        )
        for row, interface, time_ns, one in zip(*fields, strict=True):
            before, where = self._recent.pop(one, (-(1 << 62), interface))
            if where != interface and time_ns - before < _AT_ONCE_NS:
                self._recent[one] = (before, where)
                continue
            if len(self._recent) >= _MOST:
                self._recent.pop(next(iter(self._recent)))
            self._recent[one] = (time_ns, interface)
            self._take(one, row, interface, time_ns)

    def _take(self, one: tuple[int, ...], row: int, interface: int, time_ns: int) -> None:
        operation, card, address, _, target = one
        if operation == _REQUEST and target != address:
            if len(self._asked) >= _MOST:
                self._asked.pop(next(iter(self._asked)))
            self._asked[target, address] = time_ns
        if not address:
            # A probe claims nothing yet (RFC 5227).
            return
        announces = target == address
        asked = time_ns - self._asked.get((address, target), -(1 << 62)) <= _ASKED_NS
        unasked = operation == _ANSWER and not announces and not asked
        owner = self._owners.pop(address, None)
        if owner is None or time_ns - owner.heard_ns > _KNOWN_NS:
            owner = _Owner(
                card=card, first=card, heard_ns=time_ns, others={}, changes=deque(maxlen=64), unasked=deque(maxlen=64)
            )
        self._owners[address] = owner
        if len(self._owners) > _MOST:
            self._owners.pop(next(iter(self._owners)))
            self.evicted += 1
        self._judge(owner, card, address, unasked, row, interface, time_ns)

    def _judge(
        self, owner: _Owner, card: int, address: int, unasked: bool, row: int, interface: int, time_ns: int
    ) -> None:
        contested = any(time_ns - heard <= _KNOWN_NS for other, heard in owner.others.items() if other != card)
        if card != owner.card:
            owner.others.pop(owner.card, None)
            owner.others[owner.card] = owner.heard_ns
            if len(owner.others) > 16:
                owner.others.pop(next(iter(owner.others)))
            contested = True
            owner.changes.append(time_ns)
            if card not in owner.others:
                self._say(kinds.ADDRESS_MOVED, owner, card, address, {"claims": 1.0}, {}, row, interface, time_ns)
            owner.card = card
        owner.others.pop(card, None)
        owner.heard_ns = time_ns
        if unasked:
            owner.unasked.append((time_ns, card))
        changes = sum(time_ns - at <= self._window_ns for at in owner.changes)
        unasked_by = Counter(who for at, who in owner.unasked if time_ns - at <= self._window_ns)
        # Of cards that take the address from each other in turns, the one that had it first is more likely to own it.
        rival = card if card != owner.first else next(reversed(owner.others), card)
        liar, answers = unasked_by.most_common(1)[0] if unasked_by else (rival, 0)
        options = self._options
        # Without another claim it is odd all the same: nothing honest keeps answering what nobody asks.
        often = options.unasked if contested else 3 * options.unasked
        if (contested and changes >= options.changes) or answers >= often:
            numbers = {"answers_nobody_asked_for": float(answers), "changes_of_card": float(changes)}
            limits = {"answers_nobody_asked_for": float(options.unasked), "changes_of_card": float(options.changes)}
            self._say(kinds.ARP_SPOOFED, owner, liar, address, numbers, limits, row, interface, time_ns)

    def _say(
        self,
        kind: Kind,
        owner: _Owner,
        card: int,
        address: int,
        numbers: dict[str, float],
        limits: dict[str, float],
        row: int,
        interface: int,
        time_ns: int,
    ) -> None:
        others = [other for other in (owner.card, *owner.others) if other != card]
        self._voice.say(
            Finding(
                kind=kind,
                subject=endpoint(4, 0, address),
                sender=mac(card),
                severity=Severity.MEDIUM if limits and not others else kind.severity,
                forgeable=True,
                method="arp",
                numbers=numbers,
                limits=limits,
                window_s=self._options.window if limits else 0,
                first_ns=min([time_ns, *owner.changes, *(at for at, _ in owner.unasked)]),
                last_ns=time_ns,
                interface=interface,
                senders=tuple(mac(other) for other in others),
                rows=(row,),
                protocol="arp",
            )
        )


def mac(number: int) -> str:
    """Return a hardware address as text."""
    return ":".join(f"{byte:02x}" for byte in int(number).to_bytes(6))
