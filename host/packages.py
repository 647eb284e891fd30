"""Which package ships a file, from whatever package database this machine has; answers are kept until the database changes."""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from contracts.errors import Unavailable, Why
from contracts.host import Commands
from contracts.text import unescape
from host.dpkg import Dpkg

RPM_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
_FIX = "let this process read the package database"
_MOST_KEPT = 8192


class Database(Protocol):
    """A package database."""

    def version(self) -> int:
        """Return a number that changes with every installation; raises `Unavailable` where there is no database."""

    def owners(self, paths: Sequence[bytes]) -> Mapping[bytes, str]:
        """Return the package of each of `paths` that has one; raises `Unavailable`."""


class LinuxPackages:
    """`contracts.host.PackageIndex` for Linux: dpkg, else rpm."""

    def __init__(self, commands: Commands, database: Database | None = None) -> None:
        self._commands = commands
        self._database = database
        self._version = -1
        self._known: dict[str, str] = {}

    def owner(self, path: str) -> str:
        """Return the package that ships `path`, or "" when none does; raises `Unavailable` without a package database."""
        return self.owners([path])[path]

    def owners(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Return the same for many paths at once, in one pass over the database. Paths are in `contracts.text.escape` form."""
        if self._database is None:
            self._database = detect(self._commands)
        version = self._database.version()
        if version != self._version or len(self._known) > _MOST_KEPT:
            self._known.clear()
            self._version = version
        new = {unescape(path): path for path in paths if path not in self._known}
        if new:
            found = self._database.owners(list(new))
            self._known |= {path: found.get(raw, "") for raw, path in new.items()}
        return {path: self._known[path] for path in paths}


def detect(commands: Commands) -> Database:
    """Return this machine's package database; raises `Unavailable` when there is none."""
    if _is_folder("/var/lib/dpkg/info"):
        return Dpkg()
    folder = next(filter(_is_folder, RPM_FOLDERS), None)
    if folder is not None and commands.present("rpm"):
        return Rpm(commands, folder)
    if commands.present("dpkg-query"):
        raise Unavailable(Why.PERMISSION, "the package database /var/lib/dpkg/info cannot be seen", advice=_FIX)
    if commands.present("rpm"):
        raise Unavailable(Why.PERMISSION, "the package database of rpm cannot be seen", advice=_FIX)
    message = "this host has no package database that is known here (dpkg, rpm)"
    raise Unavailable(Why.NOT_PRESENT, message, advice="do without the names of packages")


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  # false, too, where it may not be known; pathlib raises then


class Rpm:
    """The database of rpm, asked through its own tool (rpm(8))."""

    _FORMAT = r"%{NAME}\n"

    def __init__(self, commands: Commands, folder: str) -> None:
        self._commands = commands
        self._folder = folder

    def version(self) -> int:
        """Return the latest time at which a file of the database was changed."""
        try:
            with os.scandir(self._folder) as entries:
                return max((entry.stat().st_mtime_ns for entry in entries), default=0)
        except OSError as error:
            raise Unavailable(Why.PERMISSION, f"{self._folder} may not be read", advice=_FIX) from error

    def owners(self, paths: Sequence[bytes]) -> Mapping[bytes, str]:
        """Return the package of each of `paths` that has one; a file that two packages ship goes to the first."""
        found = {}
        for path in paths:
            answer = self._commands.ask("rpm", "-qf", "--qf", self._FORMAT, os.fsdecode(path))
            if answer.code == 0 and answer.stdout:
                found[path] = answer.stdout.split(b"\n", 1)[0].decode("utf-8", "backslashreplace")
        return found
