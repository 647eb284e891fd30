"""Netlink messages with attributes, as netfilter's parts of the kernel speak them (linux/netlink.h, linux/netfilter/nfnetlink.h)."""

import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence

from contracts.errors import Malformed, Unavailable, Why
from host import capabilities, committers, netlink

NLM_F_ACK = 0x004
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

SUBSYS_CTNETLINK = 1
SUBSYS_NFTABLES = 10
BATCH_BEGIN = 0x10
BATCH_END = 0x11

_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_ATTRIBUTE = struct.Struct("=HH")
_GENERIC = struct.Struct("=BB")  # family, version; the resource id behind them is in network order
_GENERIC_SIZE = 4
_BUFFER = 256 << 10
_PATIENCE_S = 10.0
_SMALL = 64 << 10
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33


class KernelRefused(Exception):
    """The kernel answered with an error number; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Dump(Exception):
    """The dump was interrupted by a change and has to be asked for again."""


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, word: str) -> bytes:
    """Return an attribute that holds a string with its final zero."""
    return attribute(kind, word.encode() + b"\0")


def message(kind: int, flags: int, family: int, body: bytes, resource: int = 0, number: int = 1) -> bytes:
    """Return a whole message with netfilter's generic header."""
    payload = _GENERIC.pack(family, 0) + resource.to_bytes(2, "big") + body
    return netlink.HEADER.pack(16 + len(payload), kind, flags | netlink.NLM_F_REQUEST, number, 0) + payload


def batch(messages: Sequence[bytes]) -> bytes:
    """Return `messages` as one transaction of nftables."""
    begin = message(BATCH_BEGIN, 0, 0, b"", SUBSYS_NFTABLES, 0)
    end = message(BATCH_END, 0, 0, b"", SUBSYS_NFTABLES, 0)
    return b"".join((begin, *messages, end))


def attributes(raw: bytes | memoryview, start: int = 0) -> dict[int, bytes]:
    """Return the attributes in `raw` from `start` by type; raises `Malformed`."""
    return dict(each(raw, start))


def each(raw: bytes | memoryview, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of every attribute in `raw` from `start`; raises `Malformed`."""
    place, size = start, len(raw)
    while place + _ATTRIBUTE.size <= size:
        length, kind = _ATTRIBUTE.unpack_from(raw, place)
        if length < _ATTRIBUTE.size or place + length > size:
            raise Malformed(f"a netlink attribute says it has {length} bytes where {size - place} are left")
        yield kind & _TYPE_MASK, bytes(raw[place + _ATTRIBUTE.size : place + length])
        place += (length + 3) & ~3


def word(payload: bytes | None) -> str:
    """Return a string attribute without its final zero."""
    return (payload or b"").rstrip(b"\0").decode("utf-8", "replace")


class Conversation:
    """A socket to one part of netfilter; `what` completes "cannot …" in errors. Use it as a context manager."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._sock = netlink.open_netlink(netlink.NETLINK_NETFILTER, what)
        self._sock.settimeout(_PATIENCE_S)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, request: bytes) -> list[bytes]:
        """Return the bodies (behind the generic header) of all answers to one request; raises `KernelRefused`, `Dump`."""
        self._send(request)
        found: list[bytes] = []
        view = memoryview(bytearray(_BUFFER))
        while True:
            part = view[: self._receive(view)]
            for kind, flags, start, end in netlink.messages(part):
                if flags & netlink.NLM_F_DUMP_INTR:
                    raise Dump
                if kind == netlink.NLMSG_DONE:
                    return found
                if kind == netlink.NLMSG_ERROR:
                    self._check(part, start, end)
                    return found
                found.append(bytes(part[start + _GENERIC_SIZE : end]))

    def change(self, request: bytes) -> None:
        """Send a request whose last message asks for an acknowledgement and wait for it; raises `KernelRefused` for the first refusal."""
        committers.note_own(threading.get_native_id())
        self._send(request)
        view = memoryview(bytearray(_BUFFER))
        while True:
            part = view[: self._receive(view)]
            for kind, _, start, end in netlink.messages(part):
                if kind == netlink.NLMSG_ERROR:
                    self._check(part, start, end)
                    return

    def _send(self, request: bytes) -> None:
        try:
            if len(request) > _SMALL:
                self._sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, len(request) * 2)
            self._sock.send(request)
        except OSError as error:
            raise self._unavailable(error.errno or 0) from error

    def _receive(self, view: memoryview) -> int:
        try:
            return self._sock.recv_into(view)
        except TimeoutError as error:
            message = f"the kernel did not answer within {_PATIENCE_S:g} s, so {self._what} cannot be told"
            raise Unavailable(Why.TIMEOUT, message) from error
        except OSError as error:
            raise self._unavailable(error.errno or 0) from error

    def _check(self, part: memoryview, start: int, end: int) -> None:
        number = netlink.error_number(part, start, end)
        if number in (1, 13):  # EPERM, EACCES
            raise self._unavailable(number)
        if number:
            raise KernelRefused(number)

    def _unavailable(self, number: int) -> Unavailable:
        lacking = capabilities.missing("CAP_NET_ADMIN")
        advice = capabilities.advice(lacking) if lacking else "look at the limits of this unit"
        message = f"the kernel refuses {self._what} ({os.strerror(number)})"
        return Unavailable(Why.PERMISSION if number in (1, 13) else Why.OTHER, message, advice=advice)
