"""Node: one entry of a directory with all its metadata, in restic's JSON, field for field.

Source: restic's `internal/restic/node.go` (later `internal/data/node.go`). Times are kept as the text that was read, so
that a node that is written again is the same to the byte.
"""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

import msgspec

from actions.backup.go_text import quote, unquote
from actions.backup.times import format_time, parse_time

NodeType = Literal["file", "dir", "symlink", "dev", "chardev", "fifo", "socket", "irregular"]

_GO_TYPE = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFREG: 0,
}
_GO_SPECIAL = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))
_TYPES: dict[int, NodeType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_NO_XATTRS = {errno.EOPNOTSUPP, errno.ENOSYS}


class ExtendedAttribute(msgspec.Struct, frozen=True, gc=False):
    """One extended attribute; ACLs and capabilities are attributes as well. An empty value may be null in the JSON of others."""

    name: str
    value: bytes | None


class Node(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """An entry of a directory. `name` is quoted as Go does (see `raw_name`), `mode` is Go's os.FileMode, ids are hexadecimal.

    Required fields are written always, the others only when they are set, in this order: that is what the hash of a tree rests on.
    """

    name: str
    type: NodeType
    mode: int = 0
    mtime: str
    atime: str
    ctime: str
    uid: int
    gid: int
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: str = ""
    linktarget_raw: bytes = b""
    extended_attributes: list[ExtendedAttribute] = []
    generic_attributes: dict[str, msgspec.Raw] = {}
    device: int = 0
    content: list[str] | None
    subtree: str | None = None
    error: str = ""

    @property
    def raw_name(self) -> bytes:
        """The name as the file system has it; ValueError when it is not a quoted name, or would leave its directory."""
        name = unquote(self.name)
        if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
            raise ValueError(f"{name!r} is not the name of a file")
        return name

    @property
    def raw_target(self) -> bytes:
        """Where a symbolic link points to."""
        return self.linktarget_raw or self.linktarget.encode()

    @property
    def mtime_ns(self) -> int:
        """Time of the last change of content, Unix nanoseconds."""
        return parse_time(self.mtime)

    @property
    def atime_ns(self) -> int:
        """Time of the last access, Unix nanoseconds."""
        return parse_time(self.atime)

    @property
    def permissions(self) -> int:
        """Permission bits with setuid, setgid and sticky, as chmod takes them."""
        return self.mode & 0o777 | sum(bit for bit, go in _GO_SPECIAL if self.mode & go)


@lru_cache(maxsize=1024)
def go_mode(st_mode: int) -> int:
    """Go's os.FileMode of a Unix mode."""
    return st_mode & 0o777 | _GO_TYPE[stat.S_IFMT(st_mode)] | sum(go for bit, go in _GO_SPECIAL if st_mode & bit)


def node_type(st_mode: int) -> NodeType:
    """What kind of entry this is; "irregular" for what Linux has no word for."""
    return _TYPES.get(stat.S_IFMT(st_mode), "irregular")


def node_of(
    name: bytes,
    place: bytes | int,
    status: os.stat_result,
    *,
    with_atime: bool = False,
    trouble: Callable[[str], None] | None = None,
) -> Node:
    """The node of an entry as `os.lstat` shows it, with its link target and extended attributes; content and subtree are the caller's.

    `place` is its path, or the descriptor under which it is open. OSError when a link cannot be read. An attribute that cannot be read or
    named is told to `trouble` and left out.
    """
    type = node_type(status.st_mode)
    mtime = format_time(status.st_mtime_ns)
    node = Node(
        name=quote(name),
        type=type,
        mode=go_mode(status.st_mode),
        mtime=mtime,
        atime=format_time(status.st_atime_ns) if with_atime else mtime,
        ctime=mtime if status.st_ctime_ns == status.st_mtime_ns else format_time(status.st_ctime_ns),
        uid=status.st_uid,
        gid=status.st_gid,
        user=user_name(status.st_uid),
        group=group_name(status.st_gid),
        inode=status.st_ino,
        device_id=status.st_dev,
        content=None,
    )
    if type == "file":
        node.size = status.st_size
    if type in {"file", "symlink", "dev", "chardev"}:
        node.links = status.st_nlink
    if type in {"dev", "chardev"}:
        node.device = status.st_rdev
    if type == "symlink":
        assert isinstance(place, bytes)  # a link that is open cannot be read on every kernel
        _set_target(node, os.readlink(place))  # noqa: PTH115 (a path of bytes)
    node.extended_attributes = extended_attributes(place, trouble or _ignore)
    return node


def _ignore(_: str) -> None:
    """For callers that do not ask."""


def _set_target(node: Node, target: bytes) -> None:
    try:
        node.linktarget = target.decode()
    except UnicodeDecodeError:
        node.linktarget = target.decode("utf-8", "replace")
        node.linktarget_raw = target


def extended_attributes(place: bytes | int, trouble: Callable[[str], None]) -> list[ExtendedAttribute]:
    """The extended attributes of an entry (by path or descriptor), in the order of the file system; links are not followed."""
    follow = isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            trouble(f"extended attributes: {error.strerror}")
        return []
    found = []
    for name in names:
        try:
            value = os.getxattr(place, name, follow_symlinks=follow)
            name.encode()
        except OSError as error:
            trouble(f"extended attribute {name}: {error.strerror}")
        except UnicodeEncodeError:
            trouble(f"extended attribute {name!r}: a name that is not UTF-8 cannot be stored")
        else:
            found.append(ExtendedAttribute(name, value))
    return found


@cache
def user_name(uid: int) -> str:
    """The name of a user, empty when there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@cache
def group_name(gid: int) -> str:
    """The name of a group, empty when there is none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def same_source(node: Node, status: os.stat_result, *, ignore_inode: bool = False, ignore_ctime: bool = False) -> bool:
    """Whether the file that `status` shows is still what the node of an earlier snapshot describes, so that it need not be read again.

    Same type, size, mtime, ctime and inode, as restic judges; the two flags are for file systems that make these up anew.
    """
    return (
        node.type == "file"
        and stat.S_ISREG(status.st_mode)
        and node.size == status.st_size
        and (ignore_inode or node.inode == status.st_ino)
        and _same_time(node.mtime, status.st_mtime_ns)
        and (ignore_ctime or _same_time(node.ctime, status.st_ctime_ns))
    )


def same_folder(node: Node, status: os.stat_result) -> bool:
    """Whether the directory that `status` shows is still what the node describes: then it holds the same names."""
    return (
        node.type == "dir"
        and stat.S_ISDIR(status.st_mode)
        and node.inode == status.st_ino
        and _same_time(node.mtime, status.st_mtime_ns)
        and _same_time(node.ctime, status.st_ctime_ns)
    )


def _same_time(text: str, ns: int) -> bool:
    """Most nodes carry the local offset of today, so that the texts are the same; else the instants decide."""
    if text == format_time(ns):
        return True
    try:
        return parse_time(text) == ns
    except ValueError:
        return False
