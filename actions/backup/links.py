"""Links: further names of what a restore has made already, as hard links made them at the source."""

import errno
import os

from actions.backup.node import Node

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINK = {errno.EMLINK, errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV}
"""A further name cannot be made, and a copy of the content can: no more names, no hard links here, or the first one is gone."""
_STEP = 3000
"""Bytes of a path that one call is given, which takes no more than 4,095."""


class Links:
    """The first name of everything that has several, below the open directory `root`."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._first: dict[tuple[int, int], tuple[bytes, int]] = {}

    def keep(self, node: Node, path: bytes, inode: int) -> None:
        """Remember that `node` stands at `path` now, where its number is `inode`."""
        if (identity := _identity(node)) is not None:
            self._first[identity] = path, inode

    def make(self, node: Node, folder: int, name: bytes) -> bool:
        """Make `name` in the open `folder` a further name of what `node` is.

        False when it is the first one, when something else bears that by now, or when there can be no further one. OSError.
        """
        identity = _identity(node)
        if identity is None or identity not in self._first:
            return False
        first, inode = self._first[identity]
        before, last = _stepwise(self._root, first)
        try:
            os.link(last, name, src_dir_fd=before, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        finally:
            os.close(before)
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino == inode:
            return True
        os.unlink(name, dir_fd=folder)
        return False


def _identity(node: Node) -> tuple[int, int] | None:
    return (node.device_id, node.inode) if node.links > 1 and node.inode else None


def _stepwise(root: int, path: bytes) -> tuple[int, bytes]:
    """The directory below `root` in which `path` lies, opened in steps, and the last part of it."""
    folder, here = os.dup(root), b""
    *parents, last = path.split(b"/")
    for part in (*parents, b""):
        if here and (not part or len(here) + len(part) > _STEP):
            before = folder
            try:
                folder = os.open(here, _FOLDER, dir_fd=before)
            finally:
                os.close(before)
            here = b""
        here = here + b"/" + part if here else part
    return folder, last
