"""Asks the system's name servers for the TXT record of a name (RFC 1035): no library, because one question is all there is."""

import secrets
import socket
import struct
from collections.abc import Iterator

from contracts.errors import Unavailable, Why

RESOLV_CONF = "/etc/resolv.conf"
TIMEOUT_S = 3.0
_PORT = 53
_TXT, _IN, _OPT = 16, 1, 41
_HEAD = struct.Struct(">HHHHHH")
_MOST = 4096
_MOST_POINTERS = 40


class NoAnswer(ValueError):
    """An answer that is none to the question."""


def texts(name: str, servers: tuple[tuple[str, int], ...] = (), timeout_s: float = TIMEOUT_S) -> tuple[str, ...]:
    """Return the texts of the TXT records of `name`; `servers` are addresses and ports, else those of the system. Raises `Unavailable`."""
    asked = servers or _system_servers()
    trouble = "no name server is configured"
    for address, port in asked:
        try:
            return _ask(name, address, port, timeout_s)
        except (OSError, NoAnswer, struct.error, IndexError) as error:
            trouble = f"{address}: {str(error) or type(error).__name__}"
    raise Unavailable(
        Why.OTHER, f"{name} could not be asked for ({trouble})", advice="check the name servers of this host"
    )


def _system_servers() -> tuple[tuple[str, int], ...]:
    try:
        with open(RESOLV_CONF, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # as in the other host modules
            lines = file.read(64 << 10).splitlines()
    except OSError as error:
        raise Unavailable(Why.NOT_PRESENT, f"{RESOLV_CONF} cannot be read: {error.strerror}") from error
    words = [line.split() for line in lines]
    return tuple((word[1], _PORT) for word in words if len(word) > 1 and word[0] == "nameserver")[:3]


def _ask(name: str, address: str, port: int, timeout_s: float) -> tuple[str, ...]:
    number = secrets.randbelow(1 << 16)
    question = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.rstrip(".").split(".")) + b"\0"
    question += struct.pack(">HH", _TXT, _IN)
    extra = b"\0" + struct.pack(">HHIH", _OPT, _MOST, 0, 0)  # EDNS: an answer may be longer than 512 bytes
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect((address, port))  # from nobody else is an answer taken
        sock.send(_HEAD.pack(number, 0x0100, 1, 0, 0, 1) + question + extra)
        return parse(sock.recv(_MOST), number, question)


def parse(raw: bytes, number: int, question: bytes) -> tuple[str, ...]:
    """Return the texts in an answer; raises `NoAnswer`, `IndexError` or `struct.error` for what is none."""
    said, flags, questions, answers, _, _ = _HEAD.unpack_from(raw)
    if said != number or not flags & 0x8000 or questions != 1 or not raw.startswith(question, _HEAD.size):
        raise NoAnswer("an answer to something else")
    if flags & 0x000F:
        raise NoAnswer(f"the server refuses with code {flags & 0x000F}")
    return tuple(_records(raw, _HEAD.size + len(question), answers))


def _records(raw: bytes, at: int, count: int) -> Iterator[str]:
    for _ in range(count):
        at = _after_name(raw, at)
        kind, _, _, length = struct.unpack_from(">HHIH", raw, at)
        at += 10
        if at + length > len(raw):
            raise NoAnswer("an answer that is cut off")
        if kind == _TXT:
            yield _text(raw[at : at + length])
        at += length


def _text(data: bytes) -> str:
    """Join the pieces of one record, each with its length before it."""
    found, at = b"", 0
    while at < len(data):
        found += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return found.decode("ascii", "replace")


def _after_name(raw: bytes, at: int) -> int:
    for _ in range(_MOST_POINTERS):
        length = raw[at]
        if length & 0xC0 == 0xC0:
            return at + 2
        if not length:
            return at + 1
        at += 1 + length
    raise NoAnswer("a name without end")
