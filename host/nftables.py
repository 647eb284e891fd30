"""What the kernel itself says of nftables over netlink, where asking a tool would be too dear: generation, sizes of sets, ranges.

Format: linux/netfilter/nf_tables.h. Only reading requests are sent. Both need CAP_NET_ADMIN.
"""

import errno
import os
import socket
import struct
from collections.abc import Container, Iterator

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
_GETRULE = SUBSYSTEM << 8 | 7
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_EXPR_NAME, _EXPR_DATA = 1, 2
_OPERATOR = 2  # NFTA_CMP_OP and NFTA_RANGE_OP
_EQUAL, _NOT_EQUAL = 0, 1
_AT_MOST, _AT_LEAST = 3, 5
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

    def ranges(self, family: str, table: str, chain: str, handles: Container[int]) -> dict[int, tuple[int, int]]:
        """Return for each rule of these handles how many ranges it compares with: as being within one, and as not being so.

        Names are in `contracts.text.escape` form. Raises `Unavailable`, and `Malformed` for what is no rule.
        """
        body = _text(_RULE_TABLE, table) + _text(_RULE_CHAIN, chain)
        flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
        found: dict[int, tuple[int, int]] = {}
        for _, payload in _answer(_GETRULE, flags, _FAMILIES.get(family, 0), body):
            parts = {kind: (start, end) for kind, start, end in attributes(payload, GENERIC.size, len(payload))}
            if _RULE_HANDLE not in parts or _RULE_EXPRESSIONS not in parts:
                continue
            start, end = parts[_RULE_HANDLE]
            handle = int.from_bytes(payload[start:end], "big")
            if handle in handles:
                found[handle] = _ranges(payload, *parts[_RULE_EXPRESSIONS])
        return found


def attributes(payload: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type and the bounds of the value of every attribute between `start` and `end`; raises `Malformed`."""
    while end - start >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(payload, start)
        if length < _ATTRIBUTE.size or start + length > end:
            raise Malformed(f"a netlink attribute says it has {length} bytes where {end - start} are left")
        yield kind & _TYPE, start + _ATTRIBUTE.size, start + length
        start += (length + 3) & ~3


def _ranges(payload: bytes, start: int, end: int) -> tuple[int, int]:
    """Return how many expressions are ranges, and how many are no range: `range` itself, or at least and at most of the same value."""
    within = without = 0
    loads: list[bytes] = []
    low: list[bytes] | None = None
    for _, inner, stop in attributes(payload, start, end):
        name, operator = _comparison(payload, inner, stop)
        if name not in (b"cmp", b"range"):
            loads.append(payload[inner:stop])
            continue
        closes = (name, operator) == (b"cmp", _AT_MOST) and low is not None and loads in ([], low)
        within += closes or (name, operator) == (b"range", _EQUAL)
        without += (name, operator) == (b"range", _NOT_EQUAL)
        low = loads if (name, operator) == (b"cmp", _AT_LEAST) else None
        loads = []
    return within, without


def _comparison(payload: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return the name of an expression, and how it compares if it does."""
    name, operator = b"", 0
    for kind, first, last in attributes(payload, start, end):
        if kind == _EXPR_NAME:
            name = payload[first:last].rstrip(b"\0")
        elif kind == _EXPR_DATA and name in (b"cmp", b"range"):
            held = {kind: payload[one:two] for kind, one, two in attributes(payload, first, last)}
            operator = int.from_bytes(held.get(_OPERATOR, b""), "big")
    return name, operator


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
