"""The eyes of a worker: a process of its own that holds CAP_SYS_PTRACE, so that the worker need not.

Whoever may follow `/proc/PID/fd` may by the same capability read every process's memory and, through `/proc/PID/root`, every file
(`ptrace(2)`, access modes). So a worker that must know the owners of sockets forks this process before it meets any hostile input and
then gives the capability up. The eyes answer three questions, with the host's own code, and nothing else; a worker that is taken over
can ask them who owns which socket, and no more.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from agent import kernel
from agent.execute import settle
from agent.framing import pack, read_frame, write_frame
from agent.last_words import last_words
from contracts import outcome as outcomes
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Malformed, Unavailable, Why
from contracts.host import (
    Facts,
    Host,
    Processes,
    ProcessTable,
    RulesetChange,
    Senders,
    Sockets,
    SocketTable,
    Stop,
    Stream,
)
from contracts.record import Record

MAX_ANSWER = 256 << 20
MAX_QUESTION = 8 << 20
CAPABILITY = "CAP_SYS_PTRACE"
BIG = 1 << 20
"""Bytes of an answer after which free memory is given back."""


class Listening(Record, tag="listening"):
    """Which sockets listen?"""

    id: int
    owners: bool
    ports: frozenset[int] = frozenset()


class Describe(Record, tag="describe"):
    """What are these processes?"""

    id: int
    pids: tuple[int, ...]


class Sending(Record, tag="sending"):
    """Which connections have sent much?"""

    id: int
    at_least: int
    most: int


Question = Listening | Describe | Sending


class Seen(Record):
    """The answer to question `id`: one of the three, or why not. `cpu_s` is what it took."""

    id: int
    cpu_s: float = 0.0
    sockets: Sockets | None = None
    processes: Processes | None = None
    senders: Senders | None = None
    why: Why | None = None
    detail: str = ""
    fix: str = ""
    error: str = ""


class Eyes:
    """The worker's end: who owns the sockets, and a `ProcessTable`."""

    def __init__(self, sock: socket.socket) -> None:
        self.cpu_s = 0.0
        self._sock = sock
        self._last = 0
        self._lock = threading.Lock()
        self._coming = _Frame(sock)
        self._decoder = msgspec.msgpack.Decoder(Seen)

    @classmethod
    def open(cls, host: Host, core: socket.socket) -> "Eyes":
        """Fork the eyes of `host`, which let go of `core`, the worker's socket.

        Call it with one thread, and give up `CAPABILITY` afterwards.
        """
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                ours.close()
                core.close()
                _look(theirs, host)
            except Exception:  # noqa: BLE001  # a defect of the eyes: shown here; the worker ends with them and is started anew
                last_words("holdfast worker: the eyes")
            finally:
                os._exit(1)
        theirs.close()
        return cls(ours)

    def listening(self, owners: bool = True, ports: Collection[int] = ()) -> Sockets:
        """Return the listening sockets (`contracts.host.SocketTable`)."""
        answer = self._ask(lambda number: Listening(id=number, owners=owners, ports=frozenset(ports)))
        return answer.sockets or Sockets(sockets=())

    def sending(self, at_least: int, most: int) -> Senders:
        """Return the connections that have sent much (`contracts.host.SocketTable`)."""
        answer = self._ask(lambda number: Sending(id=number, at_least=at_least, most=most))
        return answer.senders or Senders(connections=())

    def describe(self, pids: Sequence[int]) -> Processes:
        """Describe the processes of `pids` (`contracts.host.ProcessTable`)."""
        answer = self._ask(lambda number: Describe(id=number, pids=tuple(pids)))
        return answer.processes or Processes(by_pid={})

    def _ask(self, make: Callable[[int], Question]) -> Seen:
        try:
            with self._lock:  # a watcher may ask while a look does
                self._last += 1
                question = make(self._last)
                write_frame(self._sock, msgspec.msgpack.encode(question))
                answer = self._answer()
                while answer.id != question.id:  # to a question whose deadline passed before it was answered
                    answer = self._answer()
        except (OSError, Malformed, *UNDECODABLE) as error:
            _end(f"the eyes are gone: {error}")
        self.cpu_s += answer.cpu_s
        if answer.why is not None:
            raise Unavailable(answer.why, answer.detail, advice=answer.fix)
        if answer.error:
            raise HoldfastError(answer.error, permanent=False)
        return answer

    def _answer(self) -> Seen:
        """Read one answer; a deadline that interrupts this leaves the rest of it to the next question."""
        body = self._coming.read()
        self._coming = _Frame(self._sock)
        return self._decoder.decode(body)


class _Frame:
    """One frame that may be read in several attempts."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: list[bytes] = []

    def read(self) -> bytes:
        while (missing := self._missing()) > 0:
            before = len(self._parts)
            # Received and kept in one step of the interpreter: a deadline in between would lose the part, and with it the place.
            self._parts.extend(map(self._sock.recv, (min(missing, 1 << 20),)))
            if not all(self._parts[before:]):
                raise Malformed("end of stream")
        return b"".join(self._parts)[4:]

    def _missing(self) -> int:
        held = sum(map(len, self._parts))
        if held < 4:
            return 4 - held
        length = int.from_bytes(b"".join(part[:4] for part in self._parts[:4])[:4], "big")
        if length > MAX_ANSWER:
            raise Malformed(f"an answer of {length} bytes")
        return 4 + length - held


class _Sockets:
    """Owners are seen by the eyes; whether the set of sockets changed needs no capability, is asked often, and is seen by the worker."""

    def __init__(self, own: SocketTable, eyes: Eyes) -> None:
        self.listening, self.sending, self.fingerprint = eyes.listening, eyes.sending, own.fingerprint


class FarSighted:
    """A host whose sockets and processes are seen through the eyes; everything else is the host's own."""

    def __init__(self, host: Host, eyes: Eyes) -> None:
        self._host, self._eyes = host, eyes
        self.files, self.commands, self.packages = host.files, host.commands, host.packages
        self.sockets: SocketTable = _Sockets(host.sockets, eyes)
        self.processes: ProcessTable = eyes
        self.dry, self.state = host.dry, host.state
        self.nftables, self.programs, self.trees = host.nftables, host.programs, host.trees
        self.clamd, self.openings = host.clamd, host.openings
        self.netfilter = host.netfilter
        self.change, self.write = host.change, host.write

    @property
    def read_bytes(self) -> int:
        """What the host has read so far."""
        count = getattr(self._host, "read_bytes", 0)
        return count if isinstance(count, int) else 0

    @property
    def cpu_s(self) -> float:
        """What the eyes have used so far."""
        return self._eyes.cpu_s

    def now(self) -> datetime:
        """Return the wall time."""
        return self._host.now()

    def monotonic(self) -> float:
        """Return seconds on the clock that no one sets."""
        return self._host.monotonic()

    def facts(self) -> Facts:
        """Return what this machine is."""
        return self._host.facts()

    def capabilities(self) -> frozenset[str]:
        """Return this process's capabilities and the one of its eyes."""
        return self._host.capabilities() | {CAPABILITY}

    def stream(self, *argv: str, **how: Any) -> AbstractContextManager[Stream]:
        """Run a command and read its output as it comes."""
        return self._host.stream(*argv, **how)

    def pieces(self, *argv: str, timeout_s: float = 120.0) -> Iterator[bytes]:
        """Yield what a read-only command answers."""
        return self._host.pieces(*argv, timeout_s=timeout_s)

    def texts(self, name: str) -> tuple[str, ...]:
        """Ask for the TXT records of a name."""
        return self._host.texts(name)

    def ruleset_changes(self, stop: Stop) -> Iterator[RulesetChange]:
        """Yield the changes of the ruleset."""
        return self._host.ruleset_changes(stop)

    def network_changes(self, stop: Stop) -> Iterator[str]:
        """Yield the changes of the network."""
        return self._host.network_changes(stop)


def _look(sock: socket.socket, host: Host) -> None:
    """Answer questions until the worker is gone."""
    # When a unit is stopped every process of it gets the signal; the eyes end with the worker, not before.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    decoder = msgspec.msgpack.Decoder(Question)
    while (body := read_frame(sock, MAX_QUESTION)) is not None:
        size = _answer(sock, decoder.decode(body), host)
        if size > BIG:
            kernel.trim_memory()
    os._exit(0)


def _answer(sock: socket.socket, question: Question, host: Host) -> int:
    """Answer `question`; returns the size of the answer."""
    started = time.process_time()
    outcome, seen = settle(lambda: _see(question, host), None)
    if seen is None:
        seen = Seen(id=question.id)
        if isinstance(outcome, outcomes.Unavailable):
            seen = Seen(id=question.id, why=outcome.why, detail=outcome.detail, fix=outcome.fix)
        elif isinstance(outcome, outcomes.Failed):
            seen = Seen(id=question.id, error=outcome.error)
    answer = msgspec.msgpack.encode(msgspec.structs.replace(seen, cpu_s=time.process_time() - started))
    sock.sendall(pack(answer))
    return len(answer)


def _see(question: Question, host: Host) -> Seen:
    match question:
        case Listening():
            return Seen(id=question.id, sockets=host.sockets.listening(question.owners, question.ports))
        case Describe():
            return Seen(id=question.id, processes=host.processes.describe(question.pids))
        case Sending():
            return Seen(id=question.id, senders=host.sockets.sending(question.at_least, question.most))


def _end(reason: str) -> NoReturn:
    """End the worker: without eyes it would report less than there is; the supervisor starts it anew."""
    os.write(2, f"holdfast worker: {reason}\n".encode())
    os._exit(70)
