"""What the kernel itself says of nftables over netlink, where asking a tool would be too dear: generation and sizes of sets.

Format: linux/netfilter/nf_tables.h. Only reading requests are sent. Both need CAP_NET_ADMIN.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator

from contracts.errors import Malformed, Unavailable, Why
from contracts.text import unescape
from host import capabilities, netlink

SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
NEWGEN = SUBSYSTEM << 8 | 15
ELEMENTS = frozenset({SUBSYSTEM << 8 | 12, SUBSYSTEM << 8 | 14})
"""NFT_MSG_NEWSETELEM and NFT_MSG_DELSETELEM."""
_GETSETELEM = SUBSYSTEM << 8 | 13
_GETGEN = SUBSYSTEM << 8 | 16

GENERIC = struct.Struct("!BBH")
"""`struct nfgenmsg`: family, version, resource id."""
GEN_ID, GEN_PID, GEN_NAME = 1, 2, 3  # NFTA_GEN_*

_FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEM_FLAGS = 3
_INTERVAL_END = 1
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF
_BUFFER = 64 << 10
_PATIENCE_S = 5.0
_FLAGS = struct.Struct("!I")


class LinuxNftables:
    """`contracts.host.Nftables` for Linux."""

    def generation(self) -> int:
        """Return the number of the ruleset's present state; every commit raises it. Raises `Unavailable`."""
        for kind, payload in _answer(_GETGEN, netlink.NLM_F_REQUEST, 0, b""):
            if kind == NEWGEN:
                for name, start, end in attributes(payload, GENERIC.size, len(payload)):
                    if name == GEN_ID and end - start == 4:
                        return int.from_bytes(payload[start:end], "big")
        raise Unavailable(Why.MALFORMED, "the kernel tells no generation of its ruleset", advice="update the kernel")

    def count(self, family: str, table: str, name: str, at_most: int) -> int:
        """Return how many elements a set or map holds, `at_most` + 1 when there are more: counting ends there.

        Names are in `contracts.text.escape` form. Raises `Unavailable` (`NOT_PRESENT` when there is no such set any more).
        """
        body = _text(_LIST_TABLE, table) + _text(_LIST_SET, name)
        flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
        found = 0
        for _, payload in _answer(_GETSETELEM, flags, _FAMILIES.get(family, 0), body):
            for kind, start, end in attributes(payload, GENERIC.size, len(payload)):
                if kind == _LIST_ELEMENTS:
                    found += _elements(payload, start, end)
            if found > at_most:
                return at_most + 1
        return found


def attributes(payload: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type and the bounds of the value of every attribute between `start` and `end`; raises `Malformed`."""
    while end - start >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(payload, start)
        if length < _ATTRIBUTE.size or start + length > end:
            raise Malformed(f"a netlink attribute says it has {length} bytes where {end - start} are left")
        yield kind & _TYPE, start + _ATTRIBUTE.size, start + length
        start += (length + 3) & ~3


def _elements(payload: bytes, start: int, end: int) -> int:
    """Return how many elements a list holds; the ends of intervals, which the kernel lists by themselves, do not count."""
    found = 0
    for _, inner, stop in attributes(payload, start, end):
        is_end = False
        for kind, first, last in attributes(payload, inner, stop):
            if kind == _ELEM_FLAGS and last - first == _FLAGS.size:
                is_end = bool(_FLAGS.unpack_from(payload, first)[0] & _INTERVAL_END)
        found += not is_end
    return found


def _text(kind: int, name: str) -> bytes:
    raw = unescape(name) + b"\0"
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(raw), kind) + raw + bytes(-len(raw) % 4)


def _answer(kind: int, flags: int, family: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Send one request and yield type and payload of what comes back; raises `Unavailable`."""
    size = netlink.HEADER.size + GENERIC.size + len(body)
    request = netlink.HEADER.pack(size, kind, flags, 1, 0) + GENERIC.pack(family, 0, 0) + body
    with netlink.open_netlink(netlink.NETLINK_NETFILTER, "nftables") as asking:
        asking.settimeout(_PATIENCE_S)
        try:
            asking.send(request)
            yield from _messages(asking, is_dump=bool(flags & netlink.NLM_F_DUMP))
        except TimeoutError as error:
            raise Unavailable(Why.TIMEOUT, f"the kernel did not tell of nftables within {_PATIENCE_S:g} s") from error
        except OSError as error:
            raise _refused(error) from error


def _messages(asking: socket.socket, is_dump: bool) -> Iterator[tuple[int, bytes]]:
    while True:
        part = asking.recv(_BUFFER)
        for kind, _, start, end in netlink.messages(part):
            if kind == netlink.NLMSG_DONE:
                return
            if kind == netlink.NLMSG_ERROR:
                number = netlink.error_number(part, start, end)
                if number:
                    raise OSError(number, os.strerror(number))
                return
            yield kind, part[start:end]
            if not is_dump:
                return


def _refused(error: OSError) -> Unavailable:
    if error.errno in (errno.EPERM, errno.EACCES):
        lacking = capabilities.missing("CAP_NET_ADMIN")
        message = "the kernel tells nothing of nftables without CAP_NET_ADMIN"
        return Unavailable(Why.PERMISSION, message, advice=capabilities.advice(lacking))
    if error.errno == errno.ENOENT:
        return Unavailable(Why.NOT_PRESENT, "the set is not there any more", advice="look again")
    message = f"the kernel tells nothing of nftables ({error.strerror})"
    return Unavailable(Why.NOT_PRESENT, message, advice="load the module nf_tables")
