"""Asks the kernel for its bound sockets over netlink (sock_diag(7)): what `ss` reads, without a process and without text.

Only the states that answer strangers are asked for, so a busy server's connections cost nothing.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable

from contracts.errors import Malformed, Unavailable, Why
from host import netlink

Bound = tuple[int, bytes, int, int, int, int, int, bool | None]
"""Family (`AF_INET`, `AF_INET6`), address (16 bytes), port, interface index, backlog, uid, inode, v6only."""

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "udplite": 136, "sctp": 132, "dccp": 33}

_SOCK_DIAG_BY_FAMILY = 20
_STATE_CLOSE = 7
_STATE_LISTEN = 10
_INET_DIAG_SKV6ONLY = 11
_REQUEST = struct.Struct("=IHHII BBBBI 48s")
_MESSAGE = struct.Struct("=IHH8x B3x 2s2x16s16xI8x 8x3I")
"""Of a netlink header and `struct inet_diag_msg`: length, type, flags; family; port, address, interface; the send queue (of a listener: its
backlog), uid, inode."""
_IDENTITY = slice(20, 68)
"""Where in it the ports, addresses, interface and cookie are: together they name one socket for as long as it lives."""
_ATTRIBUTE = struct.Struct("=HH")
_BUFFER = 64 << 10  # the kernel writes at most 32 KiB at a time
_PATIENCE_S = 10.0
_TRIES = 4


class NoSuchProtocol(Exception):
    """The kernel does not tell of this protocol: it has none, or lacks the module that would."""


class _Inconsistent(Exception):
    """The kernel says that the sockets changed while it told of them."""


def dump(protocol: str, family: int, port: int = 0) -> list[Bound]:
    """Return the listening (tcp, sctp, dccp) or unconnected (udp, udplite) sockets of one family in this network namespace.

    With `port`, only those on it. Raises `NoSuchProtocol`, or `Unavailable`.
    """
    for _ in range(_TRIES):
        found: list[Bound] = []
        try:
            _ask(protocol, family, lambda part, found=found: parse(part, found), port)  # type: ignore[misc]
        except _Inconsistent:
            continue
        return found
    raise Unavailable(Why.OTHER, f"the {protocol} sockets changed faster than they could be read", advice="try again")


def identities(protocol: str, family: int) -> list[bytes]:
    """Return for the same sockets what names each, in any order; begins with the port in network order. Cheaper than `dump`."""
    found: list[bytes] = []

    def note(part: memoryview) -> int:
        unpack, least, size, place = netlink.HEADER.unpack_from, _MESSAGE.size, len(part), 0
        while size - place >= least:
            length, kind, flags, _, _ = unpack(part, place)
            if kind != _SOCK_DIAG_BY_FAMILY:
                break
            _check(length, flags, size - place)
            found.append(bytes(part[place + _IDENTITY.start : place + _IDENTITY.stop]))
            place += (length + 3) & ~3
        return place

    try:
        _ask(protocol, family, note)
    except _Inconsistent:
        found.append(b"\0\0changed meanwhile")
    return found


def parse(part: bytes | memoryview, found: list[Bound]) -> int:
    """Add the sockets in `part` to `found`; return where other messages begin, or the end. Raises `Malformed`."""
    unpack, least, size, v6only = _MESSAGE.unpack_from, _MESSAGE.size, len(part), _Attributes().v6only
    place = 0
    while size - place >= least:
        length, kind, flags, family, port, address, interface, backlog, uid, inode = unpack(part, place)
        if kind != _SOCK_DIAG_BY_FAMILY:
            break
        if flags & netlink.NLM_F_DUMP_INTR or not least <= length <= size - place:
            _check(length, flags, size - place)
        only = v6only(bytes(part[place + least : place + length])) if family == socket.AF_INET6 else None
        found.append((family, address, int.from_bytes(port, "big"), interface, backlog, uid, inode, only))
        place += (length + 3) & ~3
    return place


def _check(length: int, flags: int, left: int) -> None:
    if not _MESSAGE.size <= length <= left:
        raise Malformed(
            f"an inet_diag message says it has {length} bytes where {left} are left and {_MESSAGE.size} are due"
        )
    if flags & netlink.NLM_F_DUMP_INTR:
        raise _Inconsistent


def _ask(protocol: str, family: int, consume: Callable[[memoryview], int], port: int = 0) -> None:
    """Send the request and give the answer to `consume` part by part, which returns where in it the sockets end."""
    state = _STATE_CLOSE if protocol.startswith("udp") else _STATE_LISTEN
    head = (_REQUEST.size, _SOCK_DIAG_BY_FAMILY, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, 1, 0)
    request = _REQUEST.pack(*head, family, PROTOCOLS[protocol], 0, 0, 1 << state, port.to_bytes(2, "big"))
    view = memoryview(bytearray(_BUFFER))
    with netlink.open_netlink(netlink.NETLINK_SOCK_DIAG, "listening sockets") as asking:
        asking.settimeout(_PATIENCE_S)
        try:
            asking.send(request)
            is_over = False
            while not is_over:
                part = view[: asking.recv_into(view)]
                is_over = _is_over(part[consume(part) :], protocol)
        except TimeoutError as error:
            message = f"the kernel did not tell of {protocol} sockets within {_PATIENCE_S:g} s"
            raise Unavailable(Why.TIMEOUT, message) from error
        except OSError as error:
            message = f"the kernel refused to tell of {protocol} sockets over netlink ({os.strerror(error.errno or 0)})"
            raise Unavailable(Why.PERMISSION, message, advice="allow NETLINK_SOCK_DIAG to this process") from error


def _is_over(rest: memoryview, protocol: str) -> bool:
    """Say whether the answer ends with the messages in `rest`; raises what an error message means."""
    for kind, flags, start, end in netlink.messages(rest):
        if flags & netlink.NLM_F_DUMP_INTR:
            raise _Inconsistent
        if kind not in (netlink.NLMSG_ERROR, netlink.NLMSG_DONE):
            continue
        number = netlink.error_number(rest, start, end)
        if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP):
            raise NoSuchProtocol(protocol)
        if number:
            raise OSError(number, os.strerror(number))
        return True
    return False


def text(family: int, address: bytes) -> str:
    """Return an address of a `Bound` in canonical text."""
    return socket.inet_ntop(family, address[:4] if family == socket.AF_INET else address)


class _Attributes:
    """Reads the attributes behind a message; nearly all sockets have the same ones, byte for byte, so they are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, bool | None] = {}

    def v6only(self, raw: bytes) -> bool | None:
        if raw not in self._known:
            self._known[raw] = _v6only(raw)
        return self._known[raw]


def _v6only(raw: bytes) -> bool | None:
    place = 0
    while place + _ATTRIBUTE.size <= len(raw):
        length, kind = _ATTRIBUTE.unpack_from(raw, place)
        if length < _ATTRIBUTE.size or place + length > len(raw):
            raise Malformed(f"an inet_diag attribute says it has {length} bytes where {len(raw) - place} are left")
        if kind == _INET_DIAG_SKV6ONLY and length > _ATTRIBUTE.size:
            return raw[place + _ATTRIBUTE.size] != 0
        place += (length + 3) & ~3
    return None
