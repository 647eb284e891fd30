"""Community ID, version 1: the name of a flow that Suricata, Zeek and others agree on.

Specification: corelight/community-id-spec. SHA-1 here is a name, not a protection.
"""

import base64
import hashlib
import struct

_ICMP, _ICMPV6 = 1, 58
_PORTED = frozenset((6, 17, 132))
_PAIRS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}
_PAIRS6 = {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 144: 145, 145: 144}
"""ICMP types that ask and answer."""


def icmp_ports(protocol: int, kind: int, code: int) -> tuple[int, int, bool]:
    """Return what stands for the ports of an ICMP message, and whether the flow has one direction only."""
    answer = (_PAIRS if protocol == _ICMP else _PAIRS6).get(kind)
    return (kind, code, True) if answer is None else (kind, answer, False)


def community_id(source: bytes, destination: bytes, protocol: int, sport: int, dport: int, seed: int = 0) -> str:
    """Return the id of a flow by packed addresses (4 or 16 bytes) and ports; for ICMP the ports are type and code."""
    one_way = False
    if protocol in (_ICMP, _ICMPV6):
        sport, dport, one_way = icmp_ports(protocol, sport, dport)
    if not one_way and (destination, dport) < (source, sport):
        source, destination, sport, dport = destination, source, dport, sport
    text = struct.pack("!H", seed) + source + destination + struct.pack("!BB", protocol, 0)
    if protocol in _PORTED or protocol in (_ICMP, _ICMPV6):
        text += struct.pack("!HH", sport, dport)
    return "1:" + base64.b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode("ascii")
