"""Opens files of others by descriptor: from folder to folder without a link, whatever is swapped meanwhile, and at any depth."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from operator import itemgetter

from contracts.openings import Opened, Stamp

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK = 1 << 18
DEEPEST = 1000
"""Each folder on the way down holds a descriptor open."""
GONE = "gone"
OTHER = "another filesystem"
SWAPPED = "another file stands there now than was listed"
NOT_REGULAR = "not a regular file"

Wanted = Callable[[bytes, Stamp], bool]
Excluded = Callable[[bytes, bool], bool]
_Listed = tuple[bool, bytes, "os.DirEntry[str]"]
_ORDER = itemgetter(0, 1)


class LinuxOpenings:
    """Implements `contracts.openings.Openings`."""

    def one(self, path: bytes) -> Opened:
        """Open one file; see `contracts.openings.Openings.one`."""
        parent, _, name = path.rpartition(b"/")
        try:
            folder = open_folder(parent or b"/")
        except OSError as error:
            return Opened(path=path, flaw=why(error))
        try:
            return _open(folder, name, path, None)
        finally:
            os.close(folder)

    def folder(self, path: bytes) -> int:
        """Return a descriptor of a folder; see `contracts.openings.Openings.folder`."""
        return open_folder(path)

    def head(self, opened: Opened, count: int) -> bytes:
        """Return the first bytes of an open file."""
        return os.pread(opened.descriptor, count, 0)

    def sha256(self, opened: Opened, max_bytes: int) -> str:
        """Return the digest of an open file, "" where it is too long."""
        digest, at = sha256(), 0
        while at <= max_bytes and (piece := os.pread(opened.descriptor, _CHUNK, at)):
            digest.update(piece)
            at += len(piece)
        return digest.hexdigest() if at <= max_bytes else ""

    def below(self, root: bytes, wanted: Wanted, excluded: Excluded, one_filesystem: bool = True) -> Iterator[Opened]:
        """Yield what is below `root`; see `contracts.openings.Openings.below`."""
        parent, _, name = root.rstrip(b"/").rpartition(b"/")
        try:
            folder = open_folder(root)
        except NotADirectoryError:
            yield from _single(self.one(root), wanted)
            return
        except OSError as error:
            yield Opened(path=root, flaw=why(error))
            return
        found = os.fstat(folder)
        walk = _Walk(wanted, excluded, found.st_dev if one_filesystem else 0)
        yield from walk.run(folder, (parent + b"/" + name if name else b"").rstrip(b"/"))


def _single(opened: Opened, wanted: Wanted) -> Iterator[Opened]:
    if opened.flaw or wanted(opened.path, _stamp_of(opened)):
        yield opened
    else:
        os.close(opened.descriptor)


def _stamp_of(opened: Opened) -> Stamp:
    return Stamp(
        device=opened.device,
        inode=opened.inode,
        size=opened.size,
        mtime_ns=opened.mtime_ns,
        ctime_ns=opened.ctime_ns,
    )


class _Walk:
    """One walk; a stack of open folders instead of recursion."""

    def __init__(self, wanted: Wanted, excluded: Excluded, device: int) -> None:
        self._wanted, self._excluded, self._device = wanted, excluded, device
        self._stack: list[tuple[int, bytes, Iterator[_Listed]]] = []

    def run(self, folder: int, path: bytes) -> Iterator[Opened]:
        """Walk from an open folder, which is closed with the walk; `path` has no slash at its end."""
        try:
            opened = self._enter(folder, path)
            if opened is not None:
                yield opened
            while self._stack:
                folder, path, listed = self._stack[-1]
                each = next(listed, None)
                if each is None:
                    self._stack.pop()
                    os.close(folder)
                    continue
                opened = self._entry(folder, path, each[1], each[2])
                if opened is not None:
                    yield opened
        finally:
            for folder, _, _ in self._stack:
                os.close(folder)

    def _enter(self, folder: int, path: bytes) -> Opened | None:
        """Go into an open folder; what hinders that is returned."""
        try:
            with os.scandir(folder) as listing:
                # Files before folders: whoever keeps a book by folder has each folder's files in one row.
                listed = [(entry.is_dir(follow_symlinks=False), os.fsencode(entry.name), entry) for entry in listing]
        except OSError as error:
            os.close(folder)
            return Opened(path=path or b"/", flaw=why(error))
        listed.sort(key=_ORDER)
        self._stack.append((folder, path, iter(listed)))
        return None

    def _entry(self, folder: int, path: bytes, name: bytes, entry: "os.DirEntry[str]") -> Opened | None:
        """Open a file that is wanted, or go into a folder; returns the file, or what hinders that."""
        whole = path + b"/" + name
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Opened(path=whole, flaw=why(error))
        is_folder = stat.S_ISDIR(found.st_mode)
        if not (is_folder or stat.S_ISREG(found.st_mode)) or self._excluded(whole, is_folder):
            return None
        if is_folder:
            return self._folder(folder, name, whole, found)
        if not self._wanted(whole, _stamp(found)):
            return None
        opened = _open(folder, name, whole, found)
        return opened if opened.flaw != GONE else None

    def _folder(self, folder: int, name: bytes, whole: bytes, found: os.stat_result) -> Opened | None:
        if self._device not in (0, found.st_dev):
            return Opened(path=whole, flaw=OTHER)
        if len(self._stack) >= DEEPEST:
            return Opened(path=whole, flaw=f"more than {DEEPEST} folders deep")
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Opened(path=whole, flaw=SWAPPED if error.errno in (errno.ELOOP, errno.ENOTDIR) else why(error))
        opened = os.fstat(below)
        if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
            os.close(below)
            return Opened(path=whole, flaw=SWAPPED)
        return self._enter(below, whole)


def open_folder(path: bytes) -> int:
    """Return a descriptor of the folder at `path`, reached without following a link anywhere on the way; raises `OSError`."""
    folder = os.open(b"/", _FOLDER)
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            os.close(folder)
            raise OSError(errno.EINVAL, "a path with .. is not gone into")
        try:
            below = os.open(part, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def _open(folder: int, name: bytes, path: bytes, listed: os.stat_result | None) -> Opened:
    try:
        found = listed or os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):  # an open of a device may do something
            return Opened(path=path, flaw=NOT_REGULAR)
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        return Opened(path=path, flaw=SWAPPED if error.errno == errno.ELOOP else why(error))
    opened = os.fstat(descriptor)
    if not stat.S_ISREG(opened.st_mode):
        os.close(descriptor)
        return Opened(path=path, flaw=NOT_REGULAR)
    return Opened(
        path=path,
        descriptor=descriptor,
        device=opened.st_dev,
        inode=opened.st_ino,
        size=opened.st_size,
        mtime_ns=opened.st_mtime_ns,
        ctime_ns=opened.st_ctime_ns,
        uid=opened.st_uid,
    )


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(
        device=found.st_dev,
        inode=found.st_ino,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
    )


def why(error: OSError) -> str:
    """Return what went wrong, in the system's words; `gone` for what is not there."""
    if error.errno == errno.ENOENT:
        return GONE
    if error.errno == errno.ELOOP:
        return "a link stands on the way"
    return (error.strerror or str(error)).lower()
