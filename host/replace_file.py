"""Replacing a file so that whoever reads it, and whoever finds the disk after a crash, sees the old content or the new one."""

import errno
import os
import secrets

from contracts.errors import Unavailable
from host.files import unavailable


def write(path: str, content: bytes, mode: int = 0o600) -> None:
    """Replace `path`: temporary name in the same directory, fsync, rename, fsync of the directory. Raises `Unavailable`."""
    folder = os.path.dirname(path) or "."  # noqa: PTH120  # the path as given, unnormalised
    temporary = f"{path}.{secrets.token_hex(8)}.new"
    try:
        _fill(temporary, content, mode)
        os.rename(temporary, path)  # noqa: PTH104  # as above
        _sync_folder(folder)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        _remove(temporary)


def _fill(temporary: str, content: bytes, mode: int) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: str) -> None:
    try:
        os.unlink(temporary)  # noqa: PTH108  # as above
    except FileNotFoundError:
        pass  # renamed: all went well


def _cannot(path: str, error: OSError) -> Unavailable:
    told = unavailable(path, error)
    advice = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else told.advice
    return Unavailable(told.why, f"{path} cannot be written ({error.strerror})", advice=advice)
