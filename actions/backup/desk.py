"""Desk: what a person at the command line asks of a repository, without the agent."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from actions.backup.backup import chosen
from actions.backup.errors import AlreadyRepository
from actions.backup.options import BackupOptions, JobOptions, password_of
from actions.backup.passwords import new_password, path_of, read_password
from actions.backup.places import open_place
from actions.backup.repository import Repository
from actions.backup.restorer import Restored, Restorer, find_tree
from actions.backup.selection import Selection, find_snapshot, select
from actions.backup.snapshot import Snapshot
from contracts.errors import UsageError
from contracts.host import Files


class Made(NamedTuple):
    """A new repository; `made` says whether its password in `file` is new, too."""

    desk: "Desk"
    password: str
    file: str
    made: bool


class Desk:
    """One opened repository. Locks are taken by the methods that need one."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    @staticmethod
    def chosen(options: BackupOptions, name: str) -> tuple[str, JobOptions]:
        """The job called `name`, or the only one; UsageError."""
        return chosen(options, name)

    @staticmethod
    def password_of(name: str, job: JobOptions, files: Files) -> str:
        """The password of a job's repository; Unavailable when it cannot be read."""
        return read_password(files, password_of(name, job))

    @classmethod
    def open(cls, location: str, password: str) -> "Desk":
        """Open the repository at `location`: NoRepository, WrongPassword, Damaged, Unsupported or an error of the store."""
        return cls(Repository.open(open_place(location), password))

    @classmethod
    def create_for(cls, name: str, job: JobOptions, owner: tuple[int, int] | None) -> "Made":
        """Make the empty repository of a job for `owner` (uid, gid) to use, and its password where none is there.

        The password's file belongs to whoever calls this; it is removed again when there is no repository to go with it.
        """
        path = Path(path_of(password_of(name, job)))
        password, made = (_read(path), False) if path.exists() else (new_password(), True)
        if made:
            _write_password(path, password)
        local = job.repository.startswith("/")
        try:
            if local:
                _make_folder(Path(job.repository))
            repository = Repository.create(open_place(job.repository), password)
            if owner is not None and local:
                _give(Path(job.repository), owner)
        except BaseException:
            if made:
                path.unlink(missing_ok=True)
            raise
        return Made(cls(repository), password, str(path), made)

    def snapshots(
        self, hosts: Sequence[str] = (), tags: Sequence[str] = (), paths: Sequence[str] = ()
    ) -> list[tuple[str, Snapshot]]:
        """Snapshots by id, the oldest first: of one of the hosts, with one of the tag lists (`a,b`: both), with all the paths."""
        return select(self.repository, _selection(hosts, tags, paths))

    def restore(
        self,
        word: str,
        target: str,
        *,
        hosts: Sequence[str] = (),
        tags: Sequence[str] = (),
        paths: Sequence[str] = (),
        verify: bool = False,
    ) -> tuple[str, Restored]:
        """Restore the snapshot that `word` names (`ID:FOLDER` for a folder of it) as the directory `target`; returns its id."""
        word, _, folder = word.partition(":")
        with self.repository.lock():
            id, snapshot = find_snapshot(self.repository, word, _selection(hosts, tags, paths))
            self.repository.load_index()
            tree = find_tree(self.repository, snapshot.tree, folder) if folder else snapshot.tree
            return id, Restorer(self.repository, verify=verify).restore(tree, target)


def _selection(hosts: Sequence[str], tags: Sequence[str], paths: Sequence[str]) -> Selection:
    return Selection(tuple(hosts), tuple(tuple(tag for tag in entry.split(",") if tag) for entry in tags), tuple(paths))


def _read(path: Path) -> str:
    password = path.read_text().rstrip("\r\n")
    if not password:
        raise UsageError(f"{path} holds no password: it is empty", advice="remove it, or write a password into it")
    return password


def _write_password(path: Path, password: str) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
        file.flush()
        os.fsync(descriptor)


def _make_folder(path: Path) -> None:
    """Make the repository's own directory, for its maker alone until it is given away."""
    if path.is_dir():
        if any(path.iterdir()):
            raise AlreadyRepository(f"{path} is not empty", advice="choose another place, or use what is there")
    else:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=0o700)


def _give(path: Path, owner: tuple[int, int]) -> None:
    """Give a repository that was just made to its user, from below, so that he enters nothing before all of it is his."""
    if os.geteuid() != 0:
        return
    for folder, names, files in os.walk(path, topdown=False):
        for name in (*names, *files):
            os.chown(Path(folder) / name, *owner, follow_symlinks=False)
    os.chown(path, *owner, follow_symlinks=False)
