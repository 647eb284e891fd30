"""A repository on an SFTP server, in restic's default layout, so that `restic -r sftp:` reads it as well.

A file is written under a temporary name, read-only from its first byte on, synced (fsync@openssh.com), and then *linked* to its final name
(hardlink@openssh.com): a link onto an existing name is refused, so nothing is ever replaced, and it works where renaming and removing are
forbidden. Where the server has no links the file is renamed after a look: by SFTP version 3 a rename onto an existing name is an error, and
`posix-rename`, which replaces, is never used. Temporary files lie in the folder `tmp` where there is one, else beside the final name.
"""

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from actions.backup.stores import sftp_wire as wire
from actions.backup.stores.local import FOLDERS, TEMPORARY
from actions.backup.stores.retrying import RetryingStore
from actions.backup.stores.sftp_link import connect
from actions.backup.stores.sftp_pool import Pool
from actions.backup.stores.sftp_session import Question, Session
from actions.backup.stores.sftp_target import SftpTarget
from actions.backup.stores.sftp_wire import Attributes, Code, Refusal, Type
from actions.backup.stores.store import (
    CONFIG,
    AlreadyThere,
    Buffer,
    Denied,
    FileType,
    Handle,
    NoSpace,
    NotThere,
    ShortFile,
    StoreError,
    check_handle,
    is_name,
)

CONNECTIONS = 2
"""Near by: one works while the other waits for an answer; a third takes more of the processors and gains nothing."""
WRITERS = CONNECTIONS if (os.cpu_count() or 1) > 2 else 1
"""Near by: reading, checking and sealing keep one processor busy; where there are two, a second writer takes what the sending needs."""
MOST_CONNECTIONS = 8
"""As many as sshd lets begin at once (`MaxStartups 10`), less some for others."""
TMP = "tmp"
_LEFT_FREE = 4 << 20
SAVES = {Code.PERMISSION_DENIED, Code.OP_UNSUPPORTED}


def open_sftp(target: SftpTarget, *, patience_s: float = 300.0) -> RetryingStore:
    """The store to use: an `SftpStore` that tries again, with growing pauses, what fails in passing, for `patience_s`."""
    return RetryingStore(SftpStore(target), patience_s=patience_s)


def open_session(target: SftpTarget) -> Session:
    """One SFTP session of its own to a target."""
    link = connect(target)
    try:
        return Session(link, target.timeout_s)
    except Refusal as refusal:
        link.close()
        raise Denied(f"{target}: {refusal.message}") from refusal
    except BaseException:
        link.close()
        raise


class SftpStore:
    """A `Store` over SFTP. Connections are made when needed; one that breaks is an error in passing, and the next call makes another."""

    def __init__(self, target: SftpTarget, session: Callable[[SftpTarget], Session] = open_session) -> None:
        self._target = target
        self._root = target.path.rstrip("/") or ("/" if target.path.startswith("/") else ".")
        self._pool = Pool(lambda: self._learned(session(target)), lambda: self.connections)
        self._round_trip_s = 0.0
        self._naming = threading.Lock()
        self._tmp: bool | None = None
        self._mode: int | None = None
        self._leftovers: dict[str, float] = {}
        self._links = True
        self._removes = True

    @property
    def location(self) -> str:
        return str(self._target)

    @property
    def connections(self) -> int:
        """As the target says; else a few, and for a long way as many more as fill it."""
        return self._target.connections or self._for_the_way(CONNECTIONS)

    @property
    def writers(self) -> int:
        return self._target.connections or self._for_the_way(WRITERS)

    def create(self) -> None:
        with self._pool.session() as session:
            if self._attributes(session, self._path(CONFIG)) is not None:
                raise AlreadyThere(f"{self.location}: there is a repository already")
            self._make_root(session)
            above = [f"{self._root}/{folder}" for folder in FOLDERS.values()]
            self._make_folders(session, above, [f"{self._root}/data/{number:02x}" for number in range(256)])

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        check_handle(handle)
        with self._pool.session() as session:
            try:
                self._save(session, handle, parts)
            except _AnotherWay:
                self._save(session, handle, parts)

    def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        check_handle(handle)
        path = self._path(handle)
        with self._pool.session() as session:
            questions: list[Question] = [(Type.OPEN, wire.string(path) + _flags(wire.READ))]
            if length is None:
                questions.append((Type.STAT, wire.string(path)))
            opened, *status = session.ask(questions)
            try:
                file = opened.must_be(Type.HANDLE).string()
                try:
                    wanted = length if length is not None else self._rest(status[0], offset)
                    data = session.read(file, offset, wanted)
                finally:
                    session.post([(Type.CLOSE, wire.string(file))])
            except Refusal as refusal:
                raise self._translated(refusal, path) from refusal
        if len(data) != wanted:
            raise ShortFile(
                f"{self._where(path)}: wanted {wanted} bytes from {offset}, the file holds {len(data)} of them"
            )
        return data

    def stat(self, handle: Handle) -> int:
        check_handle(handle)
        path = self._path(handle)
        with self._pool.session() as session:
            found = self._attributes(session, path)
        if found is None:
            raise NotThere(f"{self._where(path)}: no such file")
        return found.size or 0

    def list(self, type: FileType) -> Iterator[tuple[str, int]]:
        if type is FileType.CONFIG:
            with self._pool.session() as session:
                found = self._attributes(session, self._path(CONFIG))
            if found is not None:
                yield "", found.size or 0
            return
        for entry in self._entries(type):
            name = entry.name.decode("ascii", "replace")
            if is_name(name) and _is_file(entry.attributes):
                yield name, entry.attributes.size or 0

    def remove(self, handle: Handle) -> None:
        check_handle(handle)
        path = self._path(handle)
        with self._pool.session() as session:
            try:
                session.call(Type.REMOVE, wire.string(path))
            except Refusal as refusal:
                raise self._translated(refusal, path) from refusal

    def close(self) -> None:
        self._pool.close()

    def sweep(self, older_than_s: float) -> int:
        """Remove what interrupted saves left behind and nobody touched for so long; returns how many files went.

        Looked for are those that listings came across, and in `tmp`.
        """
        with self._pool.session() as session:
            (entries,) = session.list_folders([f"{self._root}/{TMP}"])
            if not isinstance(entries, Refusal):
                self._notice(f"{self._root}/{TMP}", entries)
            now = time.time()
            old = [path for path, written in self._leftovers.items() if now - written > older_than_s]
            answers = session.ask([(Type.REMOVE, wire.string(path)) for path in old]) if old else []
        self._leftovers.clear()
        return sum(1 for answer in answers if answer.body[:4] == bytes(4))

    def _notice(self, folder: str, entries: Sequence[wire.Entry]) -> None:
        """Remember the temporary names among the entries of a folder."""
        for entry in entries:
            name = entry.name.decode("ascii", "replace")
            if TEMPORARY in name and (is_name(name.partition(TEMPORARY)[0]) or name.startswith(f"config{TEMPORARY}")):
                self._leftovers[f"{folder}/{name}"] = entry.attributes.mtime or time.time()

    def _for_the_way(self, near: int) -> int:
        """So many as there are `near` by, and more where the way is long, by the round trip of the last session."""
        return min(MOST_CONNECTIONS, near + int(self._round_trip_s / 0.005))

    def _learned(self, session: Session) -> Session:
        self._round_trip_s = session.round_trip_s
        return session

    # publishing

    def _save(self, session: Session, handle: Handle, parts: Sequence[Buffer]) -> None:
        final = self._path(handle)
        folder, _, name = final.rpartition("/")
        self._learn(session)
        temporary = f"{self._root}/{TMP}" if self._tmp else folder
        temporary = f"{temporary}/{name}{TEMPORARY}{secrets.token_hex(8)}"
        file, above = self._open_temporary(session, temporary, folder)
        synced: list[Question] = [(Type.CLOSE, wire.string(file))]
        if session.has(wire.FSYNC):
            synced.insert(0, (Type.EXTENDED, wire.extended(wire.FSYNC, wire.string(file))))
        try:
            session.write(file, parts, synced)
        except Refusal as refusal:
            error = self._not_written(session, refusal, final)  # before what takes the room is removed
            session.post([(Type.CLOSE, wire.string(file)), (Type.REMOVE, wire.string(temporary))])
            raise error from refusal
        except BaseException:
            if session.is_usable:  # what was to be read for `parts` failed: nothing is published
                session.post([(Type.CLOSE, wire.string(file)), (Type.REMOVE, wire.string(temporary))])
            raise
        after: list[Question] = []
        if above is not None:
            if session.has(wire.FSYNC):
                after.append((Type.EXTENDED, wire.extended(wire.FSYNC, wire.string(above))))
            after.append((Type.CLOSE, wire.string(above)))
        if self._links and session.has(wire.HARDLINK):
            self._link(session, temporary, final, after)
        else:
            self._rename(session, temporary, final, after)

    def _open_temporary(self, session: Session, temporary: str, folder: str) -> tuple[bytes, bytes | None]:
        """Open the temporary file for writing, and the folder of the final one, through which its names are synced."""
        questions: list[Question] = [
            (Type.OPEN, wire.string(temporary) + _flags(wire.WRITE | wire.CREAT | wire.EXCL, self._mode)),
            (Type.OPEN, wire.string(folder) + _flags(wire.READ)),
        ]
        opened, above = session.ask(questions)
        try:
            file = opened.must_be(Type.HANDLE).string()
        except Refusal as refusal:
            if refusal.code != Code.NO_SUCH_FILE or not folder.startswith(f"{self._root}/data/"):
                raise self._not_written(session, refusal, temporary) from refusal
            self._make_folders(session, [folder])
            opened, above = session.ask(questions)
            try:
                file = opened.must_be(Type.HANDLE).string()
            except Refusal as again:
                raise self._not_written(session, again, temporary) from again
        try:
            return file, above.must_be(Type.HANDLE).string()
        except Refusal:
            return file, None  # this server opens no folders; its names are durable when it says so

    def _link(self, session: Session, temporary: str, final: str, after: Sequence[Question]) -> None:
        """Give the file its name, and take away the temporary one where that is allowed."""
        pair = wire.string(temporary) + wire.string(final)
        questions = [(Type.EXTENDED, wire.extended(wire.HARDLINK, pair)), *after]
        if self._removes:
            questions.append((Type.REMOVE, wire.string(temporary)))
        linked, *rest = session.ask(questions)
        if self._removes:
            self._removes = int.from_bytes(rest[-1].body[:4], "big") != Code.PERMISSION_DENIED
        try:
            linked.must_be(Type.STATUS)
        except Refusal as refusal:
            if self._attributes(session, final) is not None:
                raise AlreadyThere(f"{self._where(final)}: exists") from refusal
            if self._is_full(session):
                raise self._no_space(final) from refusal
            if refusal.code in SAVES or self._tmp:
                self._links, self._tmp = refusal.code not in SAVES, False
                raise _AnotherWay from refusal
            raise self._translated(refusal, final) from refusal

    def _rename(self, session: Session, temporary: str, final: str, after: Sequence[Question]) -> None:
        """Rename the file to its name after a look: for servers without links."""
        with self._naming:
            there = self._attributes(session, final) is not None
            if not there:
                pair = wire.string(temporary) + wire.string(final)
                renamed, *_ = session.ask([(Type.RENAME, pair), *after])
        if there:
            session.ask([*after[-1:], (Type.REMOVE, wire.string(temporary))])
            raise AlreadyThere(f"{self._where(final)}: exists")
        try:
            renamed.must_be(Type.STATUS)
        except Refusal as refusal:
            session.ask([(Type.REMOVE, wire.string(temporary))])
            if self._attributes(session, final) is not None:
                raise AlreadyThere(f"{self._where(final)}: exists") from refusal
            if refusal.code in SAVES:
                raise Denied(
                    f"{self._where(final)}: the server allows neither linking nor renaming, so no file can be published whole",
                    advice=f"allow {wire.HARDLINK} there (`holdfast backup replicate setup` prints how)",
                ) from refusal
            raise self._translated(refusal, final) from refusal

    def _learn(self, session: Session) -> None:
        """Once: whether there is a folder for temporary files, and whether the repository is shared with its group."""
        if self._tmp is None:
            found = self._attributes(session, f"{self._root}/{TMP}")
            self._tmp = found is not None and stat.S_ISDIR(found.mode or 0)
        if self._mode is None:
            config = self._attributes(session, self._path(CONFIG))
            shared = config is not None and bool((config.mode or 0) & stat.S_IRGRP)
            if config is not None:
                self._mode = 0o440 if shared else 0o400

    # folders

    def _make_root(self, session: Session) -> None:
        """The root and what is above it, each 0700 where it is missing."""
        missing = []
        path = self._root
        while path not in {"", "/", "."} and self._attributes(session, path) is None:
            missing.append(path)
            path = path.rpartition("/")[0]
        for path in reversed(missing):
            self._make_folder(session, path)

    def _make_folders(self, session: Session, *levels: Sequence[str]) -> None:
        """Folders level by level; the first that is missing shows whether making some makes sense."""
        known = session.ask([(Type.LSTAT, wire.string(path)) for level in levels for path in level])
        there = {path for path, reply in zip(chain(*levels), known, strict=True) if reply.type == Type.ATTRS}
        missing = [path for level in levels for path in level if path not in there]
        if not missing:
            return
        self._make_folder(session, missing[0])
        for level in levels:
            some = [path for path in level if path in missing[1:]]
            made = session.ask([(Type.MKDIR, wire.string(path) + wire.attributes(mode=0o700)) for path in some])
            for path, reply in zip(some, made, strict=True):
                try:
                    reply.must_be(Type.STATUS)
                except Refusal as refusal:
                    if self._attributes(session, path) is None:
                        raise self._not_written(session, refusal, path) from refusal

    def _make_folder(self, session: Session, path: str) -> None:
        """One folder, and a look whether it is of use."""
        try:
            session.call(Type.MKDIR, wire.string(path) + wire.attributes(mode=0o700))
        except Refusal as refusal:
            if self._attributes(session, path) is None:
                raise self._not_written(session, refusal, path) from refusal
        found = self._attributes(session, path)
        if found is not None and found.mode is not None and not found.mode & stat.S_IWUSR:
            raise Denied(
                f"{self._where(path)}: the server takes the right to write from new folders, as a write-once target does",
                advice="make the folders on the server, as `holdfast backup replicate setup` prints, this one first removed",
            )

    def _entries(self, type: FileType) -> Iterator[wire.Entry]:
        """What lies in the folder (or the 256 folders) of a type; a data folder that is missing holds nothing, as with restic."""
        folder = f"{self._root}/{FOLDERS[type]}"
        with self._pool.session() as session:
            (top,) = list(session.list_folders([folder]))
            if isinstance(top, Refusal):
                raise self._translated(top, folder)
            if type is not FileType.PACK:
                self._notice(folder, top)
                listed = [top]
            else:
                names = sorted(entry.name.decode("ascii", "replace") for entry in top)
                below = [f"{folder}/{name}" for name in names if len(name) == 2 and name != ".."]
                listed = []
                for path, entries in zip(below, session.list_folders(below), strict=True):
                    if not isinstance(entries, Refusal):
                        self._notice(path, entries)
                        listed.append(entries)
                    elif entries.code != Code.NO_SUCH_FILE and _is_folder(self._attributes(session, path)):
                        raise self._translated(entries, path)
        for entries in listed:
            yield from entries

    # words

    def _path(self, handle: Handle) -> str:
        if handle.type is FileType.CONFIG:
            return f"{self._root}/config"
        if handle.type is FileType.PACK:
            return f"{self._root}/data/{handle.name[:2]}/{handle.name}"
        return f"{self._root}/{FOLDERS[handle.type]}/{handle.name}"

    def _where(self, path: str) -> str:
        return f"{self.location}{path.removeprefix(self._root)}"

    def _attributes(self, session: Session, path: str) -> Attributes | None:
        try:
            return session.attributes(path)
        except Refusal as refusal:
            raise self._translated(refusal, path) from refusal

    def _rest(self, status: wire.Reply, offset: int) -> int:
        size = status.must_be(Type.ATTRS).attributes().size
        return max(0, (size or 0) - offset)

    def _is_full(self, session: Session) -> bool:
        """Whether the file system there has no room for a pack, or no inode, as far as the server tells."""
        if not session.has(wire.STATVFS):
            return False
        try:
            body = wire.extended(wire.STATVFS, wire.string(self._root))
            size, files, inodes = session.call(Type.EXTENDED, body, Type.EXTENDED_REPLY).free()
        except Refusal:
            return False
        return size < _LEFT_FREE or (files > 0 and inodes == 0)

    def _no_space(self, path: str) -> NoSpace:
        return NoSpace(f"{self._where(path)}: no space left on the server", advice="make room there")

    def _not_written(self, session: Session, refusal: Refusal, path: str) -> StoreError:
        if refusal.code == Code.FAILURE and self._is_full(session):
            return self._no_space(path)
        return self._translated(refusal, path)

    def _translated(self, refusal: Refusal, path: str) -> StoreError:
        """The store's word for a status of the server."""
        text = f"{self._where(path)}: {refusal.message}"
        if refusal.code == Code.NO_SUCH_FILE:
            return NotThere(text)
        if refusal.code == Code.PERMISSION_DENIED:
            return Denied(text)
        if refusal.code == Code.FAILURE:
            return StoreError(text, advice="the server does not say why; its log may", permanent=False)
        return StoreError(text, permanent=refusal.code not in {Code.NO_CONNECTION, Code.CONNECTION_LOST})


class _AnotherWay(Exception):
    """Publishing did not work this way; the store knows another one now."""


def _flags(flags: int, mode: int | None = 0o400) -> bytes:
    """The end of an OPEN: what for, and the mode of a new file: no right to write, which the open file itself does not need."""
    return flags.to_bytes(4, "big") + wire.attributes(mode=(mode or 0o400) if flags & wire.CREAT else None)


def _is_file(attributes: Attributes) -> bool:
    return attributes.mode is None or stat.S_ISREG(attributes.mode)


def _is_folder(attributes: Attributes | None) -> bool:
    return attributes is not None and (attributes.mode is None or stat.S_ISDIR(attributes.mode))
