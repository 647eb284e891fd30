"""Reads a Debian archive once, from an open descriptor: its own digest, what it says of itself, and the digest of each file it ships.

Format: deb(5), an `ar` of `debian-binary`, `control.tar.*` and `data.tar.*`. The descriptor stays good when apt deletes the file meanwhile.
"""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec

from analysis.integrity.debian import stanzas
from collectors.integrity.packages.compressed import BROKEN, opened
from contracts.errors import Malformed
from contracts.provenance import Shipped
from contracts.record import Record

_MAGIC = b"!<arch>\n"
_HEAD = 60
_CHUNK = 1 << 18
_MOST_CONTROL = 4 << 20
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "triggers")
_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.LNKTYPE: stat.S_IFREG,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


class Deb(Record):
    """What one archive is: SHA-256 of the whole, its own words, its maintainer scripts and configuration files."""

    sha256: bytes
    package: str
    version: str
    architecture: str
    key: str
    scripts: str = ""
    configs: tuple[bytes, ...] = ()


def read(descriptor: int, name: str) -> tuple[Deb, list[Shipped]]:
    """Return what an archive is and ships; `descriptor` is left open. Raises `Malformed` for anything that is no sound archive.

    Every byte is read once and goes into the digest as it is read, so that what is compared with the signed index is what was looked at.
    """
    whole = _Whole(descriptor)
    try:
        deb, files = _read(whole)
    except (*BROKEN, tarfile.TarError, KeyError) as error:
        raise Malformed(f"{name} is no sound Debian archive: {error}", advice="fetch it again") from error
    return msgspec.structs.replace(deb, sha256=whole.digest()), files


class _Whole:
    """The file from its first byte to its last, each read once and counted into one digest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0
        self._whole = hashlib.sha256()

    def take(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        chunk = os.pread(self._descriptor, count, self._at)
        self._at += len(chunk)
        self._whole.update(chunk)
        return chunk

    def digest(self) -> bytes:
        """Return the digest of all, after reading the rest."""
        while self.take(_CHUNK):
            pass
        return self._whole.digest()


def _read(whole: _Whole) -> tuple[Deb, list[Shipped]]:
    deb: Deb | None = None
    control: list[Shipped] = []
    shipped: list[Shipped] | None = None
    for member, part in _members(whole):
        if member.startswith("control.tar") and deb is None:
            deb, control = _control(opened(part, member))
        elif member.startswith("data.tar") and shipped is None:
            shipped = list(_data(opened(part, member)))
    if deb is None or shipped is None:
        raise ValueError("control or data is missing")
    listed = b"\n".join([b"/.", *(one.path for one in shipped if one.path != b"/"), b""])
    control.append(_info(deb.key, "list", listed, 0o644))
    return deb, [one for one in shipped if one.path != b"/"] + control


def _members(whole: _Whole) -> Iterator[tuple[str, BinaryIO]]:
    if whole.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as an archive does")
    while len(head := whole.take(_HEAD)) == _HEAD:
        size = int(head[48:58])
        if head[58:60] != b"`\n" or size < 0:
            raise ValueError("a member's head is damaged")
        part = _Part(whole, size)
        yield head[:16].decode("ascii", "replace").rstrip(" /"), cast(BinaryIO, io.BufferedReader(part, _CHUNK))
        part.drain()
        whole.take(size % 2)


class _Part(io.RawIOBase):
    """The next stretch of the file, read as if it were one of its own."""

    def __init__(self, whole: _Whole, size: int) -> None:
        self._whole, self._left = whole, size

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fill the buffer as far as the stretch goes."""
        chunk = self._whole.take(min(len(buffer), self._left))
        if not chunk and self._left:
            raise ValueError("it ends early")
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)

    def drain(self) -> None:
        """Read what is left of the stretch."""
        while self._left:
            chunk = self._whole.take(min(_CHUNK, self._left))
            if not chunk:
                raise ValueError("it ends early")
            self._left -= len(chunk)


def _control(plain: BinaryIO) -> tuple[Deb, list[Shipped]]:
    """Return what the control part says, and its members as dpkg lays them into `info`."""
    texts: dict[str, bytes] = {}
    modes: dict[str, int] = {}
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for item in tar:
            name = item.name.removeprefix("./")
            if item.isreg() and "/" not in name and item.size <= _MOST_CONTROL:
                file = tar.extractfile(item)
                texts[name] = file.read() if file is not None else b""
                modes[name] = item.mode & 0o777
    fields = next(stanzas(texts["control"].decode("utf-8", "surrogateescape").splitlines()), {})
    package, architecture = fields.get("Package", ""), fields.get("Architecture", "")
    if not package or not fields.get("Version"):
        raise ValueError("its control file names no package")
    key = f"{package}:{architecture}" if fields.get("Multi-Arch") == "same" else package
    scripts = "\n".join(texts[each].decode("utf-8", "replace") for each in _SCRIPTS if each in texts)
    configs = [line.split()[-1] for line in texts.get("conffiles", b"").split(b"\n") if line.strip()]
    deb = Deb(
        sha256=b"",
        package=package,
        version=fields["Version"],
        architecture=architecture,
        key=key,
        scripts=scripts,
        configs=tuple(configs),
    )
    return deb, [_info(key, name, text, modes[name]) for name, text in texts.items() if name != "control"]


def _info(key: str, name: str, content: bytes, mode: int) -> Shipped:
    return Shipped(
        path=f"/var/lib/dpkg/info/{key}.{name}".encode(),
        mode=stat.S_IFREG | mode,
        owner="root",
        group="root",
        size=len(content),
        content=hashlib.sha256(content).digest(),
    )


def _data(plain: BinaryIO) -> Iterator[Shipped]:
    digests: dict[str, tuple[int, bytes]] = {}
    with tarfile.open(fileobj=plain, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
        for item in tar:
            size, content = 0, b""
            if item.isreg():
                size, content = item.size, _content(tar, item)
                digests[item.name] = size, content
            elif item.islnk():
                size, content = digests[item.linkname]
            # A stream keeps every member it has passed; a large archive has a hundred thousand.
            tar.members.clear()  # type: ignore[attr-defined]
            path = item.name.encode("utf-8", "surrogateescape").removeprefix(b".").rstrip(b"/")
            yield Shipped(
                path=path if path.startswith(b"/") else b"/" + path,
                mode=_KINDS.get(item.type, stat.S_IFREG) | (item.mode & 0o7777),
                uid=item.uid,
                gid=item.gid,
                owner=item.uname,
                group=item.gname,
                size=size,
                mtime=int(item.mtime),
                content=content,
                target=item.linkname.encode("utf-8", "surrogateescape") if item.issym() else b"",
            )


def _content(tar: tarfile.TarFile, item: tarfile.TarInfo) -> bytes:
    digest = hashlib.sha256()
    file = tar.extractfile(item)
    assert file is not None
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
