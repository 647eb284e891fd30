"""What must hold before the agent starts: its arguments, its directories, its lock, the way to its workers, its own privileges."""

import fcntl
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from agent import privileges
from agent.config import DEFAULT_PATH
from agent.privileges import WorkerPrivileges
from agent.sdnotify import Notifier
from contracts.errors import HoldfastError, UsageError
from contracts.record import Record


class CannotStart(HoldfastError):
    """A precondition of starting does not hold."""

    exit_code = 73  # EX_CANTCREAT


class Arguments(Record):
    """The command line of the daemon; what is not given is as the configuration says."""

    config: str = str(DEFAULT_PATH)
    state_dir: str = ""
    runtime_dir: str = ""

    def paths(self, state: str, runtime: str, socket: str) -> "Paths":
        """Return the directories and the control socket, given what the configuration says."""
        runtime_dir = Path(self.runtime_dir or runtime)
        moved = bool(self.runtime_dir)
        return Paths(
            config=Path(self.config).absolute(),
            state=Path(self.state_dir or state),
            runtime=runtime_dir,
            control=Path(socket) if socket and not moved else runtime_dir / "control.sock",
        )


class Paths:
    """Where everything is."""

    def __init__(self, *, config: Path, state: Path, runtime: Path, control: Path) -> None:
        self.config, self.state, self.runtime, self.control = config, state, runtime, control


def parse(words: list[str]) -> Arguments:
    """Return what the command line says; raises `UsageError`."""
    names = {"-c": "config", "--config": "config", "--state-dir": "state_dir", "--runtime-dir": "runtime_dir"}
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word, _, value = rest.pop(0).partition("=")
        if word not in names:
            raise UsageError(f'the agent does not know "{word}"', advice="see `holdfast run --help`")
        if not value:
            if not rest:
                raise UsageError(f"{word} needs a value", advice="see `holdfast run --help`")
            value = rest.pop(0)
        found[names[word]] = value
    return Arguments(**found)


def make_directories(paths: Paths) -> None:
    """Make what is missing: the state private, the runtime directory open to all who may ask; raises `CannotStart`."""
    for folder, mode in ((paths.state, 0o700), (paths.runtime, 0o755), (paths.control.parent, 0o755)):
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(mode)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            advice = "make it for this user, or give another with --state-dir and --runtime-dir"
            raise CannotStart(f"{folder} cannot be made: {reason}", advice=advice) from error
    _make_private(paths)


def make_worker_folders(paths: Paths, workers: Mapping[str, WorkerPrivileges]) -> dict[str, str]:
    """Make the folder of each worker that has one, beside the state and not in it, for the worker's own user; raises `CannotStart`."""
    folders = {}
    for name, worker in workers.items():
        if not worker.state:
            continue
        folder = paths.state.with_name(f"{paths.state.name}-workers") / name
        try:
            folder.parent.mkdir(mode=0o711, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            if privileges.may_change_user():
                who = privileges.account(name, worker.user)
                os.chown(folder, who.uid, who.gid, follow_symlinks=False)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CannotStart(
                f"{folder} cannot be made: {reason}", advice="give another place with --state-dir"
            ) from error
        folders[name] = str(folder)
    return folders


def _make_private(paths: Paths) -> None:
    status = paths.state.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise CannotStart(f"{paths.state} belongs to user {status.st_uid}", advice="run the agent as that user")
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        paths.state.chmod(0o700)


def lock(paths: Paths) -> int:
    """Hold the lock of the runtime directory, whose control socket only one agent can answer; raises `CannotStart`."""
    file = paths.control.with_suffix(".lock")
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotStart(
            f"{file} cannot be opened: {reason}", advice="check who owns the runtime directory"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        advice = "stop it first, or give this one other directories"
        raise CannotStart(f"another agent runs here already and answers at {paths.control}", advice=advice) from error
    return handle


def under_systemd(notifier: Notifier, paths: Paths) -> bool:
    """Say whether the workers are systemd's: it watches this process and has made the workers' sockets."""
    return notifier.present and (paths.runtime / "workers").is_dir()


def reachable_without_privileges(paths: Paths) -> bool:
    """Say whether this user reaches its own files by the permissions alone; a forked child gives everything up and tries."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            privileges.drop(None)
            for path in (paths.config, paths.state, paths.runtime, Path(__file__), Path(sys.executable)):
                path.stat()
            code = 0
        finally:  # this copy of the core must never run on as one
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
