"""The vault: where files in quarantine lie, out of everybody's reach, and what is known of each.

A file is moved by one rename, which stays on its mount: so beside the vault in this worker's folder there is one at the root of every
other mount from which something was taken. Each is a folder that only this worker's user may enter; the files keep their owner and lose
every permission.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError
from contracts.host import Host
from contracts.record import Record
from contracts.text import escape, unescape

FOLDER = "quarantine"
ELSEWHERE = b".holdfast-quarantine"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SUFFIX = ".json"


class NotMoved(HoldfastError):
    """A file could not be moved; it is where it was."""


class Kept(Record):
    """What is known of a file in quarantine. Paths in `contracts.text.escape` form, times in Unix ms; `mode` are its permissions."""

    entry: str
    path: str
    vault: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    device: int
    inode: int
    links: int
    sha256: str = ""
    signature: str = ""
    package: str = ""
    who: str = ""
    at_ms: int = 0


class Vault:
    """The files in quarantine, and the way there and back."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._home = Path(host.state, FOLDER)
        self._home.mkdir(mode=0o700, exist_ok=True)

    def kept(self) -> list[Kept]:
        """Everything in quarantine, the oldest first; a note that does not read is left out here and named by `unreadable`."""
        return sorted(
            (each for _, each in self._notes() if each is not None), key=lambda each: (each.at_ms, each.entry)
        )

    def unreadable(self) -> list[str]:
        """Names of notes that do not read."""
        return [path.name for path, each in self._notes() if each is None]

    def _notes(self) -> Iterator[tuple[Path, Kept | None]]:
        for path in self._home.glob(f"*{_SUFFIX}"):
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=Kept)
            except (OSError, *UNDECODABLE):
                yield path, None

    def find(self, entry: str) -> Kept:
        """Return one by its name; NotMoved when there is none."""
        for each in self.kept():
            if each.entry == entry:
                return each
        raise NotMoved(
            f'there is nothing called "{entry}" in quarantine', advice="see `holdfast antivirus quarantine list`"
        )

    def take(self, path: bytes, expected: tuple[int, int] | None, note: Kept) -> Kept:
        """Move the regular file at `path` here. `expected` is the device and inode that were scanned, None for whatever is there.

        Raises `NotMoved`, and then everything is as it was.
        """
        parent, _, name = path.rpartition(b"/")
        folder = self._folder(parent or b"/")
        pinned = -1
        try:
            # As long as it is open its inode number is nobody else's, however files are exchanged meanwhile.
            pinned = _pinned(folder, name, path)
            found = os.fstat(pinned)
            if expected is not None and (found.st_dev, found.st_ino) != expected:
                raise NotMoved(f"{escape(path)} is another file now than was scanned", advice="scan it again")
            return self._move(folder, name, path, found, note)
        finally:
            os.close(folder)
            if pinned >= 0:
                os.close(pinned)

    def _move(self, folder: int, name: bytes, path: bytes, found: os.stat_result, note: Kept) -> Kept:
        trouble: OSError | None = None
        for place in self._places(folder, found.st_dev):
            try:
                vault = self._enter(place)
            except OSError as error:
                trouble = error
                continue
            try:
                kept = msgspec.structs.replace(
                    note,
                    entry=secrets.token_hex(8),
                    path=escape(path),
                    vault=escape(place),
                    mode=stat.S_IMODE(found.st_mode),
                    uid=found.st_uid,
                    gid=found.st_gid,
                    size=found.st_size,
                    mtime_ns=found.st_mtime_ns,
                    device=found.st_dev,
                    inode=found.st_ino,
                    links=found.st_nlink,
                )
                self._write(kept)
                try:
                    self._rename(folder, name, vault, kept)
                except BaseException as error:
                    self._undo(folder, name, vault, kept, error)
                    raise
                return kept
            except OSError as error:
                trouble = error
            finally:
                os.close(vault)
        said = "no place on its file system"
        if trouble is not None:
            said = trouble.strerror or str(trouble)
            said = said if trouble.errno == errno.EPERM else said.lower()  # ours, with a path in it
        raise NotMoved(f"{escape(path)} cannot be moved: {said}", advice=f"{_advice(trouble)}, or remove it by hand")

    def _rename(self, folder: int, name: bytes, vault: int, kept: Kept) -> None:
        """Rename, look whether it was the file that was meant, and close it to everybody."""
        entry = kept.entry.encode()
        os.rename(name, entry, src_dir_fd=folder, dst_dir_fd=vault)
        moved = os.stat(entry, dir_fd=vault, follow_symlinks=False)
        if (moved.st_dev, moved.st_ino) != (kept.device, kept.inode):
            raise NotMoved(
                f"{kept.path} was exchanged while it was moved; it is back in its place", advice="scan it again"
            )
        os.chmod(entry, 0, dir_fd=vault)
        for each in (vault, folder):
            _durable(each)

    def _undo(self, folder: int, name: bytes, vault: int, kept: Kept, error: BaseException) -> None:
        """Put a file back whose move did not come to its end; one that cannot be keeps its note, else nobody would find it again."""
        entry = kept.entry.encode()
        try:
            found = os.stat(entry, dir_fd=vault, follow_symlinks=False)
        except FileNotFoundError:
            self._forget(kept)  # it was never moved
            return
        is_meant = (found.st_dev, found.st_ino) == (kept.device, kept.inode)
        try:
            if is_meant and found.st_mode & 0o7777 != kept.mode:
                os.chmod(entry, kept.mode, dir_fd=vault)
            os.link(entry, name, src_dir_fd=vault, dst_dir_fd=folder, follow_symlinks=False)
        except OSError:  # somebody has put another one there, or this file system has no second names
            if not stat.S_ISREG(found.st_mode):
                self._forget(kept)  # a link that somebody put there for a moment: it holds nothing that could be missed
                return
            mode = kept.mode if is_meant else stat.S_IMODE(found.st_mode)
            now = {"device": found.st_dev, "inode": found.st_ino, "size": found.st_size, "mtime_ns": found.st_mtime_ns}
            self._write(msgspec.structs.replace(kept, mode=mode, uid=found.st_uid, gid=found.st_gid, **now))
            raise NotMoved(
                f"the move of {kept.path} did not come to its end; what stood there is in quarantine as {kept.entry}",
                advice=f"see `holdfast antivirus quarantine list`, and restore {kept.entry} if it is not malicious",
            ) from error
        os.unlink(entry, dir_fd=vault)
        self._forget(kept)

    def restore(self, kept: Kept, to: bytes) -> None:
        """Bring a file back as it was, never over another one; permissions that lend rights (setuid, setgid) do not come back."""
        parent, _, name = to.rpartition(b"/")
        folder, vault = self._folder(parent or b"/"), self._opened(kept)
        try:
            # Before it has its name back: nobody else reaches it here, and should this fail nothing has changed.
            is_file = stat.S_ISREG(os.stat(kept.entry, dir_fd=vault, follow_symlinks=False).st_mode)
            if is_file:  # what was exchanged in the midst of a move may be a link
                os.chmod(kept.entry, kept.mode & 0o1777, dir_fd=vault)
            try:
                os.link(kept.entry, name, src_dir_fd=vault, dst_dir_fd=folder, follow_symlinks=False)
            except OSError:
                if is_file:
                    os.chmod(kept.entry, 0, dir_fd=vault)
                raise
            os.unlink(kept.entry, dir_fd=vault)
            _durable(folder)
        except FileExistsError as error:
            raise NotMoved(f"{escape(to)} exists", advice="restore it to another place with --to") from error
        except FileNotFoundError as error:
            raise NotMoved(
                f"the file {kept.entry} is not in the quarantine {kept.vault}: it never came there, or was removed",
                advice=f"forget it with `holdfast antivirus quarantine delete {kept.entry}`",
            ) from error
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            raise NotMoved(
                f"{escape(to)}: {what}", advice="restore it to a folder on its own mount with --to"
            ) from error
        finally:
            os.close(folder)
            os.close(vault)
        self._forget(kept)

    def delete(self, kept: Kept) -> None:
        """Delete a file for good."""
        vault = self._opened(kept)
        try:
            with contextlib.suppress(FileNotFoundError):  # a crash between note and rename left a note alone
                os.unlink(kept.entry, dir_fd=vault)
        finally:
            os.close(vault)
        self._forget(kept)

    def _places(self, folder: int, device: int) -> Iterator[bytes]:
        """Where a file of this folder may be moved to: here, else the root of the mount that the folder lies on."""
        if self._home.stat().st_dev == device:
            yield os.fsencode(self._home)
        mount = _mount_of(self._host, folder)
        if mount:
            yield mount.rstrip(b"/") + b"/" + ELSEWHERE

    def _enter(self, place: bytes) -> int:
        """Return a descriptor of a vault, made where it is not there; OSError for one that is not wholly this worker's."""
        with contextlib.suppress(FileExistsError):
            Path(os.fsdecode(place)).mkdir(0o700)
        vault = os.open(place, _OPEN)
        found = os.fstat(vault)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            os.close(vault)
            who = f"it belongs to user {found.st_uid}, with mode {stat.S_IMODE(found.st_mode):04o}"
            raise PermissionError(errno.EPERM, f"{escape(place)} is not this worker's alone: {who}", escape(place))
        return vault

    def _opened(self, kept: Kept) -> int:
        try:
            return os.open(unescape(kept.vault), _OPEN)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise NotMoved(f"the quarantine {kept.vault} cannot be opened: {said}", advice="mount it again") from error

    def _folder(self, path: bytes) -> int:
        try:
            return self._host.openings.folder(path)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise NotMoved(
                f"{escape(path)}: {said} (links are not followed)", advice="name the file by its real path"
            ) from error

    def _write(self, kept: Kept) -> None:
        self._host.write(str(self._home / f"{kept.entry}{_SUFFIX}"), msgspec.json.encode(kept))

    def _forget(self, kept: Kept) -> None:
        (self._home / f"{kept.entry}{_SUFFIX}").unlink(missing_ok=True)


def _durable(folder: int) -> None:
    """Have a folder's names written; some file systems know no such thing."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _advice(trouble: OSError | None) -> str:
    """What would do where nothing could be moved."""
    number = trouble.errno if trouble is not None else 0
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "make room on its file system"
    if number == errno.EPERM and trouble is not None and trouble.filename:
        return f"look at who made {trouble.filename} and move it away"
    return "remount it writable"


def _pinned(folder: int, name: bytes, path: bytes) -> int:
    """Return a descriptor of a regular file that is opened neither for reading nor for writing."""
    try:
        pinned = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise NotMoved(f"{escape(path)}: {(error.strerror or str(error)).lower()}") from error
    if not stat.S_ISREG(os.fstat(pinned).st_mode):
        os.close(pinned)
        raise NotMoved(f"{escape(path)} is no regular file", advice="name the file itself")
    return pinned


def _mount_of(host: Host, folder: int) -> bytes:
    """The mount point below which an open folder lies, by the kernel's number of it (`proc(5)`: fdinfo, mountinfo)."""
    wanted = ""
    for line in host.files.read(f"/proc/thread-self/fdinfo/{folder}", 4096).decode().splitlines():
        if line.startswith("mnt_id:"):
            wanted = line.split()[1]
    for mount in host.files.read("/proc/thread-self/mountinfo", 16 << 20).splitlines():
        fields = mount.split(b" ")
        if fields[0].decode() == wanted:
            return fields[4].decode("unicode_escape").encode("latin-1")
    return b""
