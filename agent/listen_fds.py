"""How a worker takes over its socket: descriptor 3 by the `LISTEN_FDS` convention (`sd_listen_fds(3)`), never trusted blindly.

A listening socket comes from systemd: exactly one peer is accepted, and only one whose user is the core's. A connected one comes
from the launcher.
"""

import os
import socket
import struct
import sys
import time
from collections.abc import MutableMapping

from contracts.errors import HoldfastError, Refused, Unreachable

FIRST = 3
FD_NAME = "holdfast-worker"
ACCEPT_S = 20.0
"""A worker that nobody speaks to ends; its socket unit starts it again when somebody does."""

_CREDENTIALS = struct.Struct("3i")


def hand_over(sock: socket.socket, environ: MutableMapping[str, str] = os.environ) -> None:
    """Put `sock` where `claim` expects it, for this process."""
    if sock.fileno() != FIRST:
        os.dup2(sock.fileno(), FIRST, inheritable=True)
        sock.close()
    environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=FD_NAME)


def claim(worker: str, peers: frozenset[int], environ: MutableMapping[str, str] = os.environ) -> socket.socket:
    """Return the connected socket of `worker`, whose other side is one of the users `peers`.

    Raises `HoldfastError` when this process was not given exactly one Unix stream socket meant for it, `Refused` when a connected
    one has a foreign peer, and `Unreachable` when nobody connects. The variables are removed, so that no child takes them for its own.
    """
    pid, count, given = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or count != "1":
        raise HoldfastError(
            f"worker {worker} was not handed a socket",
            advice="Workers are started by systemd or by `holdfast run`, not by hand.",
        )
    if given not in ("", FD_NAME, worker, f"holdfast-{worker}.socket"):
        raise HoldfastError(
            f"the socket handed over is named {given!r}", advice=f"Set FileDescriptorName={worker} in its unit."
        )
    sock = _adopt()
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        if peer_uid(sock) not in peers:
            raise Refused(f"the other side of descriptor {FIRST} is user {peer_uid(sock)}, not the core")
        return sock
    with sock:
        return _accept(sock, peers)


def peer_uid(sock: socket.socket) -> int:
    """Return the user of the process that made or connected the other end."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def _adopt() -> socket.socket:
    try:
        sock = socket.socket(fileno=FIRST)
    except OSError as error:
        raise HoldfastError(f"descriptor {FIRST} is not a socket: {error.strerror}") from error
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise HoldfastError(f"descriptor {FIRST} is not a Unix stream socket")
    sock.setblocking(True)
    os.set_inheritable(FIRST, False)
    return sock


def _accept(listening: socket.socket, peers: frozenset[int]) -> socket.socket:
    """Accept one peer of the right user; others are closed at once and may not use up the time."""
    until = time.monotonic() + ACCEPT_S
    while (left := until - time.monotonic()) > 0:
        listening.settimeout(left)
        try:
            peer, _ = listening.accept()
        except TimeoutError:
            break
        uid = peer_uid(peer)
        if uid in peers:
            peer.setblocking(True)
            return peer
        sys.stderr.write(f"refused a connection from user {uid}: only the core may speak to a worker\n")
        peer.close()
    raise Unreachable(f"the core did not connect within {ACCEPT_S:g} s")
