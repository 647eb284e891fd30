"""The kernel's connection tracking, read and cut over netlink (linux/netfilter/nfnetlink_conntrack.h): what `conntrack -L` and `-D` do.

An entry is deleted by its own tuple and number, so that a newer connection between the same ports stays untouched.
"""

import errno
import ipaddress
import socket
import struct

from contracts.errors import Unavailable, Why
from contracts.netfilter import Flow
from host import netlink
from host.nfnetlink import (
    NLM_F_ACK,
    SUBSYS_CTNETLINK,
    Conversation,
    Dump,
    KernelRefused,
    attribute,
    attributes,
    message,
    nested,
)

_GET, _DELETE = SUBSYS_CTNETLINK << 8 | 1, SUBSYS_CTNETLINK << 8 | 2
_TUPLE_ORIG, _STATUS, _ID, _ZONE, _FILTER = 1, 3, 12, 18, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SRC = {4: 1, 6: 3}
_IP_DST = {4: 2, 6: 4}
_PROTO_NUM, _PROTO_SRC_PORT, _PROTO_DST_PORT = 1, 2, 3
_FILTER_ORIG_FLAGS, _FILTER_REPLY_FLAGS = 1, 2
_FILTER_IP_SRC = 1
_SEEN_REPLY = 1 << 1
_OFFLOADED = 1 << 14 | 1 << 15  # IPS_OFFLOAD, IPS_HW_OFFLOAD
_TRIES = 4
_U32 = struct.Struct(">I")
_WHAT = "tracked connections"


class Entry:
    """One entry with what is needed to delete it."""

    def __init__(self, flow: Flow, key: bytes, family: int) -> None:
        self.flow, self.key, self.family = flow, key, family


def flows(network: str) -> list[Entry]:
    """Return the entries whose first packet came from `network`; raises `Unavailable`, or finds none where nothing is tracked."""
    wanted = ipaddress.ip_network(network)
    family = socket.AF_INET if wanted.version == 4 else socket.AF_INET6
    request = message(_GET, netlink.NLM_F_DUMP, family, _only(wanted))
    for _ in range(_TRIES):
        try:
            with Conversation(_WHAT) as talk:
                answers = talk.ask(request)
        except Dump:
            continue
        except KernelRefused as refusal:
            raise _unavailable(refusal) from refusal
        entries = [_entry(attributes(raw), wanted.version, family) for raw in answers]
        return [entry for entry in entries if entry is not None and _inside(entry.flow.source, wanted)]
    raise Unavailable(Why.OTHER, "tracked connections changed faster than they could be read", advice="try again")


def delete(entries: list[Entry]) -> list[Entry]:
    """Delete `entries`; return those that the kernel would not let go. One that has ended meanwhile is gone all the same."""
    kept: list[Entry] = []
    if not entries:
        return kept
    with Conversation(_WHAT) as talk:
        for entry in entries:
            try:
                talk.change(message(_DELETE, NLM_F_ACK, entry.family, entry.key))
            except KernelRefused as refusal:
                if refusal.number != errno.ENOENT:
                    kept.append(entry)
    return kept


def _only(wanted: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bytes:
    """Return what makes the kernel tell of one source alone; kernels before 5.8 do not know it and tell of everything.

    For IPv6 kernels from 5.8 on compare the wrong way round (`ctnetlink_filter_match_tuple`) and leave out exactly what was asked for.
    """
    if wanted.num_addresses > 1 or wanted.version != 4:
        return b""
    address = nested(_TUPLE_IP, attribute(_IP_SRC[wanted.version], wanted.network_address.packed))
    flags = struct.pack("=I", _FILTER_IP_SRC)
    chosen = nested(_FILTER, attribute(_FILTER_ORIG_FLAGS, flags), attribute(_FILTER_REPLY_FLAGS, bytes(4)))
    return nested(_TUPLE_ORIG, address) + chosen


def _entry(raw: dict[int, bytes], version: int, family: int) -> Entry | None:
    place = attributes(raw.get(_TUPLE_ORIG, b""))
    addresses, protocol = attributes(place.get(_TUPLE_IP, b"")), attributes(place.get(_TUPLE_PROTO, b""))
    source, destination = addresses.get(_IP_SRC[version]), addresses.get(_IP_DST[version])
    if source is None or destination is None:
        return None
    status = _U32.unpack(raw[_STATUS])[0] if _STATUS in raw else 0
    flow = Flow(
        source=str(ipaddress.ip_address(source)),
        destination=str(ipaddress.ip_address(destination)),
        protocol=protocol.get(_PROTO_NUM, b"\0")[0],
        source_port=int.from_bytes(protocol.get(_PROTO_SRC_PORT, b""), "big"),
        port=int.from_bytes(protocol.get(_PROTO_DST_PORT, b""), "big"),
        replied=bool(status & _SEEN_REPLY),
        offloaded=bool(status & _OFFLOADED),
    )
    parts = [(kind, raw[kind]) for kind in (_ID, _ZONE) if kind in raw]
    key = nested(_TUPLE_ORIG, raw[_TUPLE_ORIG]) + b"".join(attribute(kind, payload) for kind, payload in parts)
    return Entry(flow, key, family)


def _inside(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return ipaddress.ip_address(address) in network


def _unavailable(refusal: KernelRefused) -> Unavailable:
    said = f"the kernel does not tell of tracked connections ({refusal})"
    return Unavailable(Why.NOT_PRESENT, said, advice="load the module nf_conntrack_netlink")
