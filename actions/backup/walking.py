"""Walking: directories by descriptor, so that nobody who swaps one for a link on the way can lead a reader elsewhere.

A step down is opened relative to the directory above it, never by its whole path, and without following links. Only so many directories
stay open as `MAX_OPEN`; one further up is entered again from below by `..` and must then be the very same.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_OPEN = 64
"""How many directories of one way down are open at once."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CLOSED = -1


@dataclass(slots=True)
class Target:
    """A step on the way to the paths that are asked for; without steps below it is one of them."""

    below: dict[bytes, "Target"] = field(default_factory=dict)


def steps(paths: Sequence[bytes]) -> Target:
    """The absolute `paths` as steps from the root; a path below another one that is asked for adds nothing."""
    root = Target()
    whole: set[bytes] = set(paths)
    for path in sorted(whole):
        parts = [part for part in path.split(b"/") if part]
        if any(b"/" + b"/".join(parts[:count]) in whole for count in range(len(parts))):
            continue
        step = root
        for part in parts:
            step = step.below.setdefault(part, Target())
    return root


class Way:
    """The directories from the root down to where a walk is, the deepest of them open."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, tuple[int, int]]] = []
        self._may_keep_atime = True

    def __len__(self) -> int:
        return len(self._levels)

    @property
    def here(self) -> int:
        """The descriptor of the deepest directory."""
        return self._levels[-1][0]

    def place(self, name: bytes) -> bytes:
        """A path to the entry `name` of the deepest directory that leads through its descriptor, for calls that take no descriptor."""
        return b"/proc/self/fd/%d/%s" % (self.here, name)

    def open_directory(self, name: bytes, *, follow: bool = False) -> int:
        """Open a directory below the deepest one (the root directory for a way that has none yet); `enter` takes it over."""
        flags = _DIRECTORY if follow else _DIRECTORY | os.O_NOFOLLOW
        if not self._levels:
            return os.open(b"/", flags)
        return os.open(name, flags, dir_fd=self.here)

    def open_file(self, name: bytes, status: os.stat_result) -> int:
        """Open a file for reading without following a link, waiting for a FIFO, or touching the access time where that is ours to say."""
        if self._may_keep_atime or status.st_uid == os.geteuid():
            try:
                return os.open(name, _FILE | os.O_NOATIME, dir_fd=self.here)
            except PermissionError:
                self._may_keep_atime = self._may_keep_atime and status.st_uid == os.geteuid()
        return os.open(name, _FILE, dir_fd=self.here)

    def enter(self, descriptor: int) -> None:
        """Go down into an open directory."""
        status = os.fstat(descriptor)
        self._levels.append((descriptor, (status.st_dev, status.st_ino)))
        if len(self._levels) > MAX_OPEN:
            far, identity = self._levels[-1 - MAX_OPEN]
            if far != _CLOSED:
                os.close(far)
                self._levels[-1 - MAX_OPEN] = _CLOSED, identity

    def leave(self) -> None:
        """Go up again; OSError (ESTALE) when the directory above is not where it was, after which only `leave` may be called."""
        descriptor, _ = self._levels.pop()
        try:
            if self._levels and self._levels[-1][0] == _CLOSED:
                self._levels[-1] = _reopened(descriptor, self._levels[-1][1]), self._levels[-1][1]
        finally:
            if descriptor != _CLOSED:
                os.close(descriptor)

    def close(self) -> None:
        """Close whatever is open."""
        for descriptor, _ in self._levels:
            if descriptor != _CLOSED:
                os.close(descriptor)
        self._levels.clear()


def _reopened(below: int, identity: tuple[int, int]) -> int:
    if below == _CLOSED:
        raise OSError(errno.ESTALE, "the way to it was lost")
    above = os.open(b"..", _DIRECTORY, dir_fd=below)
    status = os.fstat(above)
    if (status.st_dev, status.st_ino) != identity:
        os.close(above)
        raise OSError(errno.ESTALE, "a directory was moved away while it was read")
    return above


def tag_in(descriptor: int, tags: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The name of the file by which an open directory says that it is not to be saved; `tags` are names, each with how it must begin."""
    for name, beginning in tags:
        try:
            if not beginning:
                os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                return name
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError:
            continue  # not there, or not to be read: then it says nothing
        try:
            if os.read(file, len(beginning)) == beginning:
                return name
        except OSError:
            continue
        finally:
            os.close(file)
    return None
