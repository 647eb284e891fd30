"""Who is logged in from elsewhere, and who is connected: what utmp(5), systemd-logind's session files and `/proc/net/tcp` say.

Their content only; whoever reads the files says what could not be read.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

USER_PROCESS = 7
"""The type of a record of utmp that speaks of somebody who is logged in."""
ESTABLISHED, LISTENING = "01", "0A"

_RECORD = struct.Struct("<hxxi32s4s32s256shhiii16s20x")
"""`struct utmp` of utmp(5): type, process, line, id, user, host, exit status (two), session, seconds, microseconds, address."""
RECORD_SIZE = _RECORD.size
_LIVE = ("active", "online")


class Login(NamedTuple):
    """One record of somebody who is (or, in btmp, tried to be) logged in: `began_ms` is Unix time, `address` "" where none is known.

    `kind` is the type of a record of utmp; `service` is what let him in, as logind knows it (`sshd`).
    """

    user: str
    address: str
    began_ms: int
    kind: int = USER_PROCESS
    service: str = ""


class Connection(NamedTuple):
    """One TCP socket of this host; `state` as the kernel writes it, `uid` the owner's."""

    address: str
    port: int
    peer: str
    state: str
    uid: int


def utmp(content: bytes) -> Iterator[Login]:
    """Yield every whole record in the content of utmp, wtmp or btmp, or of their end, which begins with a whole record."""
    whole = len(content) - len(content) % RECORD_SIZE
    known: dict[tuple[bytes, bytes], str] = {}  # those who guess come back again and again
    for kind, _, _, _, user, host, _, _, _, seconds, micros, packed in _RECORD.iter_unpack(memoryview(content)[:whole]):
        address = known.get((host, packed))
        if address is None:
            address = known[host, packed] = canonical(_text(host)) or _packed(packed)
        yield Login(_text(user), address, (seconds & 0xFFFFFFFF) * 1000 + micros // 1000, kind)


def logind(text: str) -> Login | None:
    """Return what a file in `/run/systemd/sessions` says; None unless it is a live session from an address elsewhere."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    address = canonical(values.get("REMOTE_HOST", ""))
    if not address or values.get("STATE") not in _LIVE:
        return None
    began = values.get("REALTIME", "")
    began_ms = int(began) // 1000 if began.isascii() and began.isdigit() else 0
    user = values.get("USER", values.get("UID", "somebody"))
    return Login(user, address, began_ms, service=values.get("SERVICE", ""))


def connections(table: str) -> Iterator[Connection]:
    """Yield the sockets in the content of `/proc/net/tcp` or `tcp6`; lines that are none are passed over."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        try:
            address, port = _endpoint(fields[1])
            peer, _ = _endpoint(fields[2])
            yield Connection(address, port, peer, fields[3], int(fields[7]))
        except (IndexError, ValueError):
            continue


def canonical(text: str) -> str:
    """Return an address in canonical text, one that is mapped into IPv6 as IPv4; "" for what is no address."""
    try:
        return _plain(ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def _endpoint(word: str) -> tuple[str, int]:
    """Return address and port; the kernel writes each 32-bit word of an address as a number of this machine."""
    digits, _, port = word.partition(":")
    raw = b"".join(struct.pack("=I", int(digits[place : place + 8], 16)) for place in range(0, len(digits), 8))
    return _plain(ip_address(raw)), int(port, 16)


def _packed(raw: bytes) -> str:
    """Return the address field of utmp: IPv4 in the first four bytes and nothing behind, else IPv6; "" for none."""
    if not any(raw):
        return ""
    return _plain(ip_address(raw if any(raw[4:]) else raw[:4]))


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
