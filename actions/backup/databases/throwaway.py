"""Throw-away instances: a directory of their own, no network, no privileges, ended and wiped whatever happens."""

import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from actions.backup.databases.pipe import last_lines
from contracts.errors import HoldfastError, Unavailable
from contracts.host import Host

_LONGEST_SOCKET = 100
_PAUSE_S = 0.1
_START_S = 120.0
_GOES_S = 30.0
_LOG_BYTES = 1 << 20


class ProofFailed(HoldfastError):
    """A dump did not restore, or the copy does not answer as it should."""

    def __init__(self, what: str, why: str, *, said: str = "", advice: str = "") -> None:
        super().__init__(f"{what}: {why}" + (f" ({said})" if said else ""), advice=advice)
        self.what = what
        self.why = why


@contextmanager
def scratch_folder(scratch: str, run_as: str) -> Iterator[Path]:
    """A directory that only `run_as` (and root) may enter, gone afterwards."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="holdfast-proof-", dir=scratch))
    except OSError as error:
        raise ProofFailed(
            scratch, f"no directory can be made in it: {error.strerror}", advice="mend `scratch`"
        ) from error
    try:
        if len(str(folder)) > _LONGEST_SOCKET - 30:
            raise ProofFailed(scratch, "its path is too long for a socket", advice="name a shorter `scratch`")
        give(folder, run_as)
        yield folder
    finally:
        shutil.rmtree(folder)


def give(path: Path, run_as: str) -> None:
    """Let `run_as` own a file or directory, when root does this for him."""
    if run_as and os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(run_as)
        except KeyError as error:
            raise ProofFailed(run_as, "there is no such user", advice="mend `run_as`") from error
        os.chown(path, entry.pw_uid, entry.pw_gid)


def without_privileges(host: Host, *argv: str) -> tuple[str, ...]:
    """The same command, without capabilities and ended when we are: what it restores is not to be trusted."""
    if not host.commands.present("setpriv"):
        return argv
    return ("setpriv", "--pdeathsig", "TERM", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--", *argv)


@contextmanager
def server(
    host: Host,
    argv: Sequence[str],
    folder: Path,
    *,
    run_as: str,
    ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
    timeout_s: float,
) -> Iterator[None]:
    """Run a server in the foreground until the end of the context; its log is in the folder.

    ProofFailed with the end of its log when it does not come up. `stop` is the signal that asks it to end; it is killed if it does not.
    """
    log = folder / "log"
    command = without_privileges(host, "sh", "-c", 'exec "$@" >"$0" 2>&1', str(log), *argv)
    with host.stream(*command, user=run_as, timeout_s=timeout_s) as running:
        try:
            deadline = time.monotonic() + min(_START_S, timeout_s)
            while not ready():
                if not running.running or time.monotonic() >= deadline:
                    raise ProofFailed(argv[0], "the throw-away server does not come up", said=_end_of(log))
                time.sleep(_PAUSE_S)
            yield
        finally:
            if running.running:
                running.signal(stop)
                _until(lambda: not running.running, _GOES_S)


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return last_lines(file.read())
    except OSError as error:
        return f"no log: {error.strerror}"


def check_root(run_as: str) -> None:
    """Database servers refuse to run as root, and a restored dump should not be able to."""
    if os.geteuid() == 0 and not run_as:
        advice = "set `run_as` to a user that may do nothing else, or prove as the user of the backup"
        raise ProofFailed("the throw-away instance", "it is not run as root", advice=advice)


def untroubled(deed: Callable[[], object]) -> bool:
    """Whether a question to a server was answered."""
    try:
        deed()
    except (HoldfastError, Unavailable):
        return False
    return True
