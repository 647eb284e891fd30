"""Who is behind a socket: out of all processes that hold it, the one that counts, with its package and whether its file can be trusted."""

import os
import stat
from collections.abc import Iterable, Mapping

from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Process, ReadOnlyHost, Sockets
from contracts.record import Record
from contracts.text import unescape

WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/memfd:")
"""Where anyone may put a program, by name; other places are found by their mode."""

_OTHERS_WRITE = 0o002


class Owner(Record):
    """The process behind a socket as a row states it.

    `replaced` when its file was deleted but another one has its name (an upgrade). `activated` when the service manager holds the socket
    and starts the service on demand: the socket stays its, whether the service runs or not; `served_by` are the services' executables then.
    """

    process: str = ""
    executable: str = ""
    deleted: bool = False
    replaced: bool = False
    writable_place: bool = False
    user: str = ""
    unit: str = ""
    package: str = ""
    container: str = ""
    known: bool = True
    activated: bool = False
    served_by: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Return what must not change unseen: user and executable. Empty for the service manager, which holds sockets for others."""
        return f"{self.user} {self.executable or self.process}" if self.process and not self.activated else ""

    def is_run_by(self, process: str) -> bool:
        """Say whether this is the program `process`, a name or an absolute path. What cannot be seen is not held against it."""
        if not self.known or (self.activated and not self.served_by):
            return True
        # A process may call itself what it likes; only where it runs no file does its own word count.
        files = self.served_by or (self.executable or self.process,)
        return any(process == (file if process.startswith("/") else file.rpartition("/")[2]) for file in files)


class Owners:
    """The owners of all sockets of one look, by the processes that hold them."""

    def __init__(self, host: ReadOnlyHost, found: Sockets) -> None:
        groups = {socket.pids for socket in found.sockets}
        described = host.processes.describe(sorted({pid for group in groups for pid in group}))
        holders = {group: _holders(group, described.by_pid) for group in groups}
        packages, blind = _packages(host, (processes[0] for processes in holders.values() if processes))
        places = _Places(host)
        self._unknown = Owner(known=False)
        nobody = Owner() if found.owners_seen else self._unknown
        self._by_group = {
            group: _owner(processes, packages, places) if processes else nobody for group, processes in holders.items()
        }
        self.blind: tuple[Blind, ...] = described.blind + blind
        self.replaced = {owner.executable: True for owner in self._by_group.values() if owner.replaced}
        """Executables that were deleted, but another file has their name now."""

    def of(self, pids: tuple[int, ...]) -> Owner:
        """Return the owner of a socket that `pids` hold."""
        return self._by_group.get(pids, self._unknown)


def _holders(group: tuple[int, ...], by_pid: Mapping[int, Process]) -> list[Process]:
    """Return the processes that hold a socket, the one that counts first.

    That is the service manager, if it is among them; else the one that began first: the others are its workers, or children that inherited
    the socket by accident.
    """
    seen = [by_pid[pid] for pid in group if pid in by_pid]
    return sorted(seen, key=lambda process: (not _is_manager(process), process.started_ms, process.pid))


def _is_manager(process: Process) -> bool:
    return process.pid == 1 and process.name == "systemd"


def _packages(host: ReadOnlyHost, processes: Iterable[Process]) -> tuple[Mapping[str, str], tuple[Blind, ...]]:
    """Return the packages of this host's executables; those in containers belong to other databases."""
    paths = sorted({process.executable for process in processes if _is_file_here(process)})
    try:
        return (host.packages.owners(paths) if paths else {}), ()
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:  # this host has no package database: nothing is hidden
            return {}, ()
        what = "the packages that own the executables"
        return {}, (Blind(what=what, why=error.why, detail=error.message, fix=error.advice),)


def _owner(holders: list[Process], packages: Mapping[str, str], places: "_Places") -> Owner:
    process, *others = holders
    is_here = _is_file_here(process)
    activated = _is_manager(process)
    unit = next((other.unit for other in others if other.unit), "") if activated else process.unit
    return Owner(
        process=process.name,
        executable=process.executable,
        deleted=process.deleted,
        replaced=process.deleted and is_here and places.exist(process.executable),
        writable_place=process.executable.startswith(WRITABLE) or (is_here and places.are_writable(process.executable)),
        user=process.user,
        unit=unit,
        package=packages.get(process.executable, "") if is_here else "",
        container=process.container,
        activated=activated,
        served_by=tuple(sorted({other.executable for other in others})) if activated else (),
    )


def _is_file_here(process: Process) -> bool:
    return process.executable.startswith("/") and not process.executable.startswith("/memfd:") and not process.container


class _Places:
    """Where executables lie, each place looked at once."""

    def __init__(self, host: ReadOnlyHost) -> None:
        self._host = host
        self._modes: dict[str, int | None] = {"": 0, "/": 0}

    def exist(self, path: str) -> bool:
        """Say whether there is something at `path`, as far as that may be known."""
        return self._mode(path) is not None

    def are_writable(self, path: str) -> bool:
        """Say whether anyone may write the file or a folder above it. What may not be looked at is not open to anyone."""
        while path not in ("", "/"):
            mode = self._mode(path) or 0
            if mode & _OTHERS_WRITE and not stat.S_ISLNK(mode):
                return True
            path = path.rpartition("/")[0]
        return False

    def _mode(self, path: str) -> int | None:
        """Return the mode of `path`, 0 where it may not be known, None where there is nothing."""
        if path not in self._modes:
            try:
                self._modes[path] = self._host.files.stat(os.fsdecode(unescape(path))).mode
            except Unavailable as error:
                self._modes[path] = None if error.why is Why.NOT_PRESENT else 0
        return self._modes[path]
