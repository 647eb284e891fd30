"""EVE JSON: an alert as a record of the shape that Suricata's tools read."""

import json
from datetime import UTC, datetime
from typing import Any

from collectors.traffic.decode.table import address
from collectors.traffic.flows.community_id import community_id
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.engine.view import Packet

_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "IPv6-ICMP", 132: "SCTP"}


def line(alert: Alert) -> bytes:
    """Return one record and its line end."""
    return json.dumps(record(alert), separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def record(alert: Alert) -> dict[str, Any]:
    """Return one record."""
    packet, rule = alert.packet, alert.rule
    seconds, rest = divmod(packet.time_ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    found: dict[str, Any] = {"timestamp": f"{stamp}.{rest // 1000:06d}+0000"}
    if packet.number:
        found["pcap_cnt"] = packet.number
    found["event_type"] = "alert"
    found |= _ends(packet)
    found["pkt_src"] = "stream (flow timeout)" if packet.pseudo else "wire/pcap"
    if alert.transaction is not None:
        found["tx_id"] = alert.transaction.number
    found["alert"] = {
        "action": "blocked" if alert.blocked else "allowed",
        "gid": rule.gid,
        "signature_id": rule.sid,
        "rev": rule.rev,
        "signature": rule.msg,
        "category": rule.category,
        "severity": rule.priority,
    }
    metadata: dict[str, list[str]] = {}
    for key, value in rule.metadata:
        metadata.setdefault(key, []).append(value)
    if metadata:
        found["alert"]["metadata"] = metadata
    if alert.conversation is not None and alert.conversation.protocol:
        found["app_proto"] = alert.conversation.protocol
    if packet.slot >= 0:
        found["direction"] = "to_client" if packet.to_client else "to_server"
    return found


def _ends(packet: Packet) -> dict[str, Any]:
    half = (1 << 64) - 1
    found: dict[str, Any] = {}
    if not packet.family:
        return found
    ends = [(packet.family, one >> 64, one & half) for one in (packet.source, packet.destination)]
    found["src_ip"], found["dest_ip"] = address(*ends[0]), address(*ends[1])
    if packet.ported:
        found["src_port"], found["dest_port"] = packet.sport, packet.dport
    found["proto"] = _PROTOCOLS.get(packet.protocol, str(packet.protocol))
    if packet.slot >= 0:
        size = 4 if packet.family == 4 else 16
        mask = (1 << size * 8) - 1
        packed = [(one & mask).to_bytes(size, "big") for one in (packet.source, packet.destination)]
        ports = (packet.sport, packet.dport) if packet.ported else (0, 0)
        if packet.protocol not in (1, 58):
            found["community_id"] = community_id(*packed, packet.protocol, *ports)
    return found
