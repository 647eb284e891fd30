"""Mount: a repository as a directory of this machine through FUSE, read-only, until it is unmounted or a signal ends it.

libfuse is reached by mfusepy (ctypes), so nothing is compiled; libfuse itself ends the loop at SIGINT, SIGTERM and SIGHUP and unmounts.
"""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from actions.backup.mount_view import Attributes, Found, View
from contracts.errors import HoldfastError, Unavailable, UsageError, Why

_VALID_S = 60
"""How long the kernel believes what it was told: contents never change, and the list of snapshots is as old."""

_THREADS = 8
_NO_ATTRIBUTE = errno.ENODATA
_MAX_TOLD = 1000


class Fuse:
    """The operations that libfuse calls, from several threads. `tell` hears once of each path that cannot be read, and why."""

    use_ns = True

    def __init__(self, view: View, tell: Callable[[str, HoldfastError], None], mounted: Callable[[], None]) -> None:
        self._view, self._tell, self._mounted = view, tell, mounted
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self.began = False

    def init(self, _path: str) -> None:
        """It is mounted."""
        self.began = True
        self._mounted()

    def getattr(self, path: str, _handle: object = None) -> dict[str, int]:
        """What `lstat` shows."""
        return _stat(self._view.attributes(self._find(path)))

    def readdir(self, path: str, _handle: object) -> Iterator[Any]:
        """The names in a directory; all are there before the first is given, so that a damaged one is an error and not a short list."""
        found = self._guarded(path, lambda: list(self._view.names(self._view.find(_raw(path)))))
        for name, mode, inode in ((b".", stat.S_IFDIR, 1), (b"..", stat.S_IFDIR, 1), *found):
            # Without a number of its own an entry would be passed over.
            yield name.decode("utf-8", "surrogateescape"), {"st_mode": mode, "st_ino": inode}, 0

    def readlink(self, path: str) -> str:
        """Where a link leads."""
        return self._view.target(self._find(path)).decode("utf-8", "surrogateescape")

    def open(self, path: str, flags: int) -> int:
        """Open a file for reading."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        self._guarded(path, lambda: self._view.open(self._view.find(_raw(path))))
        return 0

    def read(self, path: str, size: int, offset: int, _handle: object) -> bytes:
        """Bytes of a file: all that were asked for up to its end, or EIO; the kernel would fill less with zeros."""
        data: bytes = self._guarded(path, lambda: self._view.read(self._view.find(_raw(path)), size, offset))
        return data

    def listxattr(self, path: str) -> list[str]:
        """The names of the extended attributes."""
        return list(self._view.extended(self._find(path)))

    def getxattr(self, path: str, name: str, *_: object) -> bytes:
        """One extended attribute."""
        found = self._view.extended(self._find(path)).get(name)
        if found is None:
            raise OSError(_NO_ATTRIBUTE, os.strerror(_NO_ATTRIBUTE))
        return found

    def _find(self, path: str) -> Found:
        found: Found = self._guarded(path, lambda: self._view.find(_raw(path)))
        return found

    def _guarded(self, path: str, do: Callable[[], Any]) -> Any:
        """What `do` gives; what the repository cannot give is told, and is an input/output error."""
        try:
            return do()
        except HoldfastError as error:
            with self._lock:
                fresh = (path, error.message) not in self._told and len(self._told) < _MAX_TOLD
                if fresh:
                    self._told.add((path, error.message))
            if fresh:
                self._tell(path, error)
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error


def mount(
    view: View,
    directory: str,
    *,
    name: str,
    allow_other: bool = False,
    tell: Callable[[str, HoldfastError], None],
    mounted: Callable[[], None] = lambda: None,
) -> None:
    """Serve `view` at `directory` until it is unmounted; `name` is shown as the device. Unavailable where FUSE is not to be had.

    `mounted` is called when it is there. With `allow_other` all users may enter, as far as owners and modes of the entries let them.
    """
    check_place(directory)
    fuse = _library()
    operations = Fuse(view, tell, mounted)
    more: dict[str, Any] = {"allow_other": True, "default_permissions": True} if allow_other else {}
    if fuse.fuse_version_major >= 3:
        more["max_idle_threads"] = _THREADS  # else libfuse complains of its own default
    try:
        fuse.FUSE(
            operations,
            directory,
            foreground=True,
            fsname=name.replace(",", "_"),
            subtype="holdfast",
            ro=True,
            nosuid=True,
            nodev=True,
            use_ino=True,
            kernel_cache=True,
            attr_timeout=_VALID_S,
            entry_timeout=_VALID_S,
            **more,
        )
    except RuntimeError as error:
        # After it was mounted, a code only says which signal ended the loop.
        if not operations.began:
            advice = "see what libfuse says above; `allow_other` wants user_allow_other in /etc/fuse.conf"
            raise Unavailable(
                Why.OTHER, f"{directory} could not be mounted (libfuse: {error})", advice=advice
            ) from error
    finally:
        view.close()


def check_place(directory: str) -> None:
    """UsageError unless `directory` is an empty directory that nothing is mounted on."""
    path = Path(directory)
    try:
        if not path.is_dir():
            raise UsageError(f"{directory} is not a directory", advice=f"make it: mkdir {directory}")
        if path.is_mount():
            raise UsageError(f"something is mounted on {directory}", advice=f"umount {directory}, or name another one")
        if any(path.iterdir()):
            raise UsageError(f"{directory} is not empty", advice="name an empty directory")
    except OSError as error:
        raise UsageError(
            f"{directory}: {error.strerror}", advice=f"unmount what hangs there: umount -l {directory}"
        ) from error


def _library() -> Any:
    """mfusepy with the newest libfuse there is; Unavailable names what to install."""
    if not Path("/dev/fuse").exists():
        raise Unavailable(
            Why.NOT_PRESENT, "this kernel offers no FUSE: /dev/fuse is not there", advice="load it: modprobe fuse"
        )
    newest = next((each for each in ("fuse3", "fuse") if find_library(each)), "")
    if not newest:
        advice = "install it: apt install fuse3 (Debian, Ubuntu), dnf install fuse3 (Fedora, RHEL)"
        raise Unavailable(Why.TOOL_MISSING, "libfuse is not installed", advice=advice)
    os.environ.setdefault("FUSE_LIBRARY_NAME", newest)
    try:
        import mfusepy
    except ImportError as error:
        advice = "install it: pip install 'holdfast[backup]', or python3 -m pip install mfusepy"
        raise Unavailable(Why.TOOL_MISSING, "the Python library mfusepy is not installed", advice=advice) from error
    except (OSError, AttributeError) as error:
        raise Unavailable(Why.INCOMPATIBLE, f"libfuse cannot be used: {error}", advice="install fuse3") from error
    return mfusepy


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _stat(found: Attributes) -> dict[str, int]:
    return {
        "st_mode": found.mode,
        "st_ino": found.inode,
        "st_nlink": found.links,
        "st_uid": found.uid,
        "st_gid": found.gid,
        "st_size": found.size,
        "st_blocks": found.blocks,
        "st_rdev": found.device,
        "st_atime": found.atime_ns,
        "st_mtime": found.mtime_ns,
        "st_ctime": found.ctime_ns,
    }
