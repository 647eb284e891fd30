"""A repository in a directory of this machine, in restic's default layout.

A file is written beside its final name, synced, made read-only and then *linked* to that name: unlike a rename, a link never replaces
what is there. Where the file system has no hard links (FAT, some network shares) it is renamed after a look. Locks are not synced: what
they say ends with the process, and a sync may wait for everything that others have written.
"""

import errno
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import overload

from actions.backup.stores.store import (
    CONFIG,
    AlreadyThere,
    Buffer,
    Denied,
    Draft,
    FileType,
    Handle,
    NoSpace,
    NotThere,
    ShortFile,
    StoreError,
    check_handle,
    is_name,
)

FOLDERS = {
    FileType.KEY: "keys",
    FileType.LOCK: "locks",
    FileType.SNAPSHOT: "snapshots",
    FileType.INDEX: "index",
    FileType.PACK: "data",
}
"""Folder of each type; packs lie one level deeper, in 256 folders by the first two digits of their name."""

TEMPORARY = "-tmp-"
"""What marks a file that is still being written, as restic's own local backend does; restic ignores such names as well."""

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_SYNC = {errno.EINVAL, errno.EOPNOTSUPP}
_FOLDER_MODES = (0o700, 0o750)
"""Of the folders of a repository of one's own, and of one that is shared with a group."""
_MAX_IOV = min(1024, os.sysconf("SC_IOV_MAX"))
_COPIED_AT_ONCE = 1 << 20
_PASSING = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EINTR,
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


class LocalStore:
    """A `Store` in the directory `path`.

    Folders are made 0700 and files 0400; where the config is readable by its group, 0750 and 0440, as restic does for shared repositories.
    """

    def __init__(self, path: str | Path, connections: int = 2) -> None:
        self._root = Path(path)
        self._packs = str(self._root / FOLDERS[FileType.PACK])
        self._connections = connections
        self._naming = threading.Lock()

    @property
    def location(self) -> str:
        return str(self._root)

    @property
    def connections(self) -> int:
        return self._connections

    @property
    def writers(self) -> int:
        return self._connections

    def create(self) -> None:
        if self._path(CONFIG).exists():
            raise AlreadyThere(f"{self._root}: there is a repository already")
        folders = [self._root, *(self._root / folder for folder in FOLDERS.values())]
        folders += [self._root / "data" / f"{number:02x}" for number in range(256)]
        for folder in folders:
            try:
                folder.mkdir(mode=0o700, parents=folder is self._root, exist_ok=True)
            except OSError as error:
                raise _translated(error, f"{folder}") from error
        for folder in (self._root / "data", self._root):
            _sync_folder(folder)

    def draft(self) -> "LocalDraft":
        """A pack that grows in a temporary file of this store; `save` gives it its name."""
        name = secrets.token_hex(32)
        return LocalDraft(self._root / "data" / name[:2] / f"{name}{TEMPORARY}{secrets.token_hex(8)}", self._shared())

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        check_handle(handle)
        final = self._path(handle)
        try:
            if isinstance(parts, LocalDraft):
                temporary = parts.seal()
                final.parent.mkdir(mode=_FOLDER_MODES[parts.shared], exist_ok=True)
            else:
                temporary = final.with_name(f"{final.name}{TEMPORARY}{secrets.token_hex(8)}")
                self._write(temporary, parts, durable=handle.type is not FileType.LOCK)
            try:
                self._publish(temporary, final)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
            if handle.type is not FileType.LOCK:
                _sync_folder(final.parent)
        except OSError as error:
            raise _translated(error, f"{final}") from error

    def replace(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        """Put a file in the place of one that is damaged or gone; at every moment one of the two is there. For repairs alone."""
        check_handle(handle)
        final = self._path(handle)
        temporary = final.with_name(f"{final.name}{TEMPORARY}{secrets.token_hex(8)}")
        try:
            self._write(temporary, parts)
            try:
                temporary.replace(final)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
            _sync_folder(final.parent)
        except OSError as error:
            raise _translated(error, f"{final}") from error

    def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        check_handle(handle)
        # Blobs are loaded one by one: a path of text is made in a tenth of the time.
        name = handle.name
        path = f"{self._packs}/{name[:2]}/{name}" if handle.type is FileType.PACK else str(self._path(handle))
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                wanted = length if length is not None else max(0, os.fstat(descriptor).st_size - offset)
                data = _read_all(descriptor, offset, wanted)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _translated(error, f"{path}") from error
        if len(data) != wanted:
            raise ShortFile(f"{path}: wanted {wanted} bytes from {offset}, the file holds {len(data)} of them")
        return data

    def stat(self, handle: Handle) -> int:
        check_handle(handle)
        path = self._path(handle)
        try:
            return path.stat().st_size
        except OSError as error:
            raise _translated(error, f"{path}") from error

    def list(self, type: FileType) -> Iterator[tuple[str, int]]:
        if type is FileType.CONFIG:
            with suppress(NotThere):
                yield "", self.stat(CONFIG)
            return
        for entry in self._entries(type):
            if is_name(entry.name):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise _translated(error, entry.path) from error
                if stat.S_ISREG(status.st_mode):
                    yield entry.name, status.st_size

    def remove(self, handle: Handle) -> None:
        check_handle(handle)
        path = self._path(handle)
        try:
            path.unlink()
            if handle.type is not FileType.LOCK:
                _sync_folder(path.parent)
        except OSError as error:
            raise _translated(error, f"{path}") from error

    def close(self) -> None:
        """Nothing is held open."""

    def sweep(self, older_than_s: float) -> int:
        """Remove what interrupted saves left behind and nobody touched for so long; returns how many files went. StoreError."""
        count = 0
        for type in FOLDERS:
            for entry in self._entries(type):
                if TEMPORARY in entry.name and is_name(entry.name.partition(TEMPORARY)[0]):
                    try:
                        if time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s:
                            Path(entry.path).unlink()
                            count += 1
                    except FileNotFoundError:
                        continue
                    except OSError as error:
                        raise _translated(error, entry.path) from error
        return count

    def _path(self, handle: Handle) -> Path:
        if handle.type is FileType.CONFIG:
            return self._root / "config"
        if handle.type is FileType.PACK:
            return self._root / "data" / handle.name[:2] / handle.name
        return self._root / FOLDERS[handle.type] / handle.name

    def _entries(self, type: FileType) -> Iterator[os.DirEntry[str]]:
        """What lies in the folder (or the 256 folders) of a type; a data folder that is missing holds nothing, as with restic."""
        folder = self._root / FOLDERS[type]
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            raise _translated(error, f"{folder}") from error
        if type is not FileType.PACK:
            yield from found
            return
        for below in found:
            try:
                if len(below.name) == 2 and below.is_dir(follow_symlinks=False):
                    with os.scandir(below.path) as entries:
                        yield from list(entries)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _translated(error, below.path) from error

    def _shared(self) -> bool:
        """Whether the group may read this repository."""
        try:
            return bool(self._path(CONFIG).stat().st_mode & stat.S_IRGRP)
        except OSError:
            return False

    def _write(self, temporary: Path, parts: Sequence[Buffer], *, durable: bool = True) -> None:
        shared = self._shared()
        descriptor = _new_file(temporary, shared=shared)
        try:
            _write_all(descriptor, parts)
            _finish(descriptor, shared=shared, durable=durable)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)

    def _publish(self, temporary: Path, final: Path) -> None:
        try:
            os.link(temporary, final)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._publish_copy(temporary, final)
                return
            if error.errno not in _NO_LINKS:
                raise
            with self._naming:
                if final.exists():
                    raise FileExistsError(errno.EEXIST, "exists", str(final)) from None
                temporary.rename(final)

    def _publish_copy(self, temporary: Path, final: Path) -> None:
        """Give a name on another file system, as where folders of `data` are mounts: a copy beside it is what gets that name."""
        beside = final.with_name(f"{final.name}{TEMPORARY}{secrets.token_hex(8)}")
        shared = self._shared()
        try:
            with temporary.open("rb") as source, open(_new_file(beside, shared=shared), "wb") as copy:
                shutil.copyfileobj(source, copy, _COPIED_AT_ONCE)
                copy.flush()
                _finish(copy.fileno(), shared=shared)
            self._publish(beside, final)
        finally:
            beside.unlink(missing_ok=True)


class LocalDraft(Draft):
    """A file in the making at `temporary`, which its store publishes. What was added is on its way to the disk while more comes."""

    def __init__(self, temporary: Path, shared: bool) -> None:
        self.shared = shared
        self._path = temporary
        self._descriptor: int | None = None
        self._sizes: list[int] = []
        self._torn: StoreError | None = None

    def __len__(self) -> int:
        return len(self._sizes)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Buffer]: ...
    def __getitem__(self, place: int | slice) -> Buffer | Sequence[Buffer]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        size = self._sizes[place]
        offset = sum(self._sizes[:place] if place >= 0 else self._sizes[: len(self) + place])
        with self._path.open("rb") as file:
            return _read_all(file.fileno(), offset, size)

    def add(self, data: Buffer) -> None:
        if self._torn is not None:
            raise self._torn
        try:
            if self._descriptor is None:
                self._descriptor = _new_file(self._path, shared=self.shared)
            _write_all(self._descriptor, [data])
            # Begins to write it out, so that the sync at the end finds little to wait for.
            os.posix_fadvise(self._descriptor, sum(self._sizes), len(data), os.POSIX_FADV_DONTNEED)
        except OSError as error:
            # A part of it may be in the file: whoever shares this draft must not go on, nor publish it, once there is room again.
            self._torn = _translated(error, f"{self._path}")
            raise self._torn from error
        self._sizes.append(len(data))

    def seal(self) -> Path:
        """Make it durable and read-only; returns where it lies. OSError; StoreError where an `add` had failed."""
        if self._torn is not None:
            raise self._torn
        if self._descriptor is None:
            self._descriptor = _new_file(self._path, shared=self.shared)
        try:
            _finish(self._descriptor, shared=self.shared)
        finally:
            self._close()
        return self._path

    def discard(self) -> None:
        self._close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _new_file(path: Path, *, shared: bool) -> int:
    """A new file for writing, in a folder that is made when it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=_FOLDER_MODES[shared], exist_ok=True)
        return os.open(path, flags, 0o600)


def _finish(descriptor: int, *, shared: bool, durable: bool = True) -> None:
    """Read-only, and durable unless that is not wanted."""
    os.fchmod(descriptor, 0o440 if shared else 0o400)
    if not durable:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _write_all(descriptor: int, parts: Sequence[Buffer]) -> None:
    """Write every byte of `parts`, many parts a call."""
    waiting = [memoryview(part) for part in parts if len(part)]
    start = 0
    while start < len(waiting):
        written = os.writev(descriptor, waiting[start : start + _MAX_IOV])
        while start < len(waiting) and written >= len(waiting[start]):
            written -= len(waiting[start])
            start += 1
        if written:
            waiting[start] = waiting[start][written:]


def _read_all(descriptor: int, offset: int, wanted: int) -> bytes:
    """`wanted` bytes from `offset`, fewer at the end of the file."""
    data = os.pread(descriptor, wanted, offset)
    if len(data) == wanted or not data:
        return data
    parts = [data]
    got = len(data)
    while got < wanted and (data := os.pread(descriptor, wanted - got, offset + got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def _translated(error: OSError, where: str) -> StoreError:
    """The store's word for an error of the operating system."""
    text = f"{where}: {error.strerror or error}"
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NotThere(text)
    if error.errno == errno.EEXIST:
        return AlreadyThere(text)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoSpace(text, advice="make room there")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Denied(text, advice="that is for root, and the account that owns the repository")
    if error.errno == errno.EROFS:
        return Denied(text, advice="mount it for writing")
    return StoreError(text, permanent=error.errno not in _PASSING)
