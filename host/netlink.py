"""The frame of netlink messages, as far as sock_diag and the ruleset monitor share it (netlink(7), linux/netlink.h)."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

from contracts.errors import Malformed, Unavailable, Why

HEADER = struct.Struct("=IHHII")
"""Length, type, flags, sequence number, port id; native byte order."""

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_DUMP_INTR = 0x010
NLM_F_DUMP = 0x300

NETLINK_NETFILTER = 12
NETLINK_SOCK_DIAG = 4

_ERRNO = struct.Struct("=i")


def open_netlink(protocol: int, what: str) -> socket.socket:
    """Return a netlink socket; raises `Unavailable` that says `what` cannot be seen without it."""
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        advice = "allow AF_NETLINK in RestrictAddressFamilies= of this unit"
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            message = f"this kernel has no netlink family {protocol}, which tells of {what}"
            raise Unavailable(Why.NOT_PRESENT, message, advice="use a kernel that has it") from error
        message = f"a netlink socket, which tells of {what}, may not be opened ({os.strerror(error.errno or 0)})"
        raise Unavailable(Why.PERMISSION, message, advice=advice) from error


def messages(buffer: bytes | memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield type, flags, and where the payload begins and ends, of every message in `buffer`; raises `Malformed`."""
    place, size = 0, len(buffer)
    while place < size:
        if size - place < HEADER.size:
            raise Malformed(f"{size - place} stray bytes after the last netlink message")
        length, kind, flags, _, _ = HEADER.unpack_from(buffer, place)
        if length < HEADER.size or place + length > size:
            raise Malformed(f"a netlink message says it has {length} bytes where {size - place} are left")
        yield kind, flags, place + HEADER.size, place + length
        place += (length + 3) & ~3


def error_number(buffer: bytes | memoryview, start: int, end: int) -> int:
    """Return the positive error number that an `NLMSG_ERROR` or `NLMSG_DONE` payload holds, 0 for none."""
    return -_ERRNO.unpack_from(buffer, start)[0] if end - start >= _ERRNO.size else 0
