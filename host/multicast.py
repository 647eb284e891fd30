"""Hears what the kernel announces to netlink groups, burst by burst: what the monitors of the ruleset and of the network share."""

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator

from contracts.errors import Unavailable, Why
from contracts.host import Stop
from host import capabilities, netlink

_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_ROOM = 4 << 20
_CHUNK = 256 << 10
_QUIET_S = 0.005
_LONGEST_S = 0.03
"""A burst is over after so long a silence, and reported after so long at the latest."""


def bursts(
    protocol: int, groups: Iterable[int], what: str, stop: Stop, take: Callable[[bytes], None] = lambda _: None
) -> Iterator[str]:
    """Yield `changed` after every burst, `overflow` when something went unheard, until `stop` is set.

    `take` is given every datagram as soon as it is read. Raises `Unavailable`, which says that `what` is not announced.
    """
    with subscribe(protocol, groups, what) as hearing:
        while not stop.is_set():
            ready, _, _ = select.select([hearing.fileno(), stop.fileno()], [], [])
            if hearing.fileno() in ready:
                yield drain(hearing, what, take)


def subscribe(protocol: int, groups: Iterable[int], what: str) -> socket.socket:
    """Return a socket that hears `groups`; raises `Unavailable`."""
    hearing = netlink.open_netlink(protocol, what)
    try:
        hearing.setblocking(False)
        _make_room(hearing)
        hearing.bind((0, 0))
        for group in groups:
            hearing.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except OSError as error:
        hearing.close()
        raise _refused(error, protocol, what) from error
    return hearing


def _make_room(hearing: socket.socket) -> None:
    try:
        hearing.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:  # as much as the system grants everyone, then; overflow is noticed
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)


def _refused(error: OSError, protocol: int, what: str) -> Unavailable:
    if error.errno in (errno.EPERM, errno.EACCES):
        lacking = capabilities.missing("CAP_NET_ADMIN")
        without = f" without {lacking[0]}" if lacking else ""
        message = f"the kernel does not announce {what}{without}"
        return Unavailable(Why.PERMISSION, message, advice=capabilities.advice(lacking))
    message = f"the kernel does not announce {what} ({os.strerror(error.errno or 0)})"
    advice = "load the module nf_tables" if protocol == netlink.NETLINK_NETFILTER else capabilities.advice(())
    return Unavailable(Why.NOT_PRESENT, message, advice=advice)


def drain(hearing: socket.socket, what: str, take: Callable[[bytes], None] = lambda _: None) -> str:
    """Read until the burst is over; return the word for it."""
    word = "changed"
    end = time.monotonic() + _LONGEST_S
    while True:
        try:
            while True:
                take(hearing.recv(_CHUNK))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise Unavailable(Why.OTHER, f"listening for {what} broke ({error.strerror})") from error
            word = "overflow"
            continue
        left = min(_QUIET_S, end - time.monotonic())
        if left <= 0 or not select.select([hearing], [], [], left)[0]:
            return word
