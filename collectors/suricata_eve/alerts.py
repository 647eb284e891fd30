"""Alerts of a Suricata as the events that the sensor's own alerts are; equal ones of one look are one event with their number."""

import ipaddress
import re
from collections.abc import Iterable

from msgspec.structs import replace

from collectors.suricata_eve.records import Record, at_ms
from contracts.event import Event, Severity
from contracts.traffic_alert import ALERT, SEVERITIES

MAX_EVIDENCE = 4096
_TECHNIQUE = re.compile(r"T\d{4}([._]\d{3})?$")
_TEXT = 300
_DROPS = frozenset({"drop", "reject", "blocked"})


class Home:
    """Which addresses are at home."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]

    def has(self, address: str) -> bool:
        """Return whether an address is at home; what is no address is not."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)


def event(record: Record, line: bytes, home: Home, blocks: bool, midstream: bool) -> Event:
    """Return the event of an alert record.

    Suricata parses an application's protocol only in sessions whose handshake it saw, unless it picks them up in the middle
    (`midstream`): an alert on such a transaction is proven, any other is not. Nor is one of a packet that Suricata has only joined with
    the session's transaction (`tx_guessed`): anybody may have sent it.
    """
    rule = record.alert
    assert rule is not None
    flow = record.flow
    blamed = record.dest_ip if home.has(record.src_ip) and not home.has(record.dest_ip) else record.src_ip
    on_transaction = record.tx_id is not None and not record.tx_guessed
    proven = record.proto == "TCP" and on_transaction and bool(record.app_proto) and not midstream
    action = record.verdict.action if record.verdict is not None else rule.action
    return ALERT.event(
        f"{rule.gid}:{rule.signature_id} {blamed}",
        severity=SEVERITIES.get(rule.severity, Severity.INFORMATIONAL),
        evidence={"eve": line[:MAX_EVIDENCE].decode("utf-8", "replace")},
        observed_ms=at_ms(record),
        gid=rule.gid,
        sid=rule.signature_id,
        rev=rule.rev,
        signature=rule.signature[:_TEXT],
        category=rule.category[:_TEXT],
        priority=rule.severity,
        action=action,
        source=record.src_ip,
        source_port=record.src_port,
        destination=record.dest_ip,
        destination_port=record.dest_port,
        protocol=record.proto,
        app_protocol=record.app_proto,
        direction=record.direction,
        interface=record.in_iface,
        community_id=record.community_id,
        offender=blamed,
        proven=proven,
        blocking=blocks and action in _DROPS and bool(blamed),
        packets_to_server=flow.pkts_toserver if flow is not None else None,
        packets_to_client=flow.pkts_toclient if flow is not None else None,
        bytes_to_server=flow.bytes_toserver if flow is not None else None,
        bytes_to_client=flow.bytes_toclient if flow is not None else None,
        engine="suricata",
        techniques=_techniques(rule.metadata),
        reason=f"rule {rule.signature_id}: {rule.signature}"[:100],
    )


def collapsed(events: Iterable[Event], most: int) -> tuple[list[Event], int]:
    """Return the first event of each rule and source with the number of equal ones behind it, and how many are left out beyond `most`."""
    first: dict[str, Event] = {}
    more: dict[str, int] = {}
    left_out = 0
    for one in events:
        if one.key in first:
            more[one.key] = more.get(one.key, 0) + 1
        elif len(first) < most:
            first[one.key] = one
        else:
            left_out += 1
    return [replace(one, repeats=more.get(key, 0)) for key, one in first.items()], left_out


def _techniques(metadata: dict[str, object]) -> list[str]:
    found: list[str] = []
    for name, values in metadata.items():
        if name.startswith("mitre_technique_id"):
            listed = values if isinstance(values, list) else [values]
            found += [str(value).replace("_", ".") for value in listed if _TECHNIQUE.match(str(value))]
    return list(dict.fromkeys(found))
