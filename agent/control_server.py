"""The control socket: what the command line asks the running agent, answered to root and the group `holdfast` alone.

The socket is open to everyone (0666 in a 0755 directory) on purpose: the kernel says who is calling, so that a peer who may not ask is
told so once, and his attempt is an event instead of a silent `EACCES`.
"""

import contextlib
import grp
import json
import os
import pwd
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent import kernel
from agent.control import HEADER, REPLIES, REQUESTS
from agent.loop import Loop
from contracts.control import MAX_REPLY, MAX_REQUEST, Reply
from contracts.errors import HoldfastError, Malformed, Refused, Unreachable
from contracts.event import Event, Kind, Severity
from contracts.record import Record

CONTROL_REFUSED = Kind(
    name="agent.control_refused",
    meaning="A process that may not command this agent connected to its control socket and was turned away.",
    title="Control socket refused {user} (uid {uid}, pid {pid})",
    severity=Severity.MEDIUM,
    fields={"uid": "int", "pid": "int", "user": "str", "program": "str"},
    attack=("T1562",),
    advice="Find out what that process is; add its user to the group holdfast if it should command the agent.",
)

MAX_CLIENTS = 64
REQUEST_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 10.0
LARGE = 1 << 20
"""After an answer of this size the memory it took is given back."""
REFUSAL_EVERY_S = 60.0
"""One uid's refusals make at most one event in this time; the next one counts those held back."""
_SO_PEERGROUPS = 59
_MAX_GROUPS_BYTES = 1024  # the most that Python asks for: 256 groups


class Peer(Record):
    """Who is at the other end, as the kernel says; `pid` 0 when it lives in a process namespace that cannot be named here."""

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, connection: socket.socket) -> "Peer":
        """Ask the kernel who connected."""
        pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS_BYTES)
        except OSError:  # in more groups than that: only his user and first group count
            raw = b""
        return cls(pid=pid, uid=uid, gid=gid, groups=struct.unpack(f"{len(raw) // 4}I", raw))

    def user(self) -> str:
        """Return the account's name, or the number where it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


class Answer:
    """The open end of one request, for a verb that answers later or more than once."""

    def __init__(self, client: "_Client") -> None:
        self._client = client

    @property
    def open(self) -> bool:
        """Whether the peer is still there."""
        return not self._client.closed

    def send(self, value: Any, last: bool = True) -> None:
        """Send `value` as JSON; more may follow unless `last`."""
        self._client.reply(Reply(body=_dump(value), last=last))

    def fail(self, error: HoldfastError) -> None:
        """End the request with an error a person can act on."""
        self._client.reply(_failure(error))

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call back once, when the peer has gone or the answer has ended (now, if it has)."""
        if self._client.closed:
            callback()
        else:
            self._client.watchers.append(callback)


class Later:
    """What a verb returns when its answer does not exist yet: `start` gets the `Answer` to send it to."""

    def __init__(self, start: Callable[[Answer], None]) -> None:
        self.start = start


Verb = Callable[[Peer, dict[str, Any]], Any]
"""Answers one request: returns what JSON can carry (msgspec structs included) or `Later`; raises `HoldfastError` for "no"."""


class ControlServer:
    """Listens on `path`; every request of an allowed peer goes to the verb it names."""

    def __init__(
        self,
        loop: Loop,
        path: Path,
        verbs: Mapping[str, Verb],
        refused: Callable[[Event], None],
        group: str = "holdfast",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop, self._path, self._verbs, self._refused = loop, path, verbs, refused
        self._monotonic = monotonic
        self._allowed_group = _group_id(group)
        self._clients: set[_Client] = set()
        self._refusals: dict[int, tuple[float, int]] = {}
        self._socket = _listen(path)
        loop.add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening, drop every client and take the socket away."""
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        for client in list(self._clients):
            client.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return  # gone before we came, or out of descriptors: the next round tries again
        connection.setblocking(False)
        try:
            peer = Peer.of(connection)
        except OSError:
            connection.close()
            return
        if not self._allows(peer):
            self._refuse(connection, peer)
        elif len(self._clients) >= MAX_CLIENTS:
            _send_once(connection, _failure(Unreachable("the agent answers too many requests already")))
        else:
            self._clients.add(_Client(self._loop, connection, peer, self._verbs, self._clients.discard))

    def _allows(self, peer: Peer) -> bool:
        if peer.uid in (0, os.getuid()):
            return True
        return self._allowed_group is not None and self._allowed_group in (peer.gid, *peer.groups)

    def _refuse(self, connection: socket.socket, peer: Peer) -> None:
        no = Refused(
            f"user {peer.user()} may not command this agent",
            advice="run the command as root or as a member of group holdfast",
        )
        _send_once(connection, _failure(no))
        now = self._monotonic()
        last, held = self._refusals.get(peer.uid, (-REFUSAL_EVERY_S, 0))
        if now - last < REFUSAL_EVERY_S:
            self._refusals[peer.uid] = (last, held + 1)
            return
        if len(self._refusals) > 4096:  # a flood from many uids may not grow this table without end
            self._refusals.clear()
        self._refusals[peer.uid] = (now, 0)
        event = CONTROL_REFUSED.event(
            f"uid:{peer.uid}", uid=peer.uid, pid=peer.pid, user=peer.user(), program=_program(peer.pid)
        )
        self._refused(_with_repeats(event, held))


class _Client:
    """One allowed connection: a bounded request in, replies out, and no patience for a peer who does not read."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        peer: Peer,
        verbs: Mapping[str, Verb],
        gone: Callable[["_Client"], None],
    ) -> None:
        self._loop, self._connection, self._peer, self._verbs, self._gone = loop, connection, peer, verbs, gone
        self._inbox, self._outbox = bytearray(), bytearray()
        self._asked = self._ending = self.closed = False
        self.watchers: list[Callable[[], None]] = []
        self._timer = loop.call_later(REQUEST_TIMEOUT_S, self.close)
        loop.add_reader(connection.fileno(), self._readable)

    def reply(self, reply: Reply) -> None:
        """Queue one reply; a peer who lets too much pile up is dropped."""
        if self.closed or self._ending:
            return
        try:
            body = REPLIES.encode(reply)
        except Malformed as error:
            body = REPLIES.encode(_failure(HoldfastError(f"the answer {error}", advice="ask for less, with --limit")))
        self._ending = reply.last
        self._outbox += HEADER.pack(len(body)) + body
        if len(self._outbox) > 2 * MAX_REPLY:
            self.close()
            return
        self._writable()

    def close(self) -> None:
        """Drop the connection."""
        if self.closed:
            return
        self.closed = True
        self._timer.cancel()
        self._loop.remove(self._connection.fileno())
        self._connection.close()
        self._gone(self)
        for callback in self.watchers:
            callback()

    def _readable(self) -> None:
        try:
            chunk = self._connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if (
            not chunk or self._asked
        ):  # the end, or words after the one request: a follower says by this that he has enough
            self.close()
            return
        self._inbox += chunk
        if len(self._inbox) < HEADER.size:
            return
        (length,) = HEADER.unpack_from(self._inbox)
        if length > MAX_REQUEST:
            self._asked = True
            self.reply(_failure(Malformed(f"a request of {length} bytes is over the limit of {MAX_REQUEST}")))
        elif len(self._inbox) >= HEADER.size + length:
            self._asked = True
            self._timer.cancel()
            self._answer(bytes(self._inbox[HEADER.size : HEADER.size + length]))

    def _answer(self, body: bytes) -> None:
        try:
            request = REQUESTS.decode(body)
            verb = self._verbs.get(request.verb)
            if verb is None:
                raise Malformed(
                    f"the agent does not know the verb {request.verb!r}", advice="update the command or the agent"
                )
            answer = verb(self._peer, _arguments(request.arguments))
        except HoldfastError as error:
            self.reply(_failure(error))
            return
        if isinstance(answer, Later):
            answer.start(Answer(self))
        else:
            self.reply(Reply(body=_dump(answer)))

    def _writable(self) -> None:
        try:
            sent = self._connection.send(self._outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        large = len(self._outbox) > LARGE
        del self._outbox[:sent]
        self._timer.cancel()
        if large and not self._outbox:
            kernel.trim_memory()
        if self._outbox:
            self._loop.add_writer(self._connection.fileno(), self._writable)
            self._timer = self._loop.call_later(SEND_TIMEOUT_S, self.close)
        elif self._ending:
            self.close()
        else:
            self._loop.remove_writer(self._connection.fileno())


def _listen(path: Path) -> socket.socket:
    """Bind the control socket so that everybody may connect to it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # the single-instance lock is held: what lies here is a dead agent's
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(128)
    except OSError as error:
        listener.close()
        advice = "choose a shorter runtime directory" if len(str(path)) > 107 else "check the runtime directory's owner"
        raise HoldfastError(f"cannot listen on {path}: {error.strerror or error}", advice=advice) from error
    return listener


def _group_id(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _arguments(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the arguments are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("the arguments are not a JSON object")
    return value


def _dump(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _failure(error: HoldfastError) -> Reply:
    return Reply(error=error.message, advice=error.advice, exit_code=error.exit_code)


def _send_once(connection: socket.socket, reply: Reply) -> None:
    """Send one short reply without waiting, and close."""
    body = REPLIES.encode(reply)
    with connection, contextlib.suppress(OSError):
        connection.send(HEADER.pack(len(body)) + body)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)  # what he asked is thrown away, so that closing does not reset before he has read why


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "backslashreplace").strip() if pid > 0 else ""
    except OSError:
        return ""


def _with_repeats(event: Event, held: int) -> Event:
    return msgspec.structs.replace(event, repeats=held) if held else event
