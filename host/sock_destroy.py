"""Closes this host's sockets that are connected with a network: SOCK_DESTROY of sock_diag(7), what `ss -K dst NETWORK` does.

The kernel resets a TCP connection then, and whoever reads from it sees ECONNABORTED. Needs CAP_NET_ADMIN and CONFIG_INET_DIAG_DESTROY.
"""

import errno
import ipaddress
import os
import socket
import struct

from contracts.errors import Unavailable, Why
from host import capabilities, netlink

_BY_FAMILY, _DESTROY = 20, 21
_CONNECTED = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11
"""TCP states in which a peer is known: established, SYN sent and received, both FIN waits, close wait, last ACK, closing."""
_HEAD = struct.Struct("=BBBBI48s")
_CONDITION = struct.Struct("=BBH BBxxi")
_REMOTE_IS = 8  # INET_DIAG_BC_D_COND
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE
_ACK = 0x004
_IDENTITY = slice(4, 52)
_BUFFER = 64 << 10
_PATIENCE_S = 5.0
_PROTOCOLS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


def close(network: str) -> tuple[int, str]:
    """Close what is connected with `network`; return how many sockets, and what could not be done (""); raises `Unavailable`."""
    wanted = ipaddress.ip_network(network)
    # A socket for both families holds an IPv4 peer as an IPv6 address that maps it; the kernel compares those itself.
    families = (socket.AF_INET, socket.AF_INET6) if wanted.version == 4 else (socket.AF_INET6,)
    closed, trouble = 0, ""
    with netlink.open_netlink(netlink.NETLINK_SOCK_DIAG, "connected sockets") as asking:
        asking.settimeout(_PATIENCE_S)
        for family in families:
            for protocol in _PROTOCOLS:
                for identity in _connected(asking, family, protocol, wanted):
                    number = _destroy(asking, family, protocol, identity)
                    closed += number == 0
                    if number not in (0, errno.ENOENT):
                        trouble = f"sockets connected with {network} could not be closed ({os.strerror(number)})"
    return closed, trouble


def _connected(
    asking: socket.socket, family: int, protocol: int, wanted: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> list[bytes]:
    """Return what names each socket connected with `wanted`."""
    head = _HEAD.pack(family, protocol, 0, 0, _CONNECTED, bytes(48))
    code = _bytecode(wanted)
    body = head + struct.pack("=HH", 4 + len(code), _BYTECODE) + code
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    _send(asking, _BY_FAMILY, flags, body)
    found: list[bytes] = []
    while True:
        part = _receive(asking)
        for kind, _, start, end in netlink.messages(part):
            if kind == netlink.NLMSG_DONE:
                return found
            if kind == netlink.NLMSG_ERROR:
                number = netlink.error_number(part, start, end)
                if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
                    return found  # the kernel has no such protocol
                raise _refused(number)
            found.append(part[start + _IDENTITY.start : start + _IDENTITY.stop])


def _destroy(asking: socket.socket, family: int, protocol: int, identity: bytes) -> int:
    """Close one socket; return the error number, 0 when it is closed."""
    body = _HEAD.pack(family, protocol, 0, 0, 0xFFFFFFFF, identity)
    _send(asking, _DESTROY, netlink.NLM_F_REQUEST | _ACK, body)
    while True:
        part = _receive(asking)
        for kind, _, start, end in netlink.messages(part):
            if kind == netlink.NLMSG_ERROR:
                return netlink.error_number(part, start, end)


def _bytecode(wanted: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bytes:
    """Return the one-instruction program by which the kernel chooses sockets: the peer is in `wanted` (linux/inet_diag.h)."""
    family = socket.AF_INET if wanted.version == 4 else socket.AF_INET6
    address = wanted.network_address.packed
    size = _CONDITION.size + len(address)
    return _CONDITION.pack(_REMOTE_IS, size, size + 4, family, wanted.prefixlen, -1) + address


def _send(asking: socket.socket, kind: int, flags: int, body: bytes) -> None:
    try:
        asking.send(netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, flags, 1, 0) + body)
    except OSError as error:
        raise _refused(error.errno or 0) from error


def _receive(asking: socket.socket) -> bytes:
    try:
        return asking.recv(_BUFFER)
    except TimeoutError as error:
        message = f"the kernel did not tell of connected sockets within {_PATIENCE_S:g} s"
        raise Unavailable(Why.TIMEOUT, message) from error
    except OSError as error:
        raise _refused(error.errno or 0) from error


def _refused(number: int) -> Unavailable:
    message = f"the kernel does not tell of connected sockets ({os.strerror(number)})"
    lacking = capabilities.missing("CAP_NET_ADMIN")
    return Unavailable(Why.PERMISSION, message, advice=capabilities.advice(lacking))
