"""Asks the kernel over netlink (sock_diag(7)) which TCP connections of this network namespace have sent much, and who holds them."""

import errno
import os
import socket
import struct

from msgspec.structs import replace

from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Sender, Senders
from host import netlink, sock_diag
from host.owners import Owners, all_pids

_SOCK_DIAG_BY_FAMILY = 20
_INET_DIAG_INFO = 2
_WANTED = 1 << (_INET_DIAG_INFO - 1)
_OPEN = sum(1 << state for state in (1, 4, 5, 8, 9, 11))
"""The states in which data may be on its way out: established, both of finishing first, waiting for our close, last ack, closing."""
_REQUEST = struct.Struct("=IHHII BBBBI 48s")
_MESSAGE = struct.Struct("=IHH8x B3x 2s2s16s16s4x8x 4x4x4xII")
"""Of a netlink header and `struct inet_diag_msg`: length, type, flags; family; ports and addresses of both ends; uid, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_ACKED = struct.Struct("=Q")
_ACKED_AT = 120
"""Where `struct tcp_info` has `tcpi_bytes_acked`, since Linux 4.1."""
_BUFFER = 64 << 10
_PATIENCE_S = 10.0


def sending(at_least: int, most: int) -> Senders:
    """Return the connections whose peers have acknowledged so many bytes, those with the most first, no more than `most`."""
    found: list[Sender] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        found += [one for one in _dump(family) if one.bytes_sent >= at_least]
    found.sort(key=lambda one: -one.bytes_sent)
    left_out = len(found) - most
    found = found[:most]
    held = Owners(all_pids() if found else (), (one.inode for one in found))
    connections = tuple(replace(one, pids=held.by_inode.get(one.inode, ())) for one in found)
    return Senders(
        connections=connections,
        blind=held.blind() if found else (),
        owners_seen=held.complete or not found,
        left_out=max(0, left_out),
    )


def _dump(family: int) -> list[Sender]:
    head = (_REQUEST.size, _SOCK_DIAG_BY_FAMILY, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, 1, 0)
    request = _REQUEST.pack(*head, family, socket.IPPROTO_TCP, _WANTED, 0, _OPEN, b"")
    found: list[Sender] = []
    with netlink.open_netlink(netlink.NETLINK_SOCK_DIAG, "connections") as asking:
        asking.settimeout(_PATIENCE_S)
        try:
            asking.send(request)
            while not parse(asking.recv(_BUFFER), found):
                pass
        except TimeoutError as error:
            message = f"the kernel did not tell of TCP connections within {_PATIENCE_S:g} s"
            raise Unavailable(Why.TIMEOUT, message) from error
        except OSError as error:
            message = f"the kernel refused to tell of TCP connections over netlink ({os.strerror(error.errno or 0)})"
            raise Unavailable(Why.PERMISSION, message, advice="allow NETLINK_SOCK_DIAG to this process") from error
    return found


def parse(part: bytes, found: list[Sender]) -> bool:
    """Add the connections in `part` to `found`; return whether the answer is over. Raises `Malformed`, and `OSError` for a refusal.

    A connection that opens or closes meanwhile may be missing, as in every such list.
    """
    for kind, _, start, end in netlink.messages(part):
        if kind in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
            number = netlink.error_number(part, start, end)
            if number not in (0, errno.ENOENT):
                raise OSError(number, os.strerror(number))
            return True
        if kind != _SOCK_DIAG_BY_FAMILY:
            continue
        begin = start - netlink.HEADER.size
        if end - begin < _MESSAGE.size:
            raise Malformed(f"an inet_diag message has {end - begin} bytes where {_MESSAGE.size} are due")
        _, _, _, family, port, peer_port, address, peer, uid, inode = _MESSAGE.unpack_from(part, begin)
        found.append(
            Sender(
                protocol="tcp",
                address=_address(family, address),
                port=int.from_bytes(port, "big"),
                peer=_address(family, peer),
                peer_port=int.from_bytes(peer_port, "big"),
                bytes_sent=_acked(part, begin + _MESSAGE.size, end),
                uid=uid,
                inode=inode,
            )
        )
    return False


def _address(family: int, raw: bytes) -> str:
    """Return an address in canonical text; one of IPv4 within IPv6 as IPv4, as packets have it."""
    if family == socket.AF_INET6 and raw.startswith(bytes(10) + b"\xff\xff"):
        return sock_diag.text(socket.AF_INET, raw[12:])
    return sock_diag.text(family, raw)


def _acked(part: bytes, place: int, end: int) -> int:
    """Return what the peer has acknowledged, by the attribute that says so; 0 where there is none."""
    while place + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(part, place)
        if length < _ATTRIBUTE.size or place + length > end:
            raise Malformed(f"an inet_diag attribute says it has {length} bytes where {end - place} are left")
        if kind == _INET_DIAG_INFO and length >= _ATTRIBUTE.size + _ACKED_AT + _ACKED.size:
            acked: int = _ACKED.unpack_from(part, place + _ATTRIBUTE.size + _ACKED_AT)[0]
            return acked
        place += (length + 3) & ~3
    return 0
