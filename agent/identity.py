"""The agent's id, key and certificate on disk.

`agent-id` is made at the first start and kept. What belongs together (key, certificate, the console's authority, where and until when)
lies in one numbered directory below `identity/`, and the link `current` names the valid one: renaming a link is atomic, so at every
moment there is either the old identity or the new one, whole. All files are readable by their owner alone.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

import msgspec

from agent.clock import Clock, Ids
from agent.sqlite_file import replace_file, sync_directory
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError
from contracts.record import Record

_AGENT = re.compile(r"[0-9a-f]{32}")
_KEY, _CERTIFICATE, _AUTHORITY, _ENROLLED = "key.pem", "certificate.pem", "authority.pem", "enrolled.json"


class IdentityBroken(HoldfastError):
    """The identity's files cannot be read or written."""

    exit_code = 74  # EX_IOERR


class Enrolment(Record):
    """Where and as whom this agent is enrolled; times in Unix ms."""

    agent: str
    url: str
    renew_after_ms: int
    enrolled_ms: int


class Credentials(Record):
    """One whole identity: paths that stay valid together until two renewals later."""

    directory: str
    enrolment: Enrolment
    key: str
    certificate: str
    authority: str


def enrolled_url(state: Path) -> str:
    """The address of the console that the agent of this state directory is enrolled at, "" for none. Makes nothing."""
    try:
        current = state / "identity" / (state / "identity" / "current").readlink()
        return msgspec.json.decode((current / _ENROLLED).read_bytes(), type=Enrolment).url
    except (OSError, *UNDECODABLE):
        return ""  # what is damaged there is told by `Identity`


class Identity:
    """The identity kept below the agent's state directory. Raises `IdentityBroken`."""

    def __init__(self, state: Path, clock: Clock) -> None:
        """Read the agent's id, or make it."""
        self.directory = state / "identity"
        self._state = state
        self._clock = clock
        try:
            self.agent = self._read_id() or self._make_id()
        except OSError as error:
            raise _broken(error, state) from error

    def credentials(self) -> Credentials | None:
        """Return the valid identity, None before the first enrolment."""
        try:
            return self._valid()
        except OSError as error:
            raise _broken(error, self.directory) from error
        except UNDECODABLE as error:
            reason = f"{self.directory / 'current' / _ENROLLED} is damaged"
            raise IdentityBroken(reason, advice="enrol this agent again") from error

    def _valid(self) -> Credentials | None:
        while name := self.current():
            found = self.directory / name
            try:
                enrolment = msgspec.json.decode((found / _ENROLLED).read_bytes(), type=Enrolment)
            except FileNotFoundError:
                if self.current() == name:
                    return None
                continue  # renewed twice since its name was read, and its files are gone: another is valid
            return Credentials(
                directory=name,
                enrolment=enrolment,
                key=str(found / _KEY),
                certificate=str(found / _CERTIFICATE),
                authority=str(found / _AUTHORITY),
            )
        return None

    def current(self) -> str:
        """Return what names the valid identity, "" before the first enrolment; changes whenever the identity does. Raises `OSError`."""
        try:
            return str((self.directory / "current").readlink())
        except FileNotFoundError:
            return ""

    def pending_key(self, purpose: str) -> bytes | None:
        """Return the key of a request whose answer never came."""
        try:
            return (self.directory / f"{purpose}.pending").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _broken(error, self.directory) from error

    def keep_pending(self, purpose: str, key: bytes) -> None:
        """Keep the key of a request before it is sent, so that a repeat of it has the same."""
        try:
            self._make_directory()
            replace_file(self.directory / f"{purpose}.pending", key)
            self._own(self.directory / f"{purpose}.pending")
        except OSError as error:
            raise _broken(error, self.directory) from error

    def forget_pending(self, purpose: str) -> None:
        """Drop the key of a request that can never succeed."""
        (self.directory / f"{purpose}.pending").unlink(missing_ok=True)

    def install(self, purpose: str, enrolment: Enrolment, key: bytes, certificate: bytes, authority: bytes) -> None:
        """Make this the valid identity, in one step, and drop the pending key of `purpose`."""
        try:
            self._make_directory()
            number = max(self._numbers(), default=0) + 1
            made = self.directory / str(number)
            made.mkdir(mode=0o700)
            self._own(made)
            contents = {
                _KEY: key,
                _CERTIFICATE: certificate,
                _AUTHORITY: authority,
                _ENROLLED: msgspec.json.encode(enrolment),
            }
            for name, content in contents.items():
                replace_file(made / name, content)
                self._own(made / name)
            self._point_to(number)
            self.forget_pending(purpose)
            for old in self._numbers():
                if old < number - 1:
                    shutil.rmtree(self.directory / str(old))
        except OSError as error:
            raise _broken(error, self.directory) from error

    def begin_anew(self) -> None:
        """Become another agent: drop key and certificate and make a new id."""
        try:
            if self.directory.is_dir():
                shutil.rmtree(self.directory)
            (self._state / "agent-id").unlink(missing_ok=True)
            self.agent = self._make_id()
        except OSError as error:
            raise _broken(error, self._state) from error

    def _point_to(self, number: int) -> None:
        link = self.directory / ".current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(str(number))
        self._own(link)
        link.rename(self.directory / "current")
        sync_directory(self.directory)

    def _numbers(self) -> list[int]:
        return [int(entry.name) for entry in self.directory.iterdir() if entry.name.isdecimal()]

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700)
            self._own(self.directory)
        if self.directory.stat().st_mode & 0o077:
            self.directory.chmod(0o700)

    def _own(self, path: Path) -> None:
        """Give the file to whom the state directory belongs: root enrols, the agent's user reads."""
        owner = self._state.stat()
        if os.geteuid() == 0 and path.lstat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _read_id(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            text = (self._state / "agent-id").read_text("ascii", errors="replace").strip()
            if _AGENT.fullmatch(text):
                return text
        return ""

    def _make_id(self) -> str:
        (name,) = Ids(self._clock).take(1)
        made = self._state / f".agent-id.{os.getpid()}"
        replace_file(made, f"{name}\n".encode())
        self._own(made)
        path = self._state / "agent-id"
        try:
            os.link(made, path)
        except FileExistsError:
            kept = self._read_id()  # another process was first, or the file is damaged
            if kept:
                made.unlink()
                return kept
            made.replace(path)
        else:
            made.unlink()
        sync_directory(self._state)
        return name


def _broken(error: OSError, where: Path) -> IdentityBroken:
    name = error.filename or where
    return IdentityBroken(
        f"{name}: {(error.strerror or str(error)).lower()}",
        advice=f"check that {where} exists, has space and belongs to the agent's user",
    )
