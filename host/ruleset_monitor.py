"""Hears from the kernel that the nftables ruleset changed: the netlink group that `nft monitor` listens to.

Legacy iptables does not announce itself here; its tables have to be looked at.
"""

import errno
import os
import select
import socket
import time
from collections.abc import Iterator

from contracts.errors import Unavailable, Why
from contracts.host import Stop
from host import capabilities, netlink

_GROUP = 7  # NFNLGRP_NFTABLES in linux/netfilter/nfnetlink.h
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_ROOM = 4 << 20
_CHUNK = 256 << 10
_QUIET_S = 0.005
_LONGEST_S = 0.03
"""A burst is over after so long a silence, and reported after so long at the latest."""


def changes(stop: Stop) -> Iterator[str]:
    """Yield `changed` after every change, `overflow` when some went unheard, until `stop` is set; raises `Unavailable`."""
    with _subscribe() as hearing:
        while not stop.is_set():
            ready, _, _ = select.select([hearing.fileno(), stop.fileno()], [], [])
            if hearing.fileno() in ready:
                yield _drain(hearing)


def _subscribe() -> socket.socket:
    hearing = netlink.open_netlink(netlink.NETLINK_NETFILTER, "changes of the firewall")
    try:
        hearing.setblocking(False)
        _make_room(hearing)
        hearing.bind((0, 0))
        hearing.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _GROUP)
    except OSError as error:
        hearing.close()
        raise _refused(error) from error
    return hearing


def _make_room(hearing: socket.socket) -> None:
    try:
        hearing.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:  # as much as the system grants everyone, then; overflow is noticed
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)


def _refused(error: OSError) -> Unavailable:
    if error.errno in (errno.EPERM, errno.EACCES):
        lacking = capabilities.missing("CAP_NET_ADMIN")
        without = f" without {lacking[0]}" if lacking else ""
        message = f"the kernel does not announce changes of the firewall{without}"
        return Unavailable(Why.PERMISSION, message, advice=capabilities.advice(lacking))
    message = f"the kernel does not announce changes of the firewall ({os.strerror(error.errno or 0)})"
    return Unavailable(Why.NOT_PRESENT, message, advice="load the module nf_tables")


def _drain(hearing: socket.socket) -> str:
    """Read until the burst is over; return the word for it."""
    word = "changed"
    end = time.monotonic() + _LONGEST_S
    while True:
        try:
            while True:
                hearing.recv(_CHUNK)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise Unavailable(
                    Why.OTHER, f"listening for changes of the firewall broke ({error.strerror})"
                ) from error
            word = "overflow"
            continue
        left = min(_QUIET_S, end - time.monotonic())
        if left <= 0 or not select.select([hearing], [], [], left)[0]:
            return word
