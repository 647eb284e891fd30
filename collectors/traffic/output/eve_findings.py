"""EVE JSON for what detectors found: alert records, as everything that reads EVE knows them, with a generator id of their own."""

import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.kinds import KINDS
from contracts.event import Severity

GENERATOR = 4100
"""`gid` of detectors; `signature_id` is the place of the kind in their list, from 1 (the list only grows at its end)."""

_TRANSPORTS = {"udp": "UDP", "dns": "UDP", "icmp": "ICMP", "icmpv6": "IPv6-ICMP", "sctp": "SCTP"}
_SIDS = {kind.name: number for number, kind in enumerate(KINDS, 1)}
_PRIORITIES = {Severity.CRITICAL: 1, Severity.HIGH: 1, Severity.MEDIUM: 2}
_CATEGORIES = {
    "ports_scanned": "Detection of a Network Scan",
    "hosts_scanned": "Detection of a Network Scan",
    "web_probed": "Web Application Attack",
    "service_flooded": "Detection of a Denial of Service Attack",
    "requests_flooded": "Detection of a Denial of Service Attack",
    "connections_held": "Detection of a Denial of Service Attack",
    "amplification_abused": "Detection of a Denial of Service Attack",
    "logins_guessed": "Unsuccessful User Privilege Gain",
    "logins_sprayed": "Unsuccessful User Privilege Gain",
    "login_succeeded_after_guessing": "Successful User Privilege Gain",
    "dns_tunnelled": "Malware Command and Control Activity Detected",
    "dns_names_generated": "Domain Observed Used for C2 Detected",
    "credentials_in_plaintext": "Potential Corporate Privacy Violation",
}


def line(finding: Finding) -> bytes:
    """Return one record and its line end."""
    return json.dumps(record(finding), separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def record(finding: Finding) -> dict[str, Any]:
    """Return one record: source and destination are the sender and the service it is about, where these are addresses."""
    found: dict[str, Any] = {"timestamp": _time(finding.last_ns), "event_type": "alert"}
    source, target = _address(finding.sender), _address(_host(finding.subject))
    if source:
        found["src_ip"] = source
    if target:
        found["dest_ip"] = target
    if finding.port:
        found["dest_port"] = finding.port
    if finding.protocol and finding.protocol != "arp":
        found["proto"] = _TRANSPORTS.get(finding.protocol, "TCP")
    fields = finding.event().fields
    found["alert"] = {
        "action": "allowed",
        "gid": GENERATOR,
        "signature_id": _SIDS[finding.kind.name],
        "rev": 1,
        "signature": finding.kind.title.format(key=finding.key, **fields),
        "category": _CATEGORIES.get(finding.kind.name.partition(".")[2], "Misc activity"),
        "severity": _PRIORITIES.get(finding.severity, 3),
        "metadata": {"mitre_technique_id": list(finding.kind.attack), "holdfast_kind": [finding.kind.name]},
    }
    found["holdfast"] = {
        "kind": finding.kind.name,
        "severity": finding.severity.name.lower(),
        "subject": finding.subject,
        "sender": finding.sender,
        "senders": list(finding.senders),
        "method": finding.method,
        "forgeable": finding.forgeable,
        "numbers": finding.numbers,
        "limits": finding.limits,
        "window_s": finding.window_s,
        "began": _time(finding.first_ns),
    }
    return found


def words(finding: Finding) -> str:
    """Return one finding as a line for people."""
    title = finding.kind.title.format(key=finding.key, **finding.event().fields)
    doubt = " [sender may be forged]" if finding.forgeable and finding.sender and finding.protocol != "arp" else ""
    return f"{_time(finding.last_ns)[:23]}  {finding.severity.name.lower():<13}  {title}{doubt}"


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}+0000"


def _host(subject: str) -> str:
    """Return the address in `address:port/protocol`, `[address]:port/protocol` or `address`."""
    if subject.startswith("["):
        return subject[1:].partition("]")[0]
    return subject.partition(":")[0] if subject.count(":") == 1 else subject


def _address(text: str) -> str:
    """Return an address as EVE writes it, "" for what is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return found.exploded
