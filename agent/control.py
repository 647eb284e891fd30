"""The client of the control socket: how the command line asks the running agent. Small, because every command waits for its import.

Both ends speak `contracts.control` in frames of a 4-byte big-endian length and MessagePack; the server is `agent.control_server`.
"""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.codec import Codec
from contracts.control import MAX_REPLY, MAX_REQUEST, Reply, Request
from contracts.errors import HoldfastError, Malformed, Refused, Unreachable

CONNECT_S = 5.0
LOOK_AT_IT = "look at it with: systemctl status holdfast-agent"
HEADER = struct.Struct(">I")
REQUESTS = Codec(Request, MAX_REQUEST)
REPLIES = Codec(Reply, MAX_REPLY)


def ask(path: Path, verb: str, arguments: Mapping[str, Any] | None = None, timeout_s: float = 30.0) -> Any:
    """Return the agent's one answer to `verb`; raises `Unreachable`, `Refused`, or the `HoldfastError` it answered with."""
    *_, answer = stream(path, verb, arguments, timeout_s)
    return answer


def stream(
    path: Path, verb: str, arguments: Mapping[str, Any] | None = None, timeout_s: float | None = 30.0
) -> Iterator[Any]:
    """Yield the agent's answers to `verb` until the last one; `timeout_s` bounds the wait for each (None: as long as it takes)."""
    body = REQUESTS.encode(Request(verb=verb, arguments=json.dumps(dict(arguments or {})).encode()))
    with _connect(path) as connection:
        connection.settimeout(timeout_s)
        try:
            with contextlib.suppress(BrokenPipeError):  # refused before it was read: the reason is waiting to be read
                connection.sendall(HEADER.pack(len(body)) + body)
            last = False
            while not last:
                reply = _receive(connection)
                last = reply.last
                yield json.loads(reply.body)
        except TimeoutError as error:
            raise Unreachable(f"the agent did not answer within {timeout_s:g} s", advice=LOOK_AT_IT) from error
        except OSError as error:
            raise Unreachable(f"the connection to the agent broke: {error.strerror}") from error


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    until = time.monotonic() + CONNECT_S
    try:
        connection.setblocking(False)
        while True:
            try:
                connection.connect(str(path))
                return connection
            except BlockingIOError:  # many callers wait already: the kernel does not queue this one
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
    except OSError as error:
        connection.close()
        if isinstance(error, PermissionError):
            raise Refused(f"may not use the control socket {path}", advice="run the command as root") from error
        if isinstance(error, BlockingIOError):
            raise Unreachable(f"the agent at {path} takes no calls", advice=LOOK_AT_IT) from error
        advice = "start it with: systemctl start holdfast-agent (or make run)"
        raise Unreachable(f"no agent answers at {path}", advice=advice) from error


def _receive(connection: socket.socket) -> Reply:
    """Read one reply; raises what it says went wrong."""
    (length,) = HEADER.unpack(_exactly(connection, HEADER.size))
    if length > MAX_REPLY:
        raise Malformed(f"the agent's answer of {length} bytes is over the limit of {MAX_REPLY}")
    reply = REPLIES.decode(_exactly(connection, length))
    if reply.error:
        error = Refused if reply.exit_code == Refused.exit_code else HoldfastError
        failure = error(reply.error, advice=reply.advice)
        failure.exit_code = reply.exit_code or HoldfastError.exit_code
        raise failure
    return reply


def _exactly(connection: socket.socket, count: int) -> bytes:
    body = bytearray()
    while len(body) < count:
        chunk = connection.recv(min(count - len(body), 1 << 20))
        if not chunk:
            raise Unreachable("the agent closed the connection before it answered")
        body += chunk
    return bytes(body)
