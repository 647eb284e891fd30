"""Desk: what a person at the command line asks of a repository, without the agent."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from actions.backup.backup import chosen
from actions.backup.databases.reach import Reach, reaches
from actions.backup.errors import AlreadyRepository, Damaged
from actions.backup.filters import choices
from actions.backup.full_step import RECORDS, FullRecord, missed, newest_of_all, note, prove_everything, record_of
from actions.backup.job import own_folders
from actions.backup.keeping import Keeping
from actions.backup.key_reminder import STATES
from actions.backup.looking import Looking, selection
from actions.backup.memory import recall
from actions.backup.options import BackupOptions, JobOptions, beside_password, password_of
from actions.backup.passwords import new_password, path_of, read_password
from actions.backup.places import open_place, sftp_target
from actions.backup.repository import Repository
from actions.backup.restore_preview import Preview, preview
from actions.backup.restorer import Overwrite, Restored, Restorer, find_tree
from actions.backup.selection import Selection, find_snapshot
from actions.backup.sheet_facts import host_facts
from actions.backup.sheet_saving import kept_sheet, make_sheet
from actions.backup.stores.sftp_target import MAKE_KEY
from actions.backup.tripwire.canaries import plant
from actions.backup.walking import Target, steps
from actions.backup.write_once import WriteOnce, restore_commands, server_side
from analysis.excludes import Excludes
from contracts.errors import UsageError
from contracts.host import Files, Host


class Made(NamedTuple):
    """A new repository; `made` says whether its password in `file` is new, too."""

    desk: "Desk"
    password: str
    file: str
    made: bool


class Desk(Looking, Keeping):
    """One opened repository. Locks are taken by the methods that need one; for one that is held `wait_s` is waited."""

    def __init__(self, repository: Repository, wait_s: float = 0.0) -> None:
        self.repository = repository
        self.wait_s = wait_s
        self.passed_over = _refuse
        self.job = ""
        """The job whose repository it is, with its settings and the file that they stand in, where it was opened by one."""
        self.config: Path | None = None
        self.options: JobOptions | None = None

    def recovery_states(self, default: Path) -> Path:
        """The file that says which recovery keys were proved: beside the job's password, else `default`."""
        return Path(beside_password(self.job, self.options, STATES)) if self.options is not None else default

    @staticmethod
    def chosen(options: BackupOptions, name: str) -> tuple[str, JobOptions]:
        """The job called `name`, or the only one; UsageError."""
        return chosen(options, name)

    @staticmethod
    def selection(hosts: Sequence[str], tags: Sequence[str], paths: Sequence[str]) -> Selection:
        """Snapshots of one of the hosts, with one of the tag lists (`a,b`: both), with all the paths."""
        return selection(hosts, tags, paths)

    @staticmethod
    def password_of(name: str, job: JobOptions, files: Files) -> str:
        """The password of a job's repository; Unavailable when it cannot be read."""
        return read_password(files, password_of(name, job))

    @staticmethod
    def plant_canaries(folder: str) -> list[str]:
        """Write canaries into a directory; returns their paths."""
        return plant(folder)

    @classmethod
    def open(cls, location: str, password: str, job: JobOptions | None = None, wait_s: float = 0.0) -> "Desk":
        """Open the repository at `location`: NoRepository, WrongPassword, Damaged, Unsupported or an error of the store."""
        store = open_place(location, job.ssh if job is not None else None)
        return cls(Repository.open(store, password), wait_s)

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
            repository = Repository.create(open_place(job.repository, job.ssh), password)
            if owner is not None and local:
                _give(Path(job.repository), owner)
        except BaseException:
            if made:
                path.unlink(missing_ok=True)
            raise
        return Made(cls(repository), password, str(path), made)

    @staticmethod
    def write_once(name: str, job: JobOptions, base: str) -> Iterator[str]:
        """For each copy of a job, what its server needs to become write-once, and how to restore from there; UsageError without copies."""
        if not job.replicas:
            raise UsageError(f"the job {name} has no copies", advice="add one under replicas in its settings")
        for replica in job.replicas:
            target = sftp_target(replica.target, replica.ssh)
            public = Path(f"{target.key_file}.pub")
            if not public.is_file():
                raise UsageError(f"{public} is not there", advice=f"{MAKE_KEY} {target.key_file}")
            made = WriteOnce(target.user, f"{base}/{target.user}", public.read_text().strip(), target.path.strip("/"))
            yield server_side(made)
            yield restore_commands(made, target.host, target.port)

    def restore(
        self,
        word: str,
        target: str,
        *,
        chosen: Selection,
        paths: Sequence[str] = (),
        excludes: Sequence[str] = (),
        overwrite: str = Overwrite.ALWAYS,
        verify: bool = False,
        locked: bool = True,
        pulse: Callable[[Restored], None] = lambda _: None,
    ) -> tuple[str, Restored]:
        """Restore the snapshot that `word` names (`ID:FOLDER` for a folder of it), or `paths` of it, as the directory `target`."""
        with self.repository.lock(wait_s=self.wait_s) if locked else nullcontext():
            id, tree, wanted = self._meant(word, chosen, paths)
            restorer = Restorer(
                self.repository,
                verify=verify,
                overwrite=Overwrite(overwrite),
                excluded=_excluded(excludes),
                pulse=pulse,
            )
            return id, restorer.restore(tree, target, wanted)

    def preview(
        self,
        word: str,
        target: str,
        *,
        chosen: Selection,
        paths: Sequence[str] = (),
        excludes: Sequence[str] = (),
        overwrite: str = Overwrite.ALWAYS,
        verify: bool = False,
    ) -> tuple[str, Preview]:
        """What restoring would do at `target`, without touching it."""
        id, tree, wanted = self._meant(word, chosen, paths)
        out, how = _excluded(excludes), Overwrite(overwrite)
        return id, preview(self.repository, tree, target, wanted, overwrite=how, excluded=out, verify=verify)

    def _meant(self, word: str, chosen: Selection, paths: Sequence[str]) -> tuple[str, str, Target | None]:
        """The snapshot, the tree and the steps that are meant; loads the index."""
        word, _, folder = word.partition(":")
        id, snapshot = find_snapshot(self.repository, word, chosen, trouble=self.passed_over)
        self.read_index()
        tree = find_tree(self.repository, snapshot.tree, folder) if folder else snapshot.tree
        return id, tree, steps([os.fsencode(os.path.normpath(f"/{path}")) for path in paths]) if paths else None

    def prove_full(
        self, name: str, job: JobOptions, hostname: str, scratch: str, files: Files, tell: Callable[[str], None]
    ) -> tuple[FullRecord, list[tuple[str, float, float]], list[str]]:
        """Restore everything that is newest of a job into `scratch`, here and as whoever this is, and note it for the agent where root did.

        Returns what came of it, the declared targets it missed (name, measured, declared), and what this user could not prove.
        """
        proof = prove_everything(
            job.proof.full,
            self.repository,
            newest_of_all(self.repository, hostname, name),
            scratch,
            tell,
            hostname=hostname,
            job=name,
            choices=choices(job, files, os.environ, own_folders(self.repository.store)),
        )
        record = record_of(proof)
        if proof.privileged:
            note(files, beside_password(name, job, RECORDS), f"{self.repository.config.id}/{name}", record)
        left = [] if proof.privileged else ["owners, device nodes, setuid bits: run it as root"]
        return record, list(missed(record, job.proof.full)), left

    def sheet(self, name: str, job: JobOptions, host: Host, target: str) -> str:
        """The recovery sheet of a job as of now."""
        self.repository.load_index()
        states = beside_password(name, job, STATES)
        return make_sheet(self.repository, name, job, host_facts(host), host.files, states, recall(host, name), target)

    def kept_sheet(self, chosen: Selection) -> str:
        """The newest recovery sheet in the repository; NoSuchEntry."""
        self.read_index()
        return kept_sheet(self.repository, chosen)

    @staticmethod
    def sources(job: JobOptions, host: Host, user: str) -> Iterator[Reach]:
        """What each database of a job asks of its server, and what its role cannot read; the tools run as `user` unless told else."""
        return reaches(job.databases, host, user)


def _excluded(patterns: Sequence[str]) -> Callable[[bytes], bool]:
    filter = Excludes(tuple(patterns))
    return lambda path: bool(filter) and filter.match(os.fsdecode(path))


def _refuse(error: Damaged) -> None:
    raise error


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
