"""An alert as an event: what the rule says, the ends, who offends, and whether that can have been forged."""

import re
from bisect import bisect_right

import msgspec

from collectors.traffic.flows.states import ANSWERS, OPENS
from collectors.traffic.output import eve
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.engine.view import TCP, Packet
from collectors.traffic.rules.language.groups import addresses
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.variables import Variables
from collectors.traffic.rules.site import edges
from contracts.event import Event, Severity
from contracts.traffic_alert import ALERT, SEVERITIES

BLOCKING = frozenset({"drop", "reject", "rejectsrc", "rejectdst", "rejectboth"})
MAX_EVIDENCE = 4096
_TECHNIQUE = re.compile(r"T\d{4}([._]\d{3})?$")
_TEXT = 300


class Home:
    """Which addresses are at home: `$HOME_NET`."""

    def __init__(self, variables: Variables) -> None:
        found = addresses("$HOME_NET", variables.addresses)
        self._any = found.any
        self._edges = {4: edges(found.v4), 6: edges(found.v6)}

    def has(self, family: int, address: int) -> bool:
        """Return whether an address is at home."""
        return self._any or bisect_right(self._edges.get(family, []), address) % 2 == 1


def offender(alert: Alert, home: Home) -> tuple[int, int]:
    """Return family and address of the end that is to blame.

    A rule's `target` names the victim. Without it, it is the end that is not at home; where that tells nothing, the sender.
    """
    packet = alert.packet
    ends = (packet.source, packet.destination)
    if alert.rule.target in ("src_ip", "dest_ip"):
        return packet.family, ends[alert.rule.target == "src_ip"]
    at_home = [home.has(packet.family, end) for end in ends]
    return packet.family, ends[1] if at_home[0] and not at_home[1] else ends[0]


def proven(packet: Packet) -> bool:
    """Return whether the packet belongs to a TCP session whose handshake was seen from both sides, and was taken by that session.

    Everything else may have been sent by anybody in the name of its source: datagrams, packets outside of a session's window, sessions
    that were picked up in the middle.
    """
    if packet.protocol != TCP or packet.slot < 0 or not (packet.established and packet.accepted):
        return False
    seen = int(packet.flows.gathered[packet.place]) >> 16
    return bool(seen & OPENS and seen >> 8 & ANSWERS)


def event(alert: Alert, home: Home, interface: str, capture: str, blocks: bool) -> Event:
    """Return the event of an alert.

    `capture` is the name of the packets that are kept of it, "" for none; `blocks`: the sources of drop and reject rules are to be banned.
    """
    rule, packet = alert.rule, alert.packet
    record = eve.record(alert)
    flow = record.get("flow", {})
    family, blamed = offender(alert, home)
    name = eve.address(family, blamed) if family else ""
    return ALERT.event(
        f"{rule.gid}:{rule.sid} {name}",
        severity=SEVERITIES.get(rule.priority, Severity.INFORMATIONAL),
        evidence={"eve": msgspec.json.encode(_short(record)).decode("utf-8", "replace")},
        observed_ms=packet.time_ns // 1_000_000,
        gid=rule.gid,
        sid=rule.sid,
        rev=rule.rev,
        signature=rule.msg[:_TEXT],
        category=rule.category[:_TEXT],
        priority=rule.priority,
        action=rule.action,
        source=record.get("src_ip"),
        source_port=record.get("src_port"),
        destination=record.get("dest_ip"),
        destination_port=record.get("dest_port"),
        protocol=record.get("proto", ""),
        app_protocol=record.get("app_proto"),
        direction=record.get("direction"),
        interface=interface,
        community_id=record.get("community_id"),
        offender=name,
        proven=proven(packet),
        blocking=blocks and rule.action in BLOCKING and bool(name),
        packets_to_server=flow.get("pkts_toserver"),
        packets_to_client=flow.get("pkts_toclient"),
        bytes_to_server=flow.get("bytes_toserver"),
        bytes_to_client=flow.get("bytes_toclient"),
        capture=capture or None,
        engine="holdfast",
        techniques=techniques(rule),
        reason=f"rule {rule.sid}: {rule.msg}"[:100],
    )


def techniques(rule: Rule) -> list[str]:
    """Return the ATT&CK techniques that the rule's metadata names, each once, as ATT&CK writes them."""
    found = [
        value.strip().replace("_", ".")
        for key, value in rule.metadata
        if key.startswith("mitre_technique_id") and _TECHNIQUE.match(value.strip())
    ]
    return list(dict.fromkeys(found))


def _short(record: dict[str, object]) -> dict[str, object]:
    """Return a record that is not larger than evidence may be: what a transaction says goes first."""
    if len(msgspec.json.encode(record)) <= MAX_EVIDENCE:
        return record
    return {name: value for name, value in record.items() if name not in ("http", "dns", "tls", "alert")}
