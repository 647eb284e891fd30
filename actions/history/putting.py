"""Reads a file with all that belongs to it, and puts one back whole, name by name from the root so that no link leads elsewhere."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator

from actions.history.vault import Version
from contracts.errors import HoldfastError, Refused

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_SPECIAL = stat.S_ISUID | stat.S_ISGID
NOT_OURS = ("security.",)
"""Attributes that only the kernel's own modules and fuller privileges may set; they are kept, and said when they differ."""


class NotKept(HoldfastError):
    """The file cannot be read, or is no regular file."""

    permanent = False


class NotPutBack(HoldfastError):
    """The file could not be put back; what was there still is."""

    permanent = False


@contextlib.contextmanager
def folder_of(path: bytes) -> Iterator[tuple[int, bytes]]:
    """Open the folder of an absolute path, following no link; yields descriptor and last name. Raises `OSError`."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if not path.startswith(b"/") or not parts or b".." in parts:
        raise HoldfastError(
            f"{os.fsdecode(path)} is no whole path of a file", advice="write it from the root, without `..`"
        )
    *folders, name = parts
    descriptor = os.open(b"/", _FOLDER)
    try:
        for each in folders:
            below = os.open(each, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    finally:
        os.close(descriptor)


def read(path: bytes, at_ms: int, max_bytes: int, why: str = "") -> Version:
    """Return the file as it is; a version without content where there is none. Raises `NotKept`."""
    try:
        with folder_of(path) as (folder, name):
            descriptor = os.open(name, _FILE, dir_fd=folder)
            try:
                return _read(descriptor, path, at_ms, max_bytes, why)
            finally:
                os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return Version(path=path, at_ms=at_ms, why=why)
    except OSError as error:
        raise NotKept(f"{os.fsdecode(path)}: {(error.strerror or str(error)).lower()}") from error


def _read(descriptor: int, path: bytes, at_ms: int, max_bytes: int, why: str) -> Version:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise NotKept(f"{os.fsdecode(path)} is no regular file")
    if found.st_size > max_bytes:
        raise NotKept(f"{os.fsdecode(path)} has {found.st_size} bytes, more than history.file_below")
    content = b""
    while len(content) <= max_bytes and (piece := os.read(descriptor, max_bytes + 1 - len(content))):
        content += piece
    after = os.fstat(descriptor)
    if len(content) > max_bytes or (after.st_mtime_ns, after.st_ctime_ns) != (found.st_mtime_ns, found.st_ctime_ns):
        raise NotKept(f"{os.fsdecode(path)} changed while it was read")
    return Version(
        path=path,
        at_ms=at_ms,
        content=content,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        mtime_ns=found.st_mtime_ns,
        attributes={name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)},
        why=why,
    )


def put(version: Version) -> list[str]:
    """Put a version in the place of what is there, or take away what is there when then there was nothing.

    The new file is made beside the old one, given owner, rights, attributes and time, written through and renamed over it, so that whoever
    reads finds one or the other. Returns what could not be given back. Raises `NotPutBack`, and `Refused` for what is no regular file now
    or had set-uid rights then.
    """
    path = os.fsdecode(version.path)
    if version.mode & _SPECIAL:
        raise Refused(f"{path} had set-uid or set-gid rights, which are not given back", advice="put it back by hand")
    try:
        with folder_of(version.path) as (folder, name):
            _only_files(folder, name, path)
            if version.content is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                os.fsync(folder)
                return []
            return _replaced(folder, name, version)
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise NotPutBack(message, advice="see the rights and the room of its folder") from error


def _only_files(folder: int, name: bytes, path: str) -> None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path} is no regular file now", advice="look at what stands there, and take it away first")
    if found.st_nlink > 1:
        raise Refused(
            f"{path} has {found.st_nlink} names now; the others would keep what is there", advice="put it back by hand"
        )


def _replaced(folder: int, name: bytes, version: Version) -> list[str]:
    temporary = b".holdfast-" + secrets.token_hex(8).encode()
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder
    )
    try:
        try:
            rest = memoryview(version.content or b"")
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fchown(descriptor, version.uid, version.gid)
            os.fchmod(descriptor, version.mode)
            lacking = _attributes(descriptor, version)
            os.utime(descriptor, ns=(version.mtime_ns, version.mtime_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)
    return lacking


def _attributes(descriptor: int, version: Version) -> list[str]:
    """Give back extended attributes; returns the names of those that may not be set."""
    lacking = []
    for name, value in version.attributes.items():
        try:
            os.setxattr(descriptor, name, value)
        except PermissionError:
            if not name.startswith(NOT_OURS):
                raise
            lacking.append(name)
        except OSError as error:
            lacking.append(f"{name} ({(error.strerror or str(error)).lower()})")
    return lacking
