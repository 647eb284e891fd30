"""Reading files of this machine: bounded, and every failure translated once into `Unavailable` with its reason."""

import errno
import os
import stat as modes
from collections.abc import Callable

from contracts.errors import Unavailable, Why
from contracts.host import FileStat
from host import capabilities

_CHUNK = 1 << 20


class LinuxFiles:
    """`contracts.host.Files` for Linux; `account` is told how many bytes were read."""

    def __init__(self, account: Callable[[int], None] = lambda _: None) -> None:
        self._account = account

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        """Return the content; raises `Unavailable` (`NOT_PRESENT`, `PERMISSION`, `TOO_LARGE`)."""
        descriptor = _opened(path)
        try:
            return self._content(descriptor, path, max_bytes)
        except OSError as error:
            raise unavailable(path, error) from error
        finally:
            os.close(descriptor)

    def end(self, path: str, max_bytes: int) -> tuple[int, bytes]:
        """Return how much is left out, and the last `max_bytes` of the content; raises `Unavailable` (`NOT_PRESENT`, `PERMISSION`)."""
        descriptor = _opened(path)
        try:
            left_out = max(0, os.fstat(descriptor).st_size - max_bytes)
            os.lseek(descriptor, left_out, os.SEEK_SET)
            return left_out, self._piece(descriptor, max_bytes)
        except OSError as error:
            raise unavailable(path, error) from error
        finally:
            os.close(descriptor)

    def head(self, path: str, max_bytes: int) -> bytes:
        """Return the first `max_bytes` of the content; raises `Unavailable` (`NOT_PRESENT`, `PERMISSION`)."""
        descriptor = _opened(path)
        try:
            return self._piece(descriptor, max_bytes)
        except OSError as error:
            raise unavailable(path, error) from error
        finally:
            os.close(descriptor)

    def part(self, path: str, begin: int, max_bytes: int) -> tuple[FileStat, bytes]:
        """Return the metadata of the very file that is read, and its content from `begin` on; raises `Unavailable` as `end` does."""
        descriptor = _opened(path)
        try:
            os.lseek(descriptor, begin, os.SEEK_SET)
            return _stat(os.fstat(descriptor)), self._piece(descriptor, max_bytes)
        except OSError as error:
            raise unavailable(path, error) from error
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[bytes]:
        """Return the names in a directory, unsorted, as bytes."""
        try:
            return os.listdir(os.fsencode(path))  # noqa: PTH208  # bytes, which pathlib does not know
        except (OSError, ValueError) as error:
            raise unavailable(path, error) from error

    def stat(self, path: str) -> FileStat:
        """Return the metadata without following a final symbolic link."""
        try:
            found = os.lstat(path)
        except (OSError, ValueError) as error:
            raise unavailable(path, error) from error
        return _stat(found)

    def link(self, path: str) -> bytes:
        """Return what a symbolic link holds."""
        try:
            return os.readlink(os.fsencode(path))  # noqa: PTH115  # as above
        except (OSError, ValueError) as error:
            raise unavailable(path, error) from error

    def _content(self, descriptor: int, path: str, max_bytes: int) -> bytes:
        content = self._piece(descriptor, max_bytes + 1)  # files in /proc say size 0: the end is only known by reading
        if len(content) > max_bytes:
            message = f"{path} is longer than {max_bytes} bytes"
            raise Unavailable(Why.TOO_LARGE, message, advice="raise the limit or make the file smaller")
        return content

    def _piece(self, descriptor: int, max_bytes: int) -> bytes:
        """Return what can be read from where `descriptor` stands, `max_bytes` at most."""
        parts: list[bytes] = []
        left = max_bytes
        while left > 0 and (part := os.read(descriptor, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        self._account(max_bytes - left)
        return b"".join(parts)


def _stat(found: os.stat_result) -> FileStat:
    return FileStat(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        device=found.st_dev,
    )


def _opened(path: str) -> int:
    """Return the descriptor of a regular file; raises `Unavailable`."""
    try:
        # Not to hang on a pipe that someone put in the place of the file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise unavailable(path, error) from error
    if not modes.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unavailable(Why.OTHER, f"{path} is not a regular file", advice="name a regular file")
    return descriptor


def unavailable(path: str, error: OSError | ValueError) -> Unavailable:
    """Return what `error` means for whoever wanted to look at `path`."""
    if not isinstance(error, OSError):
        return Unavailable(Why.OTHER, f"{path!r} is no file name ({error})", advice="name a file")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH):
        return Unavailable(Why.NOT_PRESENT, f"{path} does not exist", advice="check the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        lacking = capabilities.missing("CAP_DAC_READ_SEARCH")
        return Unavailable(Why.PERMISSION, f"{path} may not be read", advice=capabilities.advice(lacking))
    return Unavailable(Why.OTHER, f"{path} cannot be read ({error.strerror})", advice="check the file system")
