"""Makes rules of files' contents in a process of its own: packets that come meanwhile do not wait, and hostile text hurts nobody.

The child may what its parent may, which is nothing but packet sockets; it closes those, bounds its time, and hands back what it made over
a pipe.
"""

import contextlib
import hashlib
import os
import resource
import select
import signal
import struct
import time
from collections.abc import Callable, Sequence

import msgspec

from collectors.traffic.rules.checking import compiled
from collectors.traffic.rules.engine.prepared import Prepared, prepare
from collectors.traffic.rules.engine.sealed import NotOpened, seal, unseal
from collectors.traffic.rules.language.classification import Classes
from collectors.traffic.rules.language.ruleset import Loader
from collectors.traffic.rules.language.threshold_config import ThresholdConfig
from collectors.traffic.rules.language.threshold_config import read as read_thresholds
from collectors.traffic.rules.language.variables import Variables
from collectors.traffic.rules.lists import handed_over
from collectors.traffic.rules.reputation import Reputation
from contracts.collector import Piece
from contracts.record import Record

CPU_S = 300
"""So long a ruleset may take; all of ET Open takes ten seconds."""
PIECE = 1 << 20
NO_TEXT = "not a rules file (it is not text)"
_LENGTH = struct.Struct(">I")


class Refused(Record):
    """A rule that is not loaded."""

    file: str
    line: int
    sid: int
    reason: str

    def __str__(self) -> str:
        name = f"sid {self.sid}: " if self.sid else ""
        return f"{self.file}:{self.line}: {name}{self.reason}"


class Told(Record):
    """What is to be told of a ruleset, and what of it is not in the rules themselves: the site's threshold.config.

    `problems` are files that could not be read or hold what is none of theirs.
    """

    loaded: int = 0
    refused: list[Refused] = []
    problems: list[str] = []
    files: int = 0
    seconds: float = 0.0
    thresholds: bytes = b""


class Made(Record):
    """A ruleset that is ready: `packed` is all of it as bytes, to be kept."""

    prepared: Prepared
    told: Told
    packed: bytes = b""


class Broken(Exception):
    """The child ended without an answer; the message says how."""


def make(pieces: Sequence[Piece], variables: Variables) -> tuple[Prepared, Told]:
    """Return the rules of the pieces made ready, with the site's thresholds applied, and what is to be told of them."""
    begun = time.monotonic()
    problems = [f"{piece.path}: {piece.problem}" for piece in pieces if piece.problem]
    readable = [piece for piece in pieces if not piece.problem]
    loader = Loader(variables, _classes(readable, problems))
    files = 0
    for piece in readable:
        if piece.role != "rules":
            continue
        if no_text(piece):
            problems.append(f"{piece.path}: {NO_TEXT}")
            continue
        files += 1
        loader.read(piece.data, piece.path)
    lists = handed_over(piece for piece in pieces if piece.role == "list")
    ruleset = compiled(loader.ruleset, lists, _reputation(readable, problems))
    text = b"\n".join(piece.data for piece in readable if piece.role == "threshold")
    config = thresholds(text, variables)
    config.apply(ruleset.rules)
    problems += [f"{_path(pieces, 'threshold')}:{line}: {reason}" for line, reason in config.refused]
    prepared = prepare(ruleset.rules)
    told = Told(
        loaded=len(ruleset.rules),
        refused=[Refused(file=one.file, line=one.line, sid=one.sid, reason=one.reason) for one in ruleset.refused],
        problems=problems,
        files=files,
        seconds=time.monotonic() - begun,
        thresholds=text,
    )
    return prepared, told


def no_text(piece: Piece) -> bool:
    """Return whether a piece is said to be rules and is no text at all: an archive, half a download."""
    return piece.role == "rules" and b"\0" in piece.data[:4096]


def thresholds(text: bytes, variables: Variables) -> ThresholdConfig:
    """Return what the site's threshold.config says, nothing without one."""
    return read_thresholds(text, variables.addresses)


def pack(prepared: Prepared, told: Told, key: bytes, made_of: str) -> bytes:
    """Return a ruleset as bytes, sealed with a key; `made_of` names the files and variables that it was made of."""
    head = msgspec.msgpack.encode(told)
    return _LENGTH.pack(len(head)) + head + seal(prepared, key, _made_of(head, made_of))


def unpack(packed: bytes, key: bytes, made_of: str) -> Made:
    """Return a ruleset that was packed; raises `NotOpened` unless it is whole, of this version, and made of just that."""
    if len(packed) < _LENGTH.size:
        raise NotOpened("it is cut off")
    end = _LENGTH.size + _LENGTH.unpack_from(packed)[0]
    head = packed[_LENGTH.size : end]
    prepared = unseal(packed[end:], key, _made_of(head, made_of))
    return Made(prepared=prepared, told=msgspec.msgpack.decode(head, type=Told), packed=packed)


def _made_of(head: bytes, made_of: str) -> str:
    """Return a name of what a ruleset was made of that also vouches for what is told of it."""
    return f"{made_of} {hashlib.sha256(head).hexdigest()}"


class Forge:
    """One child at work. `poll` often; `close` ends it whatever it is at."""

    def __init__(self, pieces: Sequence[Piece], variables: Variables, key: bytes, made_of: str) -> None:
        self._key, self._made_of = key, made_of
        self._incoming, outgoing = os.pipe2(os.O_CLOEXEC)
        self._parts: list[bytes] = []
        self._pid = os.fork()
        if not self._pid:
            _child(outgoing, lambda: pack(*make(pieces, variables), key, made_of))
        os.close(outgoing)
        os.set_blocking(self._incoming, False)

    def poll(self) -> Made | None:
        """Return what was made, None while the child is at work; raises `Broken` when it ended without an answer."""
        while select.select([self._incoming], [], [], 0)[0]:
            part = os.read(self._incoming, PIECE)
            if part:
                self._parts.append(part)
                continue
            code = self._reap()
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                raise Broken(f"the process that reads rules ended with {how}")
            try:
                return unpack(b"".join(self._parts), self._key, self._made_of)
            except NotOpened as error:
                raise Broken(f"the rules that were made cannot be taken over: {error}") from error
        return None

    def close(self) -> None:
        """End the child, if it is still there."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        os.close(self._incoming)
        return os.waitstatus_to_exitcode(status)


def _child(outgoing: int, work: Callable[[], bytes]) -> None:
    """Work and end; never returns, because this copy of the sensor must not run on as one."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        _close_all_but(outgoing)
        # A sandbox may refuse it; the packets then share the processors with this for some seconds.
        with contextlib.suppress(OSError):
            os.nice(5)
        answer = memoryview(work())
        while answer:
            answer = answer[os.write(outgoing, answer[:PIECE]) :]
        code = 0
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent learns of it by the exit code
        os.write(2, f"rules: {type(error).__name__}: {error}\n".encode("utf-8", "replace")[:500])
    finally:
        os._exit(code)


def _close_all_but(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _reputation(pieces: Sequence[Piece], problems: list[str]) -> Reputation:
    found = Reputation()
    for piece in pieces:
        try:
            if piece.role == "categories":
                found.categories(piece.data, piece.path)
            elif piece.role == "reputation":
                found.scores(piece.data, piece.path)
        except ValueError as error:
            problems.append(f"{piece.path}: {error}")
    problems += found.notes
    return found


def _classes(pieces: Sequence[Piece], problems: list[str]) -> Classes | None:
    text = "\n".join(piece.data.decode("utf-8", "replace") for piece in pieces if piece.role == "classification")
    if not text:
        return None
    classes = Classes(text)
    path = _path(pieces, "classification")
    problems += [f"{path}:{line}: not a classification" for line in classes.bad_lines]
    return classes


def _path(pieces: Sequence[Piece], role: str) -> str:
    return next((piece.path for piece in pieces if piece.role == role), "")
