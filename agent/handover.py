"""What the core hands over to workers that may not read files, and what it keeps for workers that have no place of their own.

A watcher says by its class what it may fetch: under a name, and by role, paths of files and folders; the core reads them piece by
piece as the worker takes them, so that no file is ever in its memory as a whole. A role that begins with `secret` holds references to
secrets. The role `kept` holds two words: a sort of thing that is kept for the watcher, of which it gets the newest with the key that
belongs to it, and the name of the material whose signature goes with that. The role `all-kept` names a sort of which it gets everything.
The role `subject` names subjects whose keys are handed over.

What a worker hands over is untrusted: names are checked, sizes are bounded, the oldest gives way.
"""

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from agent.supervision import WorkerSpec
from contracts.errors import HoldfastError, Malformed
from contracts.frames import PAGE_BYTES, Keep, Material
from contracts.record import Record
from settings.secret import read_secret

SUFFIXES: Mapping[str, str] = {"rules": ".rules"}
"""Which files of a folder are meant, by role; all of them where nothing is said."""
MAX_FILES = 4096
MAX_BYTES = 256 << 20
"""Of one file; a larger one is refused by name."""
LIMITS: Mapping[str, int] = {"list": 64 << 20, "reputation": 64 << 20, "categories": 1 << 20}
"""Of all files of a role together, where that is less."""
KEPT, ALL_KEPT = "kept", "all-kept"
SUBJECT = "subject"
SECRET = "secret"
KEY = "kept.key"
KEY_BYTES = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,119}")


class Kept(Record):
    """One thing that was kept: its name, its size, and when it was written (Unix ms)."""

    name: str
    bytes: int
    at_ms: int


class _File(Record):
    """One file of a material, as `stat` has it; `problem` when it cannot be read."""

    role: str
    path: str
    mark: tuple[int, ...] = ()
    problem: str = ""


class Rows(Protocol):
    """The part of the state that is handed over."""

    def revision(self, subject: str) -> int:
        """Return the subject's revision."""

    def rows(self, subject: str) -> dict[str, bytes]:
        """Return its rows."""


class Handover:
    """A `agent.supervision.Holder` over the files of this machine, the stored subjects, and a folder of its own."""

    def __init__(self, folder: Path, state: Rows) -> None:
        self.lost = self.dropped = 0
        """Things that could not be written, and things that gave way to newer ones."""
        self._folder, self._state = folder, state
        self._coming: dict[tuple[str, str, str], int] = {}

    def hand_over(self, spec: WorkerSpec, watcher: str, name: str, have: str) -> Iterator[Material]:
        """Yield the pieces of a material, or a single word when the watcher has it all already."""
        try:
            yield from self._material(spec, watcher, name, have)
        except OSError as error:  # a folder that goes while it is read, a full disk: never the core's end
            problem = f"{error.filename or name}: {(error.strerror or str(error)).lower()}"
            yield Material(watcher=watcher, name=name, signature="", role="trouble", path=name, problem=problem)
            yield Material(watcher=watcher, name=name, signature="", last=True)

    def _material(self, spec: WorkerSpec, watcher: str, name: str, have: str) -> Iterator[Material]:
        roles = spec.materials[watcher][name]
        if KEPT in roles:
            what, of = roles[KEPT]
            yield from self._hand_back(watcher, name, what, signature(spec.materials[watcher].get(of, {})))
            return
        if ALL_KEPT in roles:
            yield from self._hand_all_back(watcher, name, roles[ALL_KEPT])
            return
        files = list(_files(roles))
        mark = self._revisions(roles) if SUBJECT in roles else _signature(files)
        blank = Material(watcher=watcher, name=name, signature=mark)
        if mark == have:
            yield replace(blank, unchanged=True, last=True)
            return
        for subject in roles.get(SUBJECT, ()):
            keys = "\n".join(self._state.rows(subject)).encode("utf-8", "replace")
            yield replace(blank, role=SUBJECT, path=subject, data=keys[:PAGE_BYTES])
        for file in files:
            yield from _pieces(file, replace(blank, role=file.role, path=file.path))
        yield replace(blank, last=True)

    def _revisions(self, roles: Mapping[str, tuple[str, ...]]) -> str:
        return " ".join(f"{subject} {self._state.revision(subject)}" for subject in roles[SUBJECT])

    def keep(self, spec: WorkerSpec, piece: Keep) -> None:
        """Take a piece; raises `Malformed` for what this watcher may not have kept."""
        bounds = spec.keeps.get(piece.watcher, {}).get(piece.what)
        if bounds is None or not _NAME.fullmatch(piece.name):
            raise Malformed(f"a thing to keep that nobody agreed to: {piece.what[:40]!r} {piece.name[:40]!r}")
        key = (piece.watcher, piece.what, piece.name)
        if len(self._coming) > 1 and key not in self._coming:
            raise Malformed("pieces of many things to keep at once")
        size = self._coming.get(key, 0)
        self._coming[key] = size + len(piece.data) if size >= 0 else -1
        if self._coming[key] > bounds[0]:
            self._drop(key)
            raise Malformed(f"{piece.what} {piece.name} is larger than {bounds[0]} bytes")
        if size >= 0 and not self._write(piece, begin=not size):
            self._coming[key] = -1
        if piece.last:
            whole = self._coming.pop(key) >= 0
            if not whole or not self._close(piece, bounds[1]):
                self.lost += 1

    def forget(self, spec: WorkerSpec) -> None:
        """Drop what came halfway: the worker has ended."""
        for key in [key for key in self._coming if key[0] in spec.watchers]:
            self._drop(key)

    def listed(self, watcher: str, what: str) -> list[Kept]:
        """Return what is kept of one sort, oldest first."""
        folder = self._place(watcher, what)
        found = []
        with contextlib.suppress(OSError):  # what goes meanwhile is not listed
            for path in folder.iterdir() if folder.is_dir() else ():
                if _NAME.fullmatch(path.name) and not path.name.endswith(".part"):
                    status = path.stat()
                    found.append(Kept(name=path.name, bytes=status.st_size, at_ms=status.st_mtime_ns // 1_000_000))
        return sorted(found, key=lambda one: (one.at_ms, one.name))

    def content(self, watcher: str, what: str, name: str) -> bytes | None:
        """Return one thing that is kept, None when there is none of the name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._place(watcher, what) / name).read_bytes()
        except FileNotFoundError:
            return None

    def _place(self, watcher: str, what: str) -> Path:
        return self._folder / watcher / what

    def _part(self, watcher: str, what: str, name: str) -> Path:
        return self._place(watcher, what) / f"{name}.part"

    def _drop(self, key: tuple[str, str, str]) -> None:
        """Forget a thing that came halfway."""
        self._coming.pop(key, None)
        _unlink(self._part(*key))

    def _write(self, piece: Keep, begin: bool) -> bool:
        """Add a piece to the file that is under way; False where the disk does not take it, which ends that file."""
        part = self._part(piece.watcher, piece.what, piece.name)
        try:
            if begin:
                part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb" if begin else "ab") as file:
                file.write(piece.data)
        except OSError:
            _unlink(part)
            return False
        return True

    def _close(self, piece: Keep, total: int) -> bool:
        """Put a whole file in its place, then let the oldest go until all together are within `total`; False where the disk does not."""
        folder = self._place(piece.watcher, piece.what)
        part = self._part(piece.watcher, piece.what, piece.name)
        try:
            part.replace(folder / piece.name)
        except OSError:
            _unlink(part)
            return False
        kept = self.listed(piece.watcher, piece.what)
        size = sum(one.bytes for one in kept)
        for one in kept[:-1]:
            if size <= total:
                break
            _unlink(folder / one.name)
            size -= one.bytes
            self.dropped += 1
        return True

    def _hand_back(self, watcher: str, name: str, what: str, mark: str) -> Iterator[Material]:
        yield Material(watcher=watcher, name=name, signature=mark, role="key", path=KEY, data=self._key())
        kept = self.listed(watcher, what)
        if kept:
            file = _File(role=KEPT, path=str(self._place(watcher, what) / kept[-1].name))
            yield from _pieces(
                file, Material(watcher=watcher, name=name, signature=mark, role=KEPT, path=kept[-1].name)
            )
        yield Material(watcher=watcher, name=name, signature=mark, last=True)

    def _hand_all_back(self, watcher: str, name: str, sorts: tuple[str, ...]) -> Iterator[Material]:
        blank = Material(watcher=watcher, name=name, signature="", role=KEPT)
        for what in sorts:
            for one in self.listed(watcher, what):
                file = _File(role=KEPT, path=str(self._place(watcher, what) / one.name))
                yield from _pieces(file, replace(blank, path=one.name))
        yield replace(blank, role="", last=True)

    def _key(self) -> bytes:
        """Return the key by which a worker knows again what it handed over; made at the first need."""
        path = self._folder / KEY
        try:
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
        except FileNotFoundError:
            pass
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = secrets.token_bytes(KEY_BYTES)
        path.unlink(missing_ok=True)
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(key)
        return key


def _unlink(path: Path) -> None:
    """Remove a file, if it is there and the disk lets it: it is overwritten or counted another time."""
    with contextlib.suppress(OSError):
        path.unlink()


def signature(roles: Mapping[str, tuple[str, ...]]) -> str:
    """Return what names the present state of all files of a material."""
    return _signature(list(_files(roles)))


def _signature(files: list[_File]) -> str:
    text = repr([(file.role, file.path, file.mark, file.problem) for file in files])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _files(roles: Mapping[str, tuple[str, ...]]) -> Iterator[_File]:
    """Yield the files of a material in the order of the configuration, those of a folder by name."""
    count = 0
    for role, paths in roles.items():
        left = LIMITS.get(role, -1)
        for path in paths if role != SUBJECT else ():
            for file in _secret(role, path) if role.startswith(SECRET) else _under(role, path):
                count += 1
                if count > MAX_FILES:
                    yield _File(role=role, path=path, problem=f"more than {MAX_FILES} files are named")
                    return
                if left >= 0 and file.mark and not file.problem:
                    left -= file.mark[2]
                    if left < 0:
                        most = LIMITS[role] >> 20
                        problem = f"the files of this sort are larger than {most} MiB together; this one was not read"
                        yield replace(file, problem=problem)
                        left += file.mark[2]
                        continue
                yield file


def _secret(role: str, reference: str) -> Iterator[_File]:
    try:
        status = Path(reference.partition(":")[2]).stat()
        yield _File(role=role, path=reference, mark=_mark(status))
    except OSError:
        yield _File(role=role, path=reference)  # what is wrong with it is said when it is read


def _under(role: str, path: str) -> Iterator[_File]:
    try:
        status = Path(path).stat()
        if not stat.S_ISDIR(status.st_mode):
            yield _File(role=role, path=path, mark=_mark(status), problem=_unfit(status))
            return
        suffix = SUFFIXES.get(role, "")
        found = sorted(one for one in Path(path).iterdir() if one.name.endswith(suffix) and one.is_file())
        if not found:
            yield _File(
                role=role,
                path=path,
                problem="no file is in this folder" + (f" that ends with {suffix}" if suffix else ""),
            )
        for one in found:
            status = one.stat()
            yield _File(role=role, path=str(one), mark=_mark(status), problem=_unfit(status))
    except OSError as error:
        yield _File(role=role, path=path, problem=(error.strerror or str(error)).lower())


def _unfit(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    return f"it is larger than {MAX_BYTES >> 20} MiB" if status.st_size > MAX_BYTES else ""


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _pieces(file: _File, blank: Material) -> Iterator[Material]:
    """Yield one file in pieces, or its problem."""
    if file.problem:
        yield replace(blank, problem=file.problem)
        return
    try:
        if file.role.startswith(SECRET):
            yield replace(blank, data=read_secret(file.path).encode())
            return
        with open(file.path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            left = MAX_BYTES
            while left > 0 and (data := stream.read(min(left, PAGE_BYTES))):
                left -= len(data)
                yield replace(blank, data=data)
            if left == MAX_BYTES:
                yield blank
    except OSError as error:
        yield replace(blank, problem=(error.strerror or str(error)).lower())
    except HoldfastError as error:
        yield replace(blank, problem=str(error))
