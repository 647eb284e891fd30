"""The traffic of one server as its page shows it: how the sensor stands, its interfaces and drops, who talks most, which protocols."""

from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import read, unread_words
from console.web.sight_view import dated, sight_of, why_empty
from contracts.subjects.traffic import RULES, SENSOR, SUBJECT, Interface, Row, Rules, Sensor

MAX_PEERS = 10
MAX_PROTOCOLS = 20
NOT_THERE = words.Sign("Not there", "down", "bad", "There is no interface of this name: its traffic is not seen.")
DOWN = words.Sign("Down", "down", "bad", "The interface is administratively down: nothing can come over it.")
NO_CARRIER = words.Sign(
    "No carrier", "down", "bad", "The interface is up, but has no carrier: nothing can come over it."
)
STANDING_STILL = {"down": DOWN}
DROPPING = words.Sign("Dropping", "degraded", "bad", "The kernel drops packets before the sensor has read them.")
DROPPED = words.Sign("Has dropped", "late", "warn", "Packets were dropped since the sensor began, none lately.")
WHOLE = words.Sign("All read", "up", "good", "Every packet that the kernel saw was read.")


class InterfaceRow(NamedTuple):
    """One interface, in words."""

    key: str
    name: str
    sign: words.Sign
    seen: str
    dropped: str


class PeerRow(NamedTuple):
    """One address of those with the most bytes lately."""

    key: str
    address: str
    sent: str
    received: str
    flows: str


class ProtocolRow(NamedTuple):
    """One protocol."""

    key: str
    name: str
    conversations: str
    transactions: str


class TrafficView(NamedTuple):
    """The section: facts by name, the tables, or the reason why there are none."""

    summary: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    interfaces: tuple[InterfaceRow, ...]
    peers: tuple[PeerRow, ...]
    protocols: tuple[ProtocolRow, ...]
    word: str
    reason: str
    dated: str


def traffic_view(detail: AgentDetail, subject: Subject | None) -> TrafficView:
    """Return what the sensor reported last."""
    sight = sight_of(detail.coverage, SUBJECT)
    rows, unread, example = read(subject.rows, Row) if subject else ({}, 0, "")
    word, reason = why_empty(sight, subject, "numbers of the sensor")
    sensor = rows[SENSOR].sensor if SENSOR in rows else None
    rules = rows[RULES].rules if RULES in rows else None
    interfaces = tuple(_interfaces(rows))
    bad = any(row.sign in (NOT_THERE, DOWN, NO_CARRIER, DROPPING) for row in interfaces) or (
        sight is not None and sight.state == "unseen"
    )
    return TrafficView(
        summary=_summary(sensor),
        tone="warn" if bad else "",
        facts=tuple(_facts(sensor, rules)),
        interfaces=interfaces,
        peers=tuple(_peers(rows)),
        protocols=tuple(_protocols(rows)),
        word=word,
        reason=reason,
        dated=" ".join(part for part in (dated(sight, subject), unread_words(unread, example)) if part),
    )


def _summary(sensor: Sensor | None) -> str:
    if sensor is None:
        return ""
    rate = f"{sensor.packets_per_s:,.0f} packets/s, {words.size(int(sensor.bytes_per_s))}/s"
    return f"{rate}, {words.plural(sensor.flows, 'flow')}, {words.plural(sensor.alerts, 'alert')}"


def _facts(sensor: Sensor | None, rules: Rules | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if rules is not None:
        text = f"{rules.loaded:,} in use, {rules.refused:,} refused"
        more = "; others are being loaded" if rules.loading else f"; {rules.problem}" if rules.problem else ""
        found.append(("Rules", text + more))
    if sensor is not None:
        held = f"{sensor.alerts:,}, of which {sensor.held_back:,} were counted instead of stated"
        found.append(("Alerts", f"{held}; {sensor.banned:,} more of banned sources, {sensor.suppressed:,} not wanted"))
        again = f"{sensor.findings:,} of detectors; {sensor.findings_repeated:,} not told again, as equal ones had been"
        found.append(("Findings", f"{again}, {sensor.findings_banned:,} of banned sources"))
        given = f", {sensor.flows_evicted:,} given up" if sensor.flows_evicted else ""
        found.append(("Flows", f"{sensor.flows:,} now, {sensor.flows_begun:,} in all{given}"))
        found.append(("Lag", f"{sensor.lag_ms:,.0f} ms at most"))
        found.append(("Memory", f"{words.size(sensor.memory_bytes)} of tables"))
        cut = f", {words.plural(sensor.bodies_cut, 'conversation')} cut" if sensor.bodies_cut else ""
        found.append(("Unfinished", f"{words.size(sensor.bodies_bytes)} of requests, bodies and files{cut}"))
        found.append(
            ("Evidence", f"{words.plural(sensor.evidence, 'capture')} kept, {sensor.evidence_left_out:,} left out")
        )
        if sensor.flow_records or sensor.flow_records_left_out:
            made = f"{sensor.flow_records:,} of flows that ended, {sensor.flow_records_left_out:,} left out"
            found.append(("Records", made))
        unread = (
            f"{sensor.encrypted_share:.0f} % of bytes encrypted, {words.plural(sensor.undecoded, 'malformed packet')}"
        )
        found.append(("Not read", f"{unread}, {words.plural(sensor.parsers_broken, 'parser')} broken"))
    return found


def _interfaces(rows: dict[str, Row]) -> list[InterfaceRow]:
    found = []
    for key, row in sorted(rows.items()):
        one = row.interface
        if one is None:
            continue
        sign = _sign(one)
        dropped = f"{one.dropped:,} ({one.drop_share:.2f} % lately)" if one.dropped else "none"
        found.append(InterfaceRow(key, key.partition(" ")[2], sign, f"{one.seen:,}", dropped))
    return found


def _sign(one: Interface) -> words.Sign:
    if not one.present:
        return NOT_THERE
    if one.standstill:
        return STANDING_STILL.get(one.standstill, NO_CARRIER)
    return DROPPING if one.drop_share else DROPPED if one.dropped else WHOLE


def _peers(rows: dict[str, Row]) -> list[PeerRow]:
    known = [(key, row.peer) for key, row in rows.items() if row.peer is not None]
    known.sort(key=lambda one: -one[1].bytes_sent - one[1].bytes_received)
    return [
        PeerRow(
            key, key.partition(" ")[2], words.size(peer.bytes_sent), words.size(peer.bytes_received), f"{peer.flows:,}"
        )
        for key, peer in known[:MAX_PEERS]
    ]


def _protocols(rows: dict[str, Row]) -> list[ProtocolRow]:
    known = [(key, row.protocol) for key, row in rows.items() if row.protocol is not None]
    known.sort(key=lambda one: -one[1].conversations)
    return [
        ProtocolRow(key, key.partition(" ")[2], f"{one.conversations:,}", f"{one.transactions:,}")
        for key, one in known[:MAX_PROTOCOLS]
    ]
