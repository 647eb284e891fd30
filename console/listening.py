"""Sockets to listen on and the certificates shown there, made before anything else so that what is wrong is said at once."""

import datetime as dt
import errno
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from console.authority import Authority, certificate_ends, certificate_names, write_private
from console.settings import split_address
from contracts.errors import HoldfastError, UsageError

BACKLOG = 4096
RENEW_BEFORE = dt.timedelta(days=30)


class CannotListen(HoldfastError):
    """An address and port cannot be used."""

    exit_code = 69  # EX_UNAVAILABLE


def listen(address: str, what: str) -> socket.socket:
    """Return a listening socket for `ADDRESS:PORT`; `what` completes "the listener for …". Raises `CannotListen`."""
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is not ADDRESS:PORT", advice="write for example 0.0.0.0:8444") from error
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise CannotListen(f"{host} for {what} is not an address of this machine", advice="name another") from error
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(where)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _cannot(address, what, error) from error
    made.setblocking(False)
    return made


def address_of(listening: socket.socket) -> str:
    """Return ADDRESS:PORT of a socket, with the port it really got."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_names(address: str, configured: Sequence[str]) -> tuple[str, ...]:
    """Return the names and addresses a certificate is made for: loopback, the host name, where it listens, what is configured."""
    host, _ = split_address(address)
    listening = () if host in ("0.0.0.0", "::") else (host,)
    names = ("localhost", "127.0.0.1", "::1", socket.gethostname(), *listening, *configured)
    return tuple(dict.fromkeys(name for name in names if name))


class ListenerCertificate:
    """Key and chain of one listener, kept on disk and made anew before they end, when names change, or with a new authority."""

    def __init__(self, folder: Path, name: str, names: Sequence[str]) -> None:
        self.chain = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        self._names = tuple(names)

    def ensure(self, authority: Authority, now: dt.datetime) -> bool:
        """Make key and chain if there are none that will do; return whether they were made."""
        if self._will_do(authority, now):
            return False
        key, chain = authority.issue_server(self._names, now)
        try:
            self.chain.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.chain.unlink(missing_ok=True)
            write_private(self.key, key)
            write_private(self.chain, chain)
        except OSError as error:
            raise HoldfastError(
                f"{self.chain.parent} cannot be written: {error.strerror}",
                advice="make the state directory writable by the console's user",
            ) from error
        return True

    def _will_do(self, authority: Authority, now: dt.datetime) -> bool:
        try:
            chain = self.chain.read_bytes()
            ssl.create_default_context().load_cert_chain(self.chain, self.key)
            fresh = certificate_ends(chain) - now > RENEW_BEFORE
            return fresh and certificate_names(chain) == frozenset(self._names) and chain.endswith(authority.trusted())
        except (OSError, ValueError, LookupError):
            return False  # missing or damaged: it is made anew, nothing depends on the old one


def check_state_directory(folder: Path) -> None:
    """Make the state directory, private; raises `HoldfastError` when it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
    except OSError as error:
        raise HoldfastError(
            f"the state directory {folder} cannot be used: {error.strerror}",
            advice="name another with --state-dir or make it writable by this user",
        ) from error


def _cannot(address: str, what: str, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"{address} for {what} is in use by another program",
            advice="stop it (ss -tlnp shows which) or choose another port",
        )
    if error.errno == errno.EACCES:
        return CannotListen(f"{address} for {what} needs privileges", advice="choose a port from 1024 on")
    return CannotListen(f"{address} for {what} cannot be used: {error.strerror}", advice="choose another address")
