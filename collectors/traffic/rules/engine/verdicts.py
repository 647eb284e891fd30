"""What comes of the rules that matched a packet: state changed, thresholds counted, pass and drop applied, alerts made."""

from dataclasses import dataclass

from collectors.traffic.protocols.news import Conversation, Transaction
from collectors.traffic.rules.engine.evaluate import owners
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.state import Memory
from collectors.traffic.rules.engine.thresholds import SPEAK, Thresholds
from collectors.traffic.rules.engine.view import Packet
from collectors.traffic.rules.language.rule import FlowBits, FlowInt, Rule, Threshold

Match = tuple[Compiled, Transaction | None, bool]
"""A rule that matched, on which transaction, and whether what it decides is for the whole flow (not when only this packet's own bytes
matched)."""

MAX_ALERTS = 15
"""Alerts kept of one packet, the most urgent rules first; one packet can finish any number of transactions (Suricata's stock limit)."""


@dataclass(slots=True)
class Alert:
    """One rule that spoke about one packet. `blocked`: in-line, and the packet was dropped."""

    rule: Rule
    packet: Packet
    transaction: Transaction | None
    conversation: Conversation | None
    blocked: bool


class Verdicts:
    """Carries out what matched, packet by packet.

    `discarded` counts the alerts that were too many for their packet; flows in `left` were passed or dropped and are not looked at.
    """

    def __init__(self, inline: bool) -> None:
        self.memory = Memory()
        self.thresholds = Thresholds()
        self.discarded = 0
        self._in_line = inline
        self.left: set[int] = set()
        self._spoken: dict[int, set[tuple[int, int, bool]]] = {}

    def take_over(self, former: "Verdicts") -> None:
        """Go on with what another ruleset has decided of flows; what is counted by rule begins anew."""
        self.memory, self.left, self.discarded = former.memory, former.left, former.discarded

    def forget(self, slots: list[int]) -> None:
        """Drop what belongs to flows that ended."""
        self.memory.forget(slots)
        self.left.difference_update(slots)
        if self._spoken:
            for slot in slots:
                self._spoken.pop(slot, None)

    def settle(self, packet: Packet, matched: list[Match], talk: Conversation | None) -> list[Alert]:
        """Return the alerts of a packet; rules behind one that passes it say nothing; later transactions go first."""
        alerts: list[Alert] = []
        matched.sort(key=lambda match: (match[0].order, -match[1].number if match[1] is not None else 0))
        for one, transaction, flow_wide in matched:
            rule = one.rule
            if not self._allowed(one, packet):
                continue
            if rule.action == "pass":
                if flow_wide and packet.slot >= 0:
                    self.left.add(packet.slot)
                if not rule.noalert:
                    alerts.append(Alert(rule, packet, transaction, talk, False))
                break
            drops = self._in_line and rule.action in ("drop", "reject", "rejectsrc", "rejectdst", "rejectboth")
            if drops and flow_wide and packet.slot >= 0:
                self.left.add(packet.slot)
            if rule.noalert or rule.action == "config":
                continue
            if len(alerts) >= MAX_ALERTS:
                self.discarded += 1
            else:
                alerts.append(Alert(rule, packet, transaction, talk, drops))
        return alerts

    def spoken(self, packet: Packet, one: Compiled, transaction: Transaction) -> bool:
        """Return whether the rule has matched this side of the transaction before; one for both sides, either of them."""
        said = self._spoken.get(packet.slot)
        return said is not None and self._key(packet, one, transaction) in said

    def speak(self, packet: Packet, one: Compiled, transaction: Transaction) -> None:
        """Note that the rule has matched this side of the transaction."""
        self._spoken.setdefault(packet.slot, set()).add(self._key(packet, one, transaction))

    @staticmethod
    def _key(packet: Packet, one: Compiled, transaction: Transaction) -> tuple[int, int, bool]:
        return one.order, transaction.number, packet.to_client and not one.within_tx

    def change(self, one: Compiled, packet: Packet) -> None:
        """Change the state that a rule changes, as soon as it has matched: rules behind it see that."""
        for change in one.changes:
            if isinstance(change, FlowBits):
                self.memory.change_bits(packet.slot, change)
            elif isinstance(change, FlowInt):
                self.memory.change_counter(packet.slot, change)
            else:
                self.memory.change_timed(owners(packet, change.track), change, packet.time_ns)

    def _allowed(self, one: Compiled, packet: Packet) -> bool:
        for threshold in (one.rule.detection_filter, one.rule.threshold):
            if threshold is not None:
                owner = _owner(threshold, packet)
                if self.thresholds.allow(one.order, threshold, owner, packet.time_ns) != SPEAK:
                    return False
        return True


def _owner(threshold: Threshold, packet: Packet) -> object:
    match threshold.track:
        case "by_src":
            return packet.source
        case "by_dst":
            return packet.destination
        case "by_both":
            return (packet.source, packet.destination)
        case "by_flow":
            return int(packet.flows.serial[packet.place]) if packet.slot >= 0 else None
    return None
