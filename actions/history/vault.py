"""Keeps versions of files on the disk, one file a version, encrypted and bound to its place by AES-256-GCM (NIST SP 800-38D).

`FOLDER/<name of the path>/<time in ms, 14 digits>-<8 hex>`: nonce (12 bytes), then the sealed version. The name of a path is its HMAC under
the key, so that names of files are hidden, too; path and place are authenticated, so that no version can be passed off as another's.
"""

import hmac
import os
import secrets
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import HoldfastError, Malformed
from contracts.record import Record

NONCE = 12
KEY = 32
_KEY_FILE = "history.key"


class Version(Record):
    """One version: content and what `lstat` and the extended attributes said; `content` None for a path at which there was nothing."""

    path: bytes
    at_ms: int
    content: bytes | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    attributes: dict[str, bytes] = {}
    why: str = ""
    """What led to it: a change, a person's wish, or what a rollback found."""

    def same(self, other: "Version") -> bool:
        """Say whether the file was alike then: its content, rights, owner and attributes; times do not count."""
        fields = ("path", "content", "mode", "uid", "gid", "attributes")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


class Damaged(HoldfastError):
    """A version was changed, belongs elsewhere, or was made with another key."""


class Vault:
    """The versions below a folder. For one thread; several may read at once."""

    def __init__(self, folder: Path, key: bytes = b"") -> None:
        """Without a key, the one beside the versions is taken, or made. Raises `Malformed` for a key of a wrong length."""
        self._folder = folder / "history"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = key or _own_key(folder / _KEY_FILE)
        if len(key) != KEY:
            raise Malformed(f"the key of the history has {len(key)} bytes, not {KEY}", advice="set history.key anew")
        self._seal = AESGCM(hmac.digest(key, b"versions", sha256))
        self._names = hmac.digest(key, b"names", sha256)

    def keep(self, version: Version) -> bool:
        """Keep a version unless the last one was alike; returns whether it is new."""
        last = next(self.versions(version.path, newest_first=True), None)
        if last is not None and last[1].same(version):
            return False
        place = self._place(version.path)
        place.mkdir(mode=0o700, exist_ok=True)
        label = f"{version.at_ms:014d}-{secrets.token_hex(4)}"
        nonce = secrets.token_bytes(NONCE)
        plain = zlib.compress(msgspec.msgpack.encode(version), 6)
        sealed = nonce + self._seal.encrypt(nonce, plain, self._bound(version.path, label))
        _write(place / label, sealed)
        return True

    def versions(self, path: bytes, newest_first: bool = False) -> Iterator[tuple[str, Version]]:
        """Yield label and version of each that is kept of a path; raises `Damaged` for one that was touched."""
        place = self._place(path)
        if not place.is_dir():
            return
        for name in sorted(
            (each.name for each in place.iterdir() if not each.name.startswith(".")), reverse=newest_first
        ):
            yield name, self._opened(path, place / name)

    def find(self, path: bytes, which: str) -> tuple[str, Version]:
        """Return the version of a label or the beginning of one, or `-N` for the N-th before the last; raises `HoldfastError`."""
        found = list(self.versions(path))
        if not found:
            raise HoldfastError(f"no version is kept of {os.fsdecode(path)}", advice="see `holdfast integrity history`")
        if which.startswith("-") and which[1:].isdigit():
            back = int(which[1:])
            if back >= len(found):
                raise HoldfastError(f"only {len(found)} versions are kept", advice="choose one of them")
            return found[-1 - back]
        matching = [pair for pair in found if pair[0].startswith(which) or pair[0].rpartition("-")[2].startswith(which)]
        if len(matching) != 1:
            raise HoldfastError(
                f"{len(matching)} versions are called {which}",
                advice="name one as `holdfast integrity history PATH` does",
            )
        return matching[0]

    def thin(self, per_file: int, total: int) -> int:
        """Forget the oldest versions beyond so many of a file, then the oldest of all beyond so many bytes; returns how many."""
        held: list[tuple[str, int, Path]] = []
        gone = 0
        for place in self._folder.iterdir():
            names = sorted((each for each in place.iterdir()), key=lambda each: each.name)
            for each in names[: max(0, len(names) - per_file)]:
                each.unlink()
                gone += 1
            # Of each file the last version stays, whatever the room.
            held += [(each.name, each.stat().st_size, each) for each in names[-per_file:][:-1]]
        room = sum(size for _, size, _ in held)
        for _, size, each in sorted(held, key=lambda one: one[0]):
            if room <= total:
                break
            each.unlink()
            room -= size
            gone += 1
        return gone

    def _place(self, path: bytes) -> Path:
        return self._folder / hmac.digest(self._names, path, sha256).hex()[:40]

    def _bound(self, path: bytes, label: str) -> bytes:
        return label.encode() + b"\0" + path

    def _opened(self, path: bytes, file: Path) -> Version:
        sealed = file.read_bytes()
        try:
            plain = self._seal.decrypt(sealed[:NONCE], sealed[NONCE:], self._bound(path, file.name))
            return msgspec.msgpack.decode(zlib.decompress(plain), type=Version)
        except (InvalidTag, ValueError, zlib.error, msgspec.MsgspecError) as error:
            message = f"the version {file.name} of {os.fsdecode(path)} is not what was kept"
            raise Damaged(message, advice="Look at who changed the history, or at its key.") from error


def _own_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        _write(path, secrets.token_bytes(KEY))
        return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Write a new file whole: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
