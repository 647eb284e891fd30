"""Reads one file's content and extended attributes by descriptor, and makes hashes of them, for one thread."""

import errno
import os
import stat
from hashlib import sha256
from typing import Any

from contracts.trees import Node, TreePlan

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
CHUNK = 1 << 18
"""Bytes read at once: large enough to keep the disk and the hash busy, small enough to stay in the processor's cache."""
CHANGED = "changed while it was read"
TRIES = 2
CAPABILITY = "security.capability"


class Reader:
    """Completes nodes with what only opening tells. One for each thread: it holds the buffer."""

    def __init__(self, plan: TreePlan) -> None:
        self.plan = plan
        self._new = _hash(plan.hash_name)
        self._buffer = memoryview(bytearray(CHUNK))
        self._noatime = os.O_NOATIME if os.geteuid() == 0 else 0

    def wanted(self, mode: int, size: int) -> bool:
        """Say whether the content of such a file is to be hashed."""
        return self._new is not None and stat.S_ISREG(mode) and size <= self.plan.hash_below

    def complete(self, node: Node, folder: int) -> Node:
        """Return the node with link target, attributes and content."""
        kind = stat.S_IFMT(node.mode)
        if kind == stat.S_IFREG:
            return self._file(node, folder)
        target, flaw = b"", ""
        if kind == stat.S_IFLNK:
            try:
                target = os.readlink(node.name, dir_fd=folder)
            except OSError as error:
                flaw = why(error)
        attributes, capabilities, unread = _attributes(_by_folder(folder, node.name), follow=False)
        return _filled(node, target=target, attributes=attributes, capabilities=capabilities, flaw=flaw or unread)

    def _file(self, node: Node, folder: int) -> Node:
        try:
            descriptor = os.open(node.name, _FILE | self._noatime, dir_fd=folder)
        except OSError as error:
            attributes, capabilities, _ = _attributes(_by_folder(folder, node.name), follow=False)
            return _filled(node, attributes=attributes, capabilities=capabilities, flaw=why(error))
        try:
            for _ in range(TRIES):
                opened = os.fstat(descriptor)
                node = _restat(node, opened)
                if not stat.S_ISREG(opened.st_mode):
                    return _filled(node, flaw=CHANGED)
                attributes, capabilities, flaw = _attributes(descriptor, follow=True)
                content = b""
                if self.wanted(opened.st_mode, opened.st_size):
                    content, read = self._digest(descriptor, opened.st_size)
                    if read != opened.st_size or (opened.st_size and _moved(opened, os.fstat(descriptor))):
                        flaw = CHANGED
                        os.lseek(descriptor, 0, os.SEEK_SET)
                        continue
                return _filled(node, attributes=attributes, capabilities=capabilities, content=content, flaw=flaw)
            return _filled(node, attributes=attributes, capabilities=capabilities, content=content, flaw=CHANGED)
        except OSError as error:
            return _filled(node, flaw=why(error))
        finally:
            os.close(descriptor)

    def _digest(self, descriptor: int, size: int) -> tuple[bytes, int]:
        """Return hash and number of bytes read, of at most one buffer more than `size` says: a file that grows must not hold us."""
        assert self._new is not None
        buffer, total = self._buffer, 0
        count = os.readv(descriptor, (buffer,))
        if count < CHUNK and count >= size:  # the common case: one read, one hash
            return self._new(buffer[:count]).digest(), count
        digest = self._new(buffer[:count])
        while count:
            total += count
            if total > size:
                break
            count = os.readv(descriptor, (buffer,))
            digest.update(buffer[:count])
        return digest.digest(), total


def _hash(name: str) -> Any:
    if name == "sha256":
        return sha256
    if name == "blake3":
        from blake3 import blake3

        return blake3
    if not name:
        return None
    raise ValueError(f"no hash is called {name!r}: sha256, blake3")


def _by_folder(folder: int, name: bytes) -> bytes:
    return b"/proc/self/fd/%d/%s" % (folder, name)


def _attributes(place: int | bytes, follow: bool) -> tuple[bytes, bytes, str]:
    """Return digest, file capabilities and flaw."""
    try:
        names = os.listxattr(place) if follow else os.listxattr(place, follow_symlinks=False)
        if not names:
            return b"", b"", ""
        pairs = [(name, os.getxattr(place, name, follow_symlinks=follow or isinstance(place, int))) for name in names]
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOENT, errno.ENODATA):
            return b"", b"", ""
        return b"", b"", "extended attributes: " + why(error)
    return xattr_digest(pairs), dict(pairs).get(CAPABILITY, b""), ""


def xattr_digest(pairs: list[tuple[str, bytes]]) -> bytes:
    """Return 16 bytes that stand for extended attributes, whatever the order in which the kernel names them."""
    digest = sha256()
    for key, value in sorted(pairs):
        raw = os.fsencode(key)
        digest.update(len(raw).to_bytes(4, "big") + raw + len(value).to_bytes(4, "big") + value)
    return digest.digest()[:16]


def _moved(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size)


def _restat(node: Node, found: os.stat_result) -> Node:
    if node.inode == found.st_ino and node.ctime_ns == found.st_ctime_ns and node.size == found.st_size:
        return node
    return Node(
        node.name,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_dev,
    )


def _filled(
    node: Node,
    target: bytes = b"",
    attributes: bytes = b"",
    capabilities: bytes = b"",
    content: bytes = b"",
    flaw: str = "",
) -> Node:
    if not (target or attributes or capabilities or content or flaw):
        return node
    return Node(
        node.name,
        node.mode,
        node.uid,
        node.gid,
        node.links,
        node.size,
        node.mtime_ns,
        node.ctime_ns,
        node.inode,
        node.device,
        node.special,
        target,
        attributes,
        capabilities,
        content,
        flaw,
    )


def why(error: OSError) -> str:
    """Return what went wrong, in the system's words."""
    return os.strerror(error.errno) if error.errno else str(error)
