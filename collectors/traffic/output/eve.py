"""EVE JSON: an alert as a record of the shape that Suricata's tools read."""

import hashlib
import ipaddress
import json
from datetime import UTC, datetime
from typing import Any

from collectors.traffic.flows.community_id import community_id
from collectors.traffic.output.eve_objects import objects
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.engine.view import Packet

_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "IPv6-ICMP", 132: "SCTP"}
_ICMP = frozenset([1, 58])


def line(alert: Alert) -> bytes:
    """Return one record and its line end."""
    return json.dumps(record(alert), separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def record(alert: Alert) -> dict[str, Any]:
    """Return one record."""
    packet, transaction = alert.packet, alert.transaction
    found: dict[str, Any] = {"timestamp": moment(packet.time_ns)}
    if packet.slot >= 0:
        found["flow_id"] = _flow_id(packet)
    if packet.number:
        found["pcap_cnt"] = packet.number
    found["event_type"] = "alert"
    if not packet.pseudo and (tags := _tags(packet)):
        found["vlan"] = tags
    found |= _ends(packet)
    found["pkt_src"] = "stream (flow timeout)" if packet.pseudo else "wire/pcap"
    if transaction is not None:
        found["tx_id"] = transaction.number
    found["alert"] = _alert(alert)
    if transaction is not None:
        found |= objects(transaction)
    if alert.conversation is not None and alert.conversation.protocol:
        found["app_proto"] = alert.conversation.protocol
    if packet.slot >= 0:
        found["direction"] = "to_client" if packet.to_client else "to_server"
        found["flow"] = _flow(packet)
    return found


def _alert(alert: Alert) -> dict[str, Any]:
    rule = alert.rule
    found: dict[str, Any] = {
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
        found["metadata"] = metadata
    return found


def moment(time_ns: int) -> str:
    """Return a time as EVE writes it."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}+0000"


def _flow_id(packet: Packet) -> int:
    """Return a number of the flow: 53 bits, which every JSON reader keeps, the same whenever the capture is read again."""
    flows, place = packet.flows, packet.place
    parts = ("family", "protocol", "vlan", "src_hi", "src_lo", "sport", "dst_hi", "dst_lo", "dport", "first_ns")
    name = " ".join(str(int(getattr(flows, part)[place])) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) >> 11


def _flow(packet: Packet) -> dict[str, Any]:
    """Return the flow: counters, beginning, client and server.

    Counters are as of the packet when a rule of the set asks for such, else as of the end of its block.
    """
    source, destination = packet.source, packet.destination
    sport, dport = packet.sport, packet.dport
    if packet.to_client:
        source, destination, sport, dport = destination, source, dport, sport
    found: dict[str, Any] = {
        f"{what}_{side}": packet.counted(what, side == "toclient")
        for what in ("pkts", "bytes")
        for side in ("toserver", "toclient")
    }
    found["start"] = moment(int(packet.flows.first_ns[packet.place]))
    if packet.family:
        found["src_ip"], found["dest_ip"] = address(packet.family, source), address(packet.family, destination)
    if packet.ported:
        found["src_port"], found["dest_port"] = sport, dport
    return found


def address(family: int, number: int) -> str:
    """Return an address as EVE writes it: IPv6 in full, with all its zeros."""
    if family == 4:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return ipaddress.IPv6Address(number).exploded


def _tags(packet: Packet) -> list[int]:
    """Return the VLANs of a packet, from the outside in."""
    word = int(packet.table.vlan[packet.row])
    return [word >> 16 * place & 0xFFF for place in range(int(packet.table.vlan_count[packet.row]))]


def _ends(packet: Packet) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not packet.family:
        return found
    found["src_ip"], found["dest_ip"] = (
        address(packet.family, packet.source),
        address(packet.family, packet.destination),
    )
    if packet.ported:
        found["src_port"], found["dest_port"] = packet.sport, packet.dport
    found["proto"] = _PROTOCOLS.get(packet.protocol, str(packet.protocol))
    found["ip_v"] = packet.family
    if packet.protocol in _ICMP and not packet.pseudo and len(packet.header4) >= 2:
        found["icmp_type"], found["icmp_code"] = packet.header4[0], packet.header4[1]
    if packet.slot >= 0 and packet.protocol not in _ICMP:
        size = 4 if packet.family == 4 else 16
        mask = (1 << size * 8) - 1
        source, destination = ((one & mask).to_bytes(size) for one in (packet.source, packet.destination))
        sport, dport = (packet.sport, packet.dport) if packet.ported else (0, 0)
        found["community_id"] = community_id(source, destination, packet.protocol, sport, dport)
    return found
