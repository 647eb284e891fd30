"""Metadata of an entry, from its node onto what was restored: owner, mode, extended attributes and times."""

import os
import stat

from actions.backup.node import Node


def set_metadata(descriptor: int, name: bytes | None, node: Node) -> None:
    """Set all that `node` says of what is open as `descriptor`, or of the entry `name` in the directory that is; no link is followed.

    Owner first (it clears setuid and capabilities), then mode, attributes, and times last. OSError and ValueError leave the rest undone.
    An owner is only tried by who is not root.
    """
    _set_owner(descriptor, name, node)
    place: int | bytes = descriptor if name is None else b"/proc/self/fd/%d/%s" % (descriptor, name)
    if node.type != "symlink":
        os.chmod(place, node.permissions)  # noqa: PTH101 (a descriptor)
    for attribute in node.extended_attributes:
        follow = {} if name is None else {"follow_symlinks": False}
        os.setxattr(place, attribute.name, attribute.value or b"", **follow)
    times = (node.atime_ns, node.mtime_ns)
    if name is None:
        os.utime(descriptor, ns=times)
    else:
        os.utime(name, ns=times, dir_fd=descriptor, follow_symlinks=False)


def _set_owner(descriptor: int, name: bytes | None, node: Node) -> None:
    try:
        if name is None:
            os.chown(descriptor, node.uid, node.gid)
        else:
            os.chown(name, node.uid, node.gid, dir_fd=descriptor, follow_symlinks=False)
    except PermissionError:
        if os.geteuid() == 0:
            raise


def seems_same(node: Node, status: os.stat_result) -> bool:
    """Whether a file that is there has the size and the time of change of the node."""
    return (
        node.type == "file"
        and stat.S_ISREG(status.st_mode)
        and status.st_size == node.size
        and status.st_mtime_ns == node.mtime_ns
    )
