"""Tar stream: POSIX (PAX) archives with all metadata that a snapshot has: nanoseconds, attributes, ACLs, holes, hard links, devices.

Sources: POSIX pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual, "PAX Format, Version 1.0" (holes); star's
SCHILY keywords for attributes and ACLs, which GNU tar reads with --xattrs and --acls.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from actions.backup.node import ExtendedAttribute, Node

BLOCK = 512
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777
_TYPES = {"file": b"0", "symlink": b"2", "chardev": b"3", "dev": b"4", "dir": b"5", "fifo": b"6"}
_ACLS = {"system.posix_acl_access": b"SCHILY.acl.access", "system.posix_acl_default": b"SCHILY.acl.default"}
_ACL_TAGS = {0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}
_ACL_NAMED = {0x02, 0x08}

Records = dict[bytes, bytes]


class Sink(Protocol):
    """Where the archive goes."""

    def write(self, data: bytes, /) -> object:
        """Take all of these bytes."""
        ...


class Extent(NamedTuple):
    """A part of a file that is no hole."""

    offset: int
    length: int


class TarStream:
    """Writes one archive; after `begin` of a file exactly the announced bytes follow by `data`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._left = 0
        self._padding = 0

    def begin(
        self, path: bytes, node: Node, *, link: bytes | None = None, extents: Sequence[Extent] | None = None
    ) -> None:
        """Start an entry. `link` makes it a hard link to an earlier one; `extents` says what of a sparse file follows, None all of it."""
        assert not self._left, "the entry before is not complete"
        kind = b"1" if link is not None else _TYPES[node.type]
        target = link if link is not None else node.raw_target if node.type == "symlink" else b""
        size = node.size if kind == b"0" else 0
        records: Records = {}
        head = b""
        name = path + b"/" if kind == b"5" else path
        if extents is not None:
            head = _sparse_map(extents)
            size = len(head) + sum(extent.length for extent in extents)
            records |= {
                b"GNU.sparse.major": b"1",
                b"GNU.sparse.minor": b"0",
                b"GNU.sparse.name": path,
                b"GNU.sparse.realsize": b"%d" % node.size,
            }
            name = b"GNUSparseFile.0/" + path.rpartition(b"/")[2][:80]
        records |= _times(node) | _attributes(node.extended_attributes)
        self._write_header(name, target, kind, size, node, records)
        self._left = size
        self._padding = -size % BLOCK
        if head:
            self.data(head)

    def data(self, part: bytes) -> None:
        """A part of the content of the file that was begun."""
        assert len(part) <= self._left, "more than was announced"
        self._sink.write(part)
        self._left -= len(part)
        if not self._left and self._padding:
            self._sink.write(bytes(self._padding))
            self._padding = 0

    def end(self) -> None:
        """Close the archive. What was not ended so is recognised as cut off."""
        assert not self._left, "the last entry is not complete"
        self._sink.write(bytes(2 * BLOCK))

    def _write_header(self, name: bytes, target: bytes, kind: bytes, size: int, node: Node, records: Records) -> None:
        major, minor = os.major(node.device), os.minor(node.device)
        if node.type not in {"dev", "chardev"} or kind == b"1":
            major = minor = 0
        records |= _too_big(name, target, size, node, major, minor)
        if any(not _is_utf8(value) for key, value in records.items() if not key.startswith(b"SCHILY")):
            records = {b"hdrcharset": b"BINARY", **records}
        if records:
            body = b"".join(_record(key, value) for key, value in records.items())
            plain = Node(
                name="", type="file", mode=0o600, mtime=node.mtime, atime="", ctime="", uid=0, gid=0, content=None
            )
            self._sink.write(
                _ustar(b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2][:80], b"", b"x", len(body), plain, 0, 0)
            )
            self._sink.write(body + bytes(-len(body) % BLOCK))
        self._sink.write(_ustar(name, target, kind, size, node, major, minor))


def _ustar(name: bytes, target: bytes, kind: bytes, size: int, node: Node, major: int, minor: int) -> bytes:
    """One header block; what does not fit is cut, and said in a PAX record before."""
    seconds = node.mtime_ns // 1_000_000_000
    parts = [
        name[:100].ljust(100, b"\0"),
        _octal(node.permissions, 7),
        _octal(node.uid, 7),
        _octal(node.gid, 7),
        _octal(size, 11),
        _octal(max(0, seconds), 11),
        b" " * 8,
        kind,
        target[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        _short(node.user),
        _short(node.group),
        _octal(major, 7),
        _octal(minor, 7),
        bytes(155 + 12),
    ]
    block = b"".join(parts)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _octal(value: int, digits: int) -> bytes:
    return b"%0*o\0" % (digits, value if value < 8**digits else 0)


def _short(text: str) -> bytes:
    raw = text.encode()
    return raw.ljust(32, b"\0") if len(raw) < 32 else bytes(32)


def _too_big(name: bytes, target: bytes, size: int, node: Node, major: int, minor: int) -> Records:
    """Records for what a header block cannot hold."""
    records: Records = {}
    if len(name) > 100:
        records[b"path"] = name
    if len(target) > 100:
        records[b"linkpath"] = target
    for key, value, most in (
        (b"size", size, _MAX_OCTAL_11),
        (b"uid", node.uid, _MAX_OCTAL_7),
        (b"gid", node.gid, _MAX_OCTAL_7),
        (b"SCHILY.devmajor", major, _MAX_OCTAL_7),
        (b"SCHILY.devminor", minor, _MAX_OCTAL_7),
    ):
        if value > most:
            records[key] = b"%d" % value
    for key, text in ((b"uname", node.user), (b"gname", node.group)):
        if len(text.encode()) >= 32:
            records[key] = text.encode()
    return records


def _times(node: Node) -> Records:
    """Times to the nanosecond, of change always (a header block has no seconds before 1970 and no parts of one)."""
    return {b"mtime": _seconds(node.mtime_ns), b"atime": _seconds(node.atime_ns)}


def _seconds(ns: int) -> bytes:
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    return b"%s%d%s" % (b"-" if ns < 0 else b"", seconds, (b".%09d" % rest).rstrip(b"0") if rest else b"")


def _attributes(attributes: Iterable[ExtendedAttribute]) -> Records:
    records: Records = {}
    for attribute in attributes:
        value = attribute.value or b""
        if attribute.name in _ACLS:
            if text := acl_text(value):
                records[_ACLS[attribute.name]] = text.encode()
            continue
        name = attribute.name.replace("%", "%25").replace("=", "%3D")
        records[b"SCHILY.xattr." + name.encode()] = value
    return records


def acl_text(value: bytes) -> str:
    """The text form of an ACL (acl(5)) from the form of the kernel's attribute; empty when it is not one."""
    if len(value) < 4 or len(value) % 8 != 4 or struct.unpack_from("<I", value)[0] != 2:
        return ""
    lines = []
    for tag, bits, id in struct.iter_unpack("<HHI", value[4:]):
        if tag not in _ACL_TAGS:
            return ""
        permissions = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        lines.append(f"{_ACL_TAGS[tag]}:{id if tag in _ACL_NAMED else ''}:{permissions}")
    return ",".join(lines)


def _sparse_map(extents: Sequence[Extent]) -> bytes:
    """GNU's map of a sparse file: how many extents, then offset and length of each, one number a line, filled up to a block."""
    text = b"%d\n" % len(extents) + b"".join(b"%d\n%d\n" % extent for extent in extents)
    return text + bytes(-len(text) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """A PAX record, which begins with its own length."""
    body = b" %s=%s\n" % (key, value)
    length = len(body) + len(str(len(body)))
    if len(str(length)) > len(str(len(body))):
        length += 1
    return b"%d%s" % (length, body)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def can_hold(node: Node) -> bool:
    """Whether an archive has a form for this type of entry: sockets and what Linux has no word for are left out."""
    return node.type in _TYPES
