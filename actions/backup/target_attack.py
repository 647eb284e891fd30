"""The daily attack on our own copies: what an owner of this host could do to them is tried on a canary and judged by reading back.

`immutable` means that every attempt was made and the canary is still what it was. An answer of the server proves nothing: it may refuse
and do it, or agree and not. An attempt that could not be made or judged makes the result `unknown`, never `immutable`.
"""

import secrets
import stat
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from actions.backup.stores import sftp_wire as wire
from actions.backup.stores.local import FOLDERS
from actions.backup.stores.sftp import open_session
from actions.backup.stores.sftp_session import Question, Session
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.sftp_wire import Attributes, Entry, Refusal, Type
from actions.backup.stores.store import FileType, is_name
from contracts.errors import HoldfastError

NAME = "holdfast-canary"
"""No name of a repository's file, so that restic and we pass over it."""
CANARY = (
    b"This file is attacked every day by the host whose backups lie here. If it changes, they can be destroyed.\n" * 8
)
FORGED = b"This is not what was backed up.\n" * 32
SAMPLES = 3


class State(StrEnum):
    """How a target stands an attack."""

    IMMUTABLE = "immutable"
    MUTABLE = "mutable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Deed:
    """An attempt that succeeded: where, what, and what the server answered."""

    where: str
    what: str
    answer: str

    def __str__(self) -> str:
        return f"{self.what} {self.where}"


@dataclass(slots=True)
class Attacked:
    """What came of an attack. `tried` counts the attempts that were made and judged; `why` says what kept the rest from it."""

    target: str
    state: State = State.UNKNOWN
    tried: int = 0
    succeeded: list[Deed] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.state is State.IMMUTABLE:
            return f"{self.target}: withstood all {self.tried} attempts"
        if self.state is State.MUTABLE:
            deeds = ", ".join(sorted({deed.what for deed in self.succeeded}))
            return f"{self.target}: whoever owns this host can destroy the copies there ({deeds})"
        return f"{self.target}: not known whether the copies can be destroyed: {'; '.join(self.why)}"


def attack(target: SftpTarget, open: Callable[[SftpTarget], Session] = open_session) -> Attacked:
    """Attack a target, in every folder of the repository there. Never raises a HoldfastError: what prevents it is in the result."""
    result = Attacked(str(target))
    began = time.monotonic()
    try:
        session = open(target)
        try:
            _attack_all(session, target.path.rstrip("/") or ".", result)
        finally:
            session.close()
    except HoldfastError as error:
        result.why.append(str(error))
    if result.succeeded:
        result.state = State.MUTABLE
    elif result.tried and not result.why:
        result.state = State.IMMUTABLE
    result.seconds = time.monotonic() - began
    return result


def _attack_all(session: Session, root: str, result: Attacked) -> None:
    packs = f"data/{secrets.randbelow(256):02x}"
    folders = ["", *(packs if type is FileType.PACK else folder for type, folder in FOLDERS.items())]
    for folder in folders:
        if folder != FOLDERS[FileType.LOCK]:
            try:
                _Canary(session, root, folder, result).attack()
            except Refusal as refusal:
                result.why.append(f"{folder or 'root'}: {refusal.message}")
    for path in _real_files(session, root):
        _touch_real(session, root, path, result)


def _real_files(session: Session, root: str) -> Iterator[str]:
    """The config, and some files of each folder."""
    yield f"{root}/config"
    folders = [folder for type, folder in FOLDERS.items() if type not in {FileType.PACK, FileType.LOCK}]
    paths = [f"{root}/{folder}" for folder in (*folders, *(f"data/{number:02x}" for number in range(256)))]
    kept: dict[str, list[str]] = {}
    for path, entries in zip(paths, session.list_folders(paths), strict=True):
        kind = path.removeprefix(f"{root}/").partition("/")[0]
        kept.setdefault(kind, []).extend(f"{path}/{name}" for name in _names(entries))
    for found in kept.values():
        yield from secrets.SystemRandom().sample(found, min(SAMPLES, len(found)))


def _names(entries: list[Entry] | Refusal) -> list[str]:
    if isinstance(entries, Refusal):
        return []
    names = [entry.name.decode("ascii", "replace") for entry in entries]
    return [name for name in names if is_name(name)]


def _touch_real(session: Session, root: str, path: str, result: Attacked) -> None:
    """Whether a real file can be opened for writing or its mode be set, changing nothing: one that was copied before the server was set up
    is not protected by a umask."""
    before = session.attributes(path)
    if before is None or before.mode is None:
        return
    opened = session.ask([(Type.OPEN, wire.string(path) + _flags(wire.WRITE))])[0]
    result.tried += 1
    if opened.type == Type.HANDLE:
        session.post([(Type.CLOSE, wire.string(wire.Reader(opened.body).string()))])
        result.succeeded.append(Deed(path.removeprefix(root).lstrip("/"), "open for writing", "OK"))
    same = wire.attributes(mode=stat.S_IMODE(before.mode))
    answer = session.ask([(Type.SETSTAT, wire.string(path) + same)])[0]
    result.tried += 1
    if answer.body[:4] == bytes(4):
        result.succeeded.append(Deed(path.removeprefix(root).lstrip("/"), "set the mode of", "OK"))


class _Canary:
    """The canary of one folder: placed where it is missing, attacked in every way, read back after each."""

    def __init__(self, session: Session, root: str, folder: str, result: Attacked) -> None:
        self._session = session
        self._result = result
        self._folder = f"{root}/{folder}" if folder else root
        self._shown = f"{folder}/{NAME}" if folder else NAME
        self.path = f"{self._folder}/{NAME}"
        self.forged = f"{self._folder}/{NAME}-forged"
        self.away = f"{self._folder}/{NAME}-away"

    def attack(self) -> None:
        """Every attempt, each on a whole canary."""
        for what, deed in self._deeds():
            if not self._place():
                return
            before = self._look()
            answer = self._dare(deed)
            after = self._look()
            self._result.tried += 1
            if after != before:
                self._result.succeeded.append(Deed(self._shown, what, answer))
        self._clean()

    def _deeds(self) -> Iterator[tuple[str, Callable[[], str]]]:
        path, call = wire.string(self.path), self._call
        over = wire.string(self.forged) + path
        away = path + wire.string(self.away)
        yield "delete", lambda: call(Type.REMOVE, path)
        yield "overwrite", lambda: self._write(wire.WRITE | wire.CREAT | wire.TRUNC)
        yield "overwrite in place", lambda: self._write(wire.WRITE)
        yield "overwrite for reading and writing", lambda: self._write(wire.READ | wire.WRITE)
        yield "append to", lambda: self._write(wire.WRITE | wire.APPEND, at=len(CANARY))
        yield "truncate by opening", lambda: self._open(wire.WRITE | wire.TRUNC)
        yield "truncate", lambda: call(Type.SETSTAT, path + wire.attributes(size=0))
        yield "truncate through a handle", lambda: self._through_handle(wire.attributes(size=0))
        yield "rename", lambda: call(Type.RENAME, away)
        yield "rename (posix)", lambda: self._extended(wire.POSIX_RENAME, away)
        yield "rename over", lambda: call(Type.RENAME, over)
        yield "rename over (posix)", lambda: self._extended(wire.POSIX_RENAME, over)
        yield "link over", lambda: self._extended(wire.HARDLINK, over)
        yield "symlink over", lambda: call(Type.SYMLINK, over)
        yield "chmod", lambda: call(Type.SETSTAT, path + wire.attributes(mode=0o666))
        yield "chmod through a handle", lambda: self._through_handle(wire.attributes(mode=0o660))
        yield "set the times of", lambda: call(Type.SETSTAT, path + wire.attributes(times=(1, 1)))
        yield "set the times of (lsetstat)", lambda: self._extended(wire.LSETSTAT, path + wire.attributes(times=(2, 2)))
        yield "chown", lambda: call(Type.SETSTAT, path + wire.attributes(ids=(65533, 65533)))

    def _place(self) -> bool:
        """Have a whole canary there, and a forged file beside it to attack with; says why it cannot be."""
        found = self._look()
        if found is not None and found[0] == CANARY:
            return True
        if found is not None:
            self._call(Type.SETSTAT, wire.string(self.path) + wire.attributes(mode=0o600))
            self._call(Type.REMOVE, wire.string(self.path))
        for path, content in ((self.path, CANARY), (self.forged, FORGED)):
            self._create(path, content)
        found = self._look()
        if found is None or found[0] != CANARY:
            state = "is not what was put there" if found else "cannot be placed"
            self._result.why.append(f"{self._shown}: the canary {state}")
            return False
        return True

    def _create(self, path: str, content: bytes) -> None:
        try:
            flags = wire.WRITE | wire.CREAT | wire.EXCL
            body = wire.string(path) + flags.to_bytes(4, "big") + wire.attributes(mode=0o400)
            handle = self._session.call(Type.OPEN, body, Type.HANDLE).string()
            self._session.write(handle, [content], [(Type.CLOSE, wire.string(handle))])
        except Refusal:
            return  # the look that follows tells

    def _look(self) -> tuple[bytes, Attributes] | None:
        """The canary's content and attributes as they are now, but for the time of the last access; None when it is gone."""
        attributes = self._session.attributes(self.path)
        if attributes is None:
            return None
        attributes = attributes._replace(atime=None)
        try:
            body = wire.string(self.path) + _flags(wire.READ)
            handle = self._session.call(Type.OPEN, body, Type.HANDLE).string()
        except Refusal as refusal:
            return f"cannot be read: {refusal.message}".encode(), attributes
        try:
            return bytes(self._session.read(handle, 0, 2 * len(CANARY))), attributes
        finally:
            self._session.post([(Type.CLOSE, wire.string(handle))])

    def _dare(self, deed: Callable[[], str]) -> str:
        try:
            return deed()
        except Refusal as refusal:
            return refusal.message

    def _call(self, type: Type, body: bytes) -> str:
        try:
            self._session.call(type, body)
        except Refusal as refusal:
            return refusal.message
        return "OK"

    def _extended(self, name: str, body: bytes) -> str:
        """Tried whether or not the server advertises it."""
        return self._call(Type.EXTENDED, wire.extended(name, body))

    def _open(self, flags: int) -> str:
        handle = self._session.call(Type.OPEN, wire.string(self.path) + _flags(flags), Type.HANDLE).string()
        return self._call(Type.CLOSE, wire.string(handle))

    def _write(self, flags: int, at: int = 0) -> str:
        handle = self._session.call(Type.OPEN, wire.string(self.path) + _flags(flags), Type.HANDLE).string()
        body = wire.string(handle) + struct.pack(">Q", at) + wire.string(FORGED)
        questions: list[Question] = [(Type.WRITE, body), (Type.CLOSE, wire.string(handle))]
        self._session.ask(questions)[0].must_be(Type.STATUS)
        return "OK"

    def _through_handle(self, attributes: bytes) -> str:
        handle = self._session.call(Type.OPEN, wire.string(self.path) + _flags(wire.READ), Type.HANDLE).string()
        answer, _ = self._session.ask(
            [(Type.FSETSTAT, wire.string(handle) + attributes), (Type.CLOSE, wire.string(handle))]
        )
        answer.must_be(Type.STATUS)
        return "OK"

    def _clean(self) -> None:
        """Take everything away where that is allowed; where it is not, tomorrow's attack uses it again."""
        for path in (self.path, self.forged, self.away):
            self._call(Type.REMOVE, wire.string(path))


def _flags(flags: int) -> bytes:
    return flags.to_bytes(4, "big") + wire.attributes()
