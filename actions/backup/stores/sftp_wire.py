"""The words of SFTP version 3: packets made and taken apart, no connection in sight.

Sources: draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL, section 4 (extensions: hardlink, fsync, limits, statvfs).
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from actions.backup.stores.store import Buffer, StoreError
from contracts.errors import HoldfastError


class Type(IntEnum):
    """Packet types."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Code(IntEnum):
    """Status codes."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


READ, WRITE, APPEND, CREAT, TRUNC, EXCL = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Flags of an OPEN."""

HARDLINK = "hardlink@openssh.com"
FSYNC = "fsync@openssh.com"
LIMITS = "limits@openssh.com"
STATVFS = "statvfs@openssh.com"
POSIX_RENAME = "posix-rename@openssh.com"
LSETSTAT = "lsetstat@openssh.com"

_ATTR_SIZE, _ATTR_IDS, _ATTR_MODE, _ATTR_TIMES, _ATTR_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000


class Garbled(StoreError):
    """What came is not a packet of SFTP version 3."""


class Refusal(HoldfastError):
    """The server answered with a status other than OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text or _word(code))
        self.code = code


class Attributes(NamedTuple):
    """What is known of a file; None where the server did not say. `mode` has the type bits of stat(2), times are seconds."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    atime: int | None = None
    mtime: int | None = None


class Entry(NamedTuple):
    """One name of a folder."""

    name: bytes
    attributes: Attributes


class Limits(NamedTuple):
    """What limits@openssh.com says: bytes of a packet, a read and a write, and open handles; 0 is unknown."""

    packet: int
    read: int
    write: int
    handles: int


class Reply(NamedTuple):
    """One answer: its type and what follows the request's number."""

    type: int
    body: bytes

    def must_be(self, type: Type) -> "Reader":
        """A reader of the body; Refusal when the server said no, Garbled when it said something else."""
        reader = Reader(self.body)
        if self.type == Type.STATUS:
            code = reader.number()
            if type is Type.STATUS and code == Code.OK:
                return reader
            raise Refusal(code, reader.string().decode(errors="replace") if reader.left else "")
        if self.type != type:
            raise Garbled(f"the server answers with a packet of type {self.type}, awaited was {type.name}")
        return reader


class Reader:
    """Takes a body apart, from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._body) - self._at

    def raw(self, size: int) -> bytes:
        """The next `size` bytes; Garbled when there are fewer."""
        if size > self.left:
            raise Garbled(f"a packet ends {size - self.left} bytes too early")
        self._at += size
        return self._body[self._at - size : self._at]

    def number(self) -> int:
        """A uint32."""
        return int.from_bytes(self.raw(4), "big")

    def long(self) -> int:
        """A uint64."""
        return int.from_bytes(self.raw(8), "big")

    def string(self) -> bytes:
        """A string with its length before it."""
        return self.raw(self.number())

    def attributes(self) -> Attributes:
        """An ATTRS structure."""
        flags = self.number()
        size = self.long() if flags & _ATTR_SIZE else None
        uid, gid = (self.number(), self.number()) if flags & _ATTR_IDS else (None, None)
        mode = self.number() if flags & _ATTR_MODE else None
        atime, mtime = (self.number(), self.number()) if flags & _ATTR_TIMES else (None, None)
        if flags & _ATTR_MORE:
            for _ in range(self.number()):
                self.string(), self.string()
        return Attributes(size, uid, gid, mode, atime, mtime)

    def entries(self) -> list[Entry]:
        """The names of a NAME packet."""
        found = []
        for _ in range(self.number()):
            name = self.string()
            self.string()  # the line that `ls -l` would print
            found.append(Entry(name, self.attributes()))
        return found

    def extensions(self) -> dict[str, bytes]:
        """What a server advertises after its version."""
        found = {}
        while self.left:
            name = self.string().decode(errors="replace")
            found[name] = self.string()
        return found

    def limits(self) -> Limits:
        """The answer to limits@openssh.com."""
        return Limits(self.long(), self.long(), self.long(), self.long())

    def free(self) -> tuple[int, int, int]:
        """The answer to statvfs@openssh.com: bytes that are free to the user, inodes, and those that are free."""
        words = [self.long() for _ in range(11)]
        return words[4] * (words[1] or words[0]), words[5], words[7]


def string(value: Buffer | str) -> bytes:
    """A string with its length before it."""
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return len(raw).to_bytes(4, "big") + raw


def attributes(
    *,
    size: int | None = None,
    mode: int | None = None,
    times: tuple[int, int] | None = None,
    ids: tuple[int, int] | None = None,
) -> bytes:
    """An ATTRS structure of what is given; `times` are atime and mtime, `ids` are uid and gid."""
    flags = 0
    body = b""
    if size is not None:
        flags |= _ATTR_SIZE
        body += struct.pack(">Q", size)
    if ids is not None:
        flags |= _ATTR_IDS
        body += struct.pack(">II", *ids)
    if mode is not None:
        flags |= _ATTR_MODE
        body += struct.pack(">I", mode)
    if times is not None:
        flags |= _ATTR_TIMES
        body += struct.pack(">II", *times)
    return struct.pack(">I", flags) + body


def packet(type: Type, number: int, body: bytes) -> bytes:
    """A whole request."""
    return struct.pack(">IBI", 5 + len(body), type, number) + body


def write_head(number: int, handle: bytes, offset: int, size: int) -> bytes:
    """What goes before the `size` bytes of a WRITE."""
    return (
        struct.pack(">IBI", 21 + len(handle) + size, Type.WRITE, number)
        + string(handle)
        + struct.pack(">QI", offset, size)
    )


def extended(name: str, body: bytes) -> bytes:
    """The body of an EXTENDED request."""
    return string(name) + body


def _word(code: int) -> str:
    try:
        return Code(code).name.replace("_", " ").capitalize()
    except ValueError:
        return f"status {code}"
