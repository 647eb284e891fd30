"""Puts databases in place as freshclam would: whole, by a rename, owned as the folder is, and never an older one over a newer."""

import contextlib
import os
import re
import shutil
import stat

from actions.antivirus.freshclam_run import SIGNATURE, databases
from analysis.antivirus import cvd
from contracts.errors import HoldfastError, Malformed

_PART = re.compile(r"\.holdfast-[0-9]+\.part")
_CONTAINERS = ("cvd", "cld", "cud")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class NotPlaced(HoldfastError):
    """A database could not be put in place; what was there still is."""

    permanent = False


def place(source: str, target: str) -> list[str]:
    """Bring what is newer in `source` to `target`, and return the names; raises `NotPlaced`."""
    try:
        folder = os.open(target, _FOLDER)
    except OSError as error:
        raise NotPlaced(f"{target}: {(error.strerror or str(error)).lower()}") from error
    try:
        for name in os.listdir(folder):  # noqa: PTH208  # by its descriptor
            if _PART.fullmatch(name):  # of one that was killed
                os.unlink(name, dir_fd=folder)
        placed = [name for name in databases(source) if _newer(source, name, folder)]
        placed.sort(
            key=lambda name: SIGNATURE.fullmatch(name) is None
        )  # before what they sign, so that it is never without
        for name in placed:
            _put(f"{source}/{name}", name, folder)
            _drop_older(name, folder)
        return placed
    except OSError as error:
        what = f"{target}: {(error.strerror or str(error)).lower()}"
        raise NotPlaced(what, advice="check its owner, its rights and the room on the disk") from error
    finally:
        os.close(folder)


def _newer(source: str, name: str, folder: int) -> bool:
    """Whether a file is to be placed: a container by its version, its signature with it, another one when it differs."""
    signature = SIGNATURE.fullmatch(name)
    if signature is not None and not _signs(source, signature[1], signature[3], int(signature[2]), folder):
        return False
    ours = os.open(f"{source}/{name}", _FILE)
    try:
        if name.rpartition(".")[2] in _CONTAINERS:
            version = _version(ours)
            stem = name.rpartition(".")[0]
            return version > max(_version_in(folder, f"{stem}.{form}") for form in _CONTAINERS)
        return not _same(ours, name, folder)
    finally:
        os.close(ours)


def _signs(source: str, stem: str, form: str, version: int, folder: int) -> bool:
    """Whether a signature is that of the container it came with, and that one is in place or comes there."""
    beside = os.open(source, _FOLDER)
    try:
        ours, theirs = (
            _version_in(beside, f"{stem}.{form}"),
            max(_version_in(folder, f"{stem}.{each}") for each in _CONTAINERS),
        )
    finally:
        os.close(beside)
    return version == ours and theirs <= version


def _version_in(folder: int, name: str) -> int:
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return -1
    try:
        return _version(descriptor)
    finally:
        os.close(descriptor)


def _version(descriptor: int) -> int:
    """The version that a container says, -1 for one that is broken: anything whole is newer."""
    try:
        return cvd.parse(os.pread(descriptor, cvd.SIZE, 0)).version
    except Malformed:
        return -1


def _same(ours: int, name: str, folder: int) -> bool:
    try:
        theirs = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(ours).st_size != os.fstat(theirs).st_size:
            return False
        at = 0
        while piece := os.pread(ours, 1 << 20, at):
            if piece != os.pread(theirs, len(piece), at):
                return False
            at += len(piece)
        return True
    finally:
        os.close(theirs)


def _put(path: str, name: str, folder: int) -> None:
    """Write beside, give to the folder's owner, and rename: clamd never sees half of it."""
    owner = os.fstat(folder)
    part = f".holdfast-{os.getpid()}.part"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    descriptor = os.open(
        part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        with os.fdopen(os.open(path, _FILE), "rb") as reading, os.fdopen(descriptor, "wb", closefd=False) as writing:
            if not stat.S_ISREG(os.fstat(reading.fileno()).st_mode):
                raise OSError(0, f"{path} is no file")
            shutil.copyfileobj(reading, writing, 1 << 20)
        os.fchmod(descriptor, 0o644)
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fsync(descriptor)
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _drop_older(name: str, folder: int) -> None:
    """Remove the same database in another form, as freshclam does: clamd would load both."""
    stem, _, form = name.rpartition(".")
    if form not in _CONTAINERS:
        return
    version = _version_in(folder, name)
    for other in _CONTAINERS:
        if other != form and -1 < _version_in(folder, f"{stem}.{other}") <= version:
            os.unlink(f"{stem}.{other}", dir_fd=folder)
    for each in os.listdir(folder):  # signatures of versions that are no more
        signature = SIGNATURE.fullmatch(each)
        if signature is not None and signature[1] == stem and int(signature[2]) < version:
            os.unlink(each, dir_fd=folder)
