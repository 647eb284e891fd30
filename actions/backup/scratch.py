"""Scratch: room for proofs: a private folder that is emptied whatever was restored into it, and how much fits."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "holdfast-full-"


@contextmanager
def private_folder(parent: str) -> Iterator[str]:
    """A new folder in `parent` that nobody else enters, gone with all that is in it at the end."""
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    try:
        yield folder
    finally:
        wipe(folder)


def left_over(parent: str) -> list[str]:
    """Folders in `parent` that a killed proof of this user left."""
    try:
        entries = [path for path in Path(parent).iterdir() if path.name.startswith(PREFIX)]
    except OSError:
        return []
    found = []
    for path in entries:
        with suppress(OSError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                found.append(str(path))
    return found


def wipe(folder: str) -> None:
    """Remove a private folder and all below it, whatever its modes and however deep it is; OSError names what cannot be removed.

    Directories are moved to its top before they are entered, so that no path becomes long and nothing is recursive.
    """
    top = os.fsencode(folder)
    token = secrets.token_hex(8).encode()
    waiting, number = [top], 0
    while waiting:
        directory = waiting.pop()
        os.chmod(directory, 0o700)  # noqa: PTH101 (a path of bytes)
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in found:
            place = b"%s/%s" % (directory, name)
            if not is_directory:
                os.unlink(place)  # noqa: PTH108
                continue
            number += 1
            moved = b"%s/.%s-%d" % (top, token, number)
            os.chmod(place, 0o700)  # noqa: PTH101 (who is not root may move only what he may write)
            os.rename(place, moved)  # noqa: PTH104
            waiting.append(moved)
        if directory != top:
            os.rmdir(directory)  # noqa: PTH106
    os.rmdir(top)  # noqa: PTH106


def free_bytes(folder: str) -> int:
    """What this user may still write there."""
    return shutil.disk_usage(folder).free


def free_inodes(folder: str) -> int | None:
    """How many entries may still be made there; None where the file system does not count them."""
    status = os.statvfs(folder)
    return status.f_favail if status.f_files else None
