"""Throw-away instances: a directory of their own, no network, no privileges, ended and wiped whatever happens."""

import os
import pwd
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from actions.backup.databases.pipe import last_lines
from actions.backup.databases.private_folder import private_folder
from contracts.errors import HoldfastError, Unavailable
from contracts.host import Host

PREFIX = "holdfast-proof-"
_LONGEST_FOLDER = 70
"""A socket's path has at most 107 bytes."""

_PAUSE_S = 0.1
_START_S = 120.0
_GOES_S = 30.0
_LOG_BYTES = 1 << 20
_MOST_S = 86400
_PR_GET_SECUREBITS = 27
_LOCKED = 0b11 | 0b10 << 4 | 0b11 << 6
"""linux/securebits.h: NOROOT, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, each with its lock."""


class ProofFailed(HoldfastError):
    """A dump did not restore, or the copy does not answer as it should."""

    def __init__(self, what: str, why: str, *, said: str = "", advice: str = "") -> None:
        super().__init__(f"{what}: {why}" + (f" ({said})" if said else ""), advice=advice)
        self.what = what
        self.why = why


@contextmanager
def scratch_folder(scratch: str, run_as: str) -> Iterator[Path]:
    """A directory that only `run_as` (and root) may enter, gone afterwards."""
    with ExitStack() as held:
        try:
            folder = held.enter_context(private_folder(scratch, PREFIX, run_as if os.geteuid() == 0 else ""))
        except KeyError as error:
            raise ProofFailed(run_as, "there is no such user", advice="mend `run_as`") from error
        except OSError as error:
            why = f"no private directory can be made in it: {error.strerror or error}"
            raise ProofFailed(scratch, why, advice="mend `scratch`") from error
        if len(str(folder)) > _LONGEST_FOLDER:
            raise ProofFailed(scratch, "its path is too long for a socket", advice="name a shorter `scratch`")
        yield folder


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """A new file that its owner alone can read; ProofFailed when there is no room for it."""
    with path.open("xb", buffering=0) as target:
        os.fchmod(target.fileno(), 0o600)
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[target.write(rest) :]
                except OSError as error:
                    why = f"a dump cannot be written there: {error.strerror or error}"
                    raise ProofFailed(
                        str(path.parent), why, advice="make room in `scratch`, or name another"
                    ) from error


def give(path: Path, run_as: str) -> None:
    """Let `run_as` own a file or directory, when root does this for him."""
    if run_as and os.geteuid() == 0:
        try:
            entry = pwd.getpwnam(run_as)
        except KeyError as error:
            raise ProofFailed(run_as, "there is no such user", advice="mend `run_as`") from error
        os.chown(path, entry.pw_uid, entry.pw_gid)


def without_privileges(host: Host, *argv: str) -> tuple[str, ...]:
    """The same command, without capabilities and ended when we are: what it restores is not to be trusted.

    A worker that the agent itself has made small has locked how capabilities are kept, so that none outlives an exec, and setpriv refuses
    to run there. What we start then ends by its time at the latest.
    """
    if _keeps_none():
        return ("timeout", "--kill-after=30", str(_MOST_S), *argv) if host.commands.present("timeout") else argv
    if not host.commands.present("setpriv"):
        return argv
    return ("setpriv", "--pdeathsig", "TERM", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--", *argv)


def _keeps_none() -> bool:
    """Whether this process has given up for ever that capabilities are kept or raised (capabilities(7), securebits)."""
    import ctypes

    bits: int = ctypes.CDLL(None).prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0)
    return bits & _LOCKED == _LOCKED


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
                    said = _end_of(log) if log.exists() or running.running else last_lines(running.end().stderr)
                    raise ProofFailed(argv[0], "the throw-away server does not come up", said=said)
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
