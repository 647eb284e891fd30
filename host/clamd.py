"""Talks with clamd over its socket (`clamd(8)`): open files are handed over as descriptors, side by side in a session, or sent."""

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from contracts.clamd import SKIPPED, Verdict
from contracts.errors import Malformed, Unavailable, Why
from host import clamd_answers

CONNECT_S = 5.0
_CHUNK = 1 << 16
_PIECE = 1 << 20
_ADVICE = "see whether clamd runs: systemctl status clamav-daemon"
_HAND_OVER = b"zFILDES\0\0"
_DESCRIPTOR = struct.Struct("i")
_MANY = 32
_GATHER_S = 0.001
"""So long verdicts may gather while clamd has that `_MANY` files before it: being woken for each takes processors from the scan."""
_COMMANDS = frozenset({"VERSION", "PING", "STATS", "RELOAD"})


class LinuxClamd:
    """Implements `contracts.clamd.Clamd`."""

    def ask(self, address: str, command: str, timeout_s: float = 10.0) -> str:
        """Return the answer to one of the questions that a client may ask; raises `Unavailable`."""
        if command not in _COMMANDS:
            raise ValueError(f"not a question for clamd: {command!r}")
        with _connected(address, timeout_s) as sock, _translated(address):
            sock.sendall(f"z{command}\0".encode())
            return _whole(sock).decode("utf-8", "backslashreplace").strip("\0\n ")

    @contextmanager
    def session(self, address: str, timeout_s: float = 300.0) -> Iterator["Session"]:
        """Open a session in which files are scanned side by side."""
        if not address.startswith("unix:"):
            raise Unavailable(
                Why.INCOMPATIBLE,
                f"clamd at {address} takes no descriptors",
                advice="give it a LocalSocket, or have files sent",
            )
        with _connected(address, timeout_s) as sock:
            with _translated(address):
                sock.sendall(b"zIDSESSION\0")
                # The kernel bounds each wait: Python would ask poll(2) before everything that it sends or takes.
                sock.settimeout(None)
                for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                    sock.setsockopt(
                        socket.SOL_SOCKET, option, struct.pack("ll", *divmod(int(timeout_s * 1e6), 1_000_000))
                    )
            yield Session(sock, address)
            with suppress(OSError):  # the daemon may be gone by then; nothing is waited for
                sock.sendall(b"zEND\0")

    def stream(self, address: str, descriptor: int, max_bytes: int, timeout_s: float = 300.0) -> Verdict:
        """Have what `descriptor` holds scanned by sending it, from its beginning."""
        size = os.fstat(descriptor).st_size
        if size > max_bytes:
            return Verdict(state=SKIPPED, detail=f"{size} bytes are over clamd's StreamMaxLength of {max_bytes}")
        with _connected(address, timeout_s) as sock, _translated(address):
            sock.sendall(b"zINSTREAM\0")
            with suppress(BrokenPipeError, ConnectionResetError):  # it has said already that this is too much
                offset = 0
                while offset <= max_bytes and (piece := os.pread(descriptor, _PIECE, offset)):
                    sock.sendall(struct.pack(">I", len(piece)))
                    sock.sendall(piece)
                    offset += len(piece)
                sock.sendall(bytes(4))
            return clamd_answers.verdict(_whole(sock).strip(b"\0\n "))


class Session:
    """Implements `contracts.clamd.ClamdSession` over a socket after IDSESSION."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self._address = address
        self._splitter = clamd_answers.Splitter()
        self._open: set[int] = set()
        self._last = 0

    @property
    def waiting(self) -> int:
        """How many verdicts have not come yet."""
        return len(self._open)

    def submit(self, descriptor: int) -> int:
        """Hand over one open file."""
        number = self._last = self._last + 1
        began = time.monotonic()
        try:
            # clamd takes the descriptor and the byte that carries it from one message as well as from two: it reads both at once, too.
            self._sock.sendmsg((_HAND_OVER,), ((socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(descriptor)),))
        except OSError as error:
            raise _trouble(self._address, error, began) from error
        self._open.add(number)
        return number

    def verdicts(self) -> list[tuple[int, Verdict]]:
        """Wait for at least one verdict and return all that came."""
        found: list[tuple[int, Verdict]] = []
        if len(self._open) >= _MANY:
            time.sleep(_GATHER_S)
        while self._open and not found:
            began = time.monotonic()
            try:
                data = self._sock.recv(_CHUNK)
                if not data:
                    raise ConnectionResetError(0, f"it closed the session with {len(self._open)} files unanswered")
                for reply in self._splitter.feed(data):
                    number, rest = clamd_answers.numbered(reply)
                    if number not in self._open:
                        raise Malformed(f"clamd answers number {number}, which was not asked")
                    self._open.discard(number)
                    found.append((number, clamd_answers.verdict(rest)))
            except (OSError, Malformed) as error:
                raise _trouble(self._address, error, began) from error
        return found


def _whole(sock: socket.socket) -> bytes:
    """Return everything the daemon says until it closes or ends its answer."""
    answer = bytearray()
    while not answer.endswith(b"\0") and (data := sock.recv(_CHUNK)):
        answer += data
        if len(answer) > clamd_answers.MAX_REPLY:
            raise Malformed(f"an answer of clamd is longer than {clamd_answers.MAX_REPLY} bytes")
    return bytes(answer)


@contextmanager
def _connected(address: str, timeout_s: float) -> Iterator[socket.socket]:
    kind, _, place = address.partition(":")
    with _translated(address):
        if kind == "unix":
            sock = socket.socket(socket.AF_UNIX)
        else:
            host, _, port = place.rpartition(":")
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.settimeout(min(CONNECT_S, timeout_s))
            sock.connect(place if kind == "unix" else (host, int(port)))
            sock.settimeout(timeout_s)
        except BaseException:
            sock.close()
            raise
    with sock:
        yield sock


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turn what goes wrong on the socket into `Unavailable`, with the reason in words."""
    began = time.monotonic()
    try:
        yield
    except (OSError, Malformed) as error:
        raise _trouble(address, error, began) from error


def _trouble(address: str, error: OSError | Malformed, began: float) -> Unavailable:
    if isinstance(error, Malformed):
        return Unavailable(Why.MALFORMED, error.message, advice="see whether it is clamd that listens there")
    if isinstance(error, (TimeoutError, BlockingIOError)):
        message = f"clamd at {address} did not answer within {time.monotonic() - began:.0f} s"
        return Unavailable(Why.TIMEOUT, message, advice=_ADVICE)
    if isinstance(error, FileNotFoundError):
        # Not `NOT_PRESENT`: it is configured, so that nobody answers is a failure to look and no finding.
        return Unavailable(Why.OTHER, f"there is no socket at {address}", advice=_ADVICE)
    return _unreachable(address, error)


def _unreachable(address: str, error: OSError) -> Unavailable:
    """Why clamd cannot be reached: a sandbox without network is no silent daemon."""
    if error.errno == errno.EAFNOSUPPORT or (isinstance(error, PermissionError) and not address.startswith("unix:")):
        message = f"clamd listens at {address}, and this worker may not use the network"
        advice = "set LocalSocket /run/clamav/clamd.ctl and LocalSocketMode 666 in clamd.conf, then restart clamd"
        return Unavailable(Why.PERMISSION, message, advice=advice)
    if isinstance(error, PermissionError):
        advice = "set LocalSocketMode 666 in clamd.conf, or put this worker's user into the socket's group"
        return Unavailable(Why.PERMISSION, f"clamd at {address} may not be spoken to", advice=advice)
    message = f"clamd at {address} cannot be reached: {(error.strerror or str(error)).lower()}"
    return Unavailable(Why.OTHER, message, advice=_ADVICE)
