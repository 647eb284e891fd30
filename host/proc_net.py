"""Reads listening sockets from `/proc/PID/net`: the view into another network namespace, and the way when netlink is closed (proc(5)).

The kernel says less here: nothing of the device a socket is bound to, and nothing of v6only.
"""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import Malformed
from host.sock_diag import Bound

TABLES = (
    ("tcp", "tcp", socket.AF_INET),
    ("tcp", "tcp6", socket.AF_INET6),
    ("udp", "udp", socket.AF_INET),
    ("udp", "udp6", socket.AF_INET6),
    ("udplite", "udplite", socket.AF_INET),
    ("udplite", "udplite6", socket.AF_INET6),
)
"""Protocol, file and family."""

_LISTEN = b"0A"
_CLOSE = b"07"
_CHUNK = 256 << 10


def table(path: str, protocol: str, family: int) -> list[Bound]:
    """Return the sockets of one file; raises `OSError`, or `Malformed`.

    The kernel lists listening TCP sockets before all others, so the connections of a busy server are not read.
    """
    wanted = _LISTEN if protocol == "tcp" else _CLOSE
    found: list[Bound] = []
    for line in _lines(path):
        fields = line.split()
        if len(fields) < 10:
            raise Malformed(f"{path} holds {line[:80]!r}")
        if fields[3] == wanted:
            found.append(parse(fields, family))
        elif protocol == "tcp":
            break
    return found


def parse(fields: list[bytes], family: int) -> Bound:
    """Return the socket in one line's `fields`; raises `Malformed`."""
    try:
        address, _, port = fields[1].partition(b":")
        local = bytes.fromhex(address.decode())
        words = struct.unpack(f"={len(local) // 4}I", local)
        # Every 32-bit word is printed as a native number of the network-order bytes.
        raw = struct.pack(f">{len(words)}I", *words) if _LITTLE else local
        if len(raw) != (4 if family == socket.AF_INET else 16):
            raise ValueError(f"{len(raw)} bytes of address")
        return family, raw.ljust(16, b"\0"), int(port, 16), 0, 0, int(fields[7]), int(fields[9]), None
    except (ValueError, IndexError, struct.error) as error:
        raise Malformed(f"not a line of /proc/net/tcp: {b' '.join(fields)[:80]!r}") from error


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _lines(path: str) -> Iterator[bytes]:
    """Yield the lines of a file after its heading, reading only as far as they are wanted."""
    with Path(path).open("rb", buffering=0) as file:
        rest, is_first = b"", True
        while chunk := os.read(file.fileno(), _CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole[1:] if is_first else whole
            is_first = is_first and not whole
