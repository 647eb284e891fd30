"""Running a command whose output is read as a stream: bounded in time, its errors kept, ended with its whole process group."""

import os
import pwd
import selectors
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from contracts.errors import Unavailable, Why
from contracts.host import Completed
from host import commands, committers

if TYPE_CHECKING:
    import subprocess

_MAX_STDERR = 64 << 10
_CHUNK = 1 << 16
_GRACE_S = 2.0


class LinuxStream:
    """`contracts.host.Stream` for Linux, within `stream`. One thread serves all pipes, so nothing waits for what it does not read."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", argv: tuple[str, ...], stdin: Iterable[bytes], timeout_s: float
    ) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.read_bytes = 0
        self._process = process
        self._argv = argv
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._stdout, self._stderr = process.stdout, process.stderr
        self._said = bytearray()
        self._input = iter(stdin)
        self._rest = memoryview(b"")
        self._selector = selectors.DefaultSelector()
        for pipe in (process.stdout, process.stderr):
            self._selector.register(pipe, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        self._selector.register(process.stdin, selectors.EVENT_WRITE)
        self._more_input()

    @property
    def pid(self) -> int:
        """The id of the process, which leads a process group of its own."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to its process, unless it has ended."""
        self._process.send_signal(number)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end; raises `Unavailable` (`TIMEOUT`)."""
        while self._open(self._stdout):
            for pipe in self._ready():
                if pipe is self._stdout:
                    count = os.readv(self._stdout.fileno(), [buffer])
                    if not count:
                        self._selector.unregister(self._stdout)
                    self.read_bytes += count
                    return count
                self._serve(pipe)
        return 0

    def end(self) -> Completed:
        """Pass over what was not read, wait for the end and return the exit code and the end of what was said; `stdout` is empty."""
        import subprocess

        scrap = memoryview(bytearray(_CHUNK))
        while self.readinto(scrap):
            pass
        while self._selector.get_map():
            for pipe in self._ready():
                self._serve(pipe)
        try:
            self._process.wait(max(0.01, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self._late() from error
        return Completed(argv=self._argv, code=self._process.returncode, stdout=b"", stderr=bytes(self._said))

    def kill(self) -> None:
        """End the whole process group unless the command has ended by itself, and close the pipes."""
        self._selector.close()
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait(_GRACE_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _open(self, pipe: Any) -> bool:
        return pipe in self._selector.get_map()

    def _ready(self) -> list[Any]:
        found = [key.fileobj for key, _ in self._selector.select(max(0.0, self._deadline - time.monotonic()))]
        if not found and time.monotonic() >= self._deadline:
            raise self._late()
        return found

    def _late(self) -> Unavailable:
        message = f"{self._argv[0]} has not ended within {self._timeout_s:g} s"
        return Unavailable(Why.TIMEOUT, message, advice="raise its time limit, or see why it takes so long")

    def _serve(self, pipe: Any) -> None:
        """Take what was said, or give what it reads."""
        if pipe is self._stderr:
            part = os.read(self._stderr.fileno(), _CHUNK)
            if not part:
                self._selector.unregister(self._stderr)
            self._said += part
            del self._said[:-_MAX_STDERR]
        elif pipe is self._process.stdin:
            try:
                self._rest = self._rest[os.write(self._process.stdin.fileno(), self._rest[:_CHUNK]) :]
            except BrokenPipeError:  # it does not want the rest
                self._close_input()
            else:
                self._more_input()

    def _more_input(self) -> None:
        while not self._rest:
            following = next(self._input, None)
            if following is None:
                self._close_input()
                return
            self._rest = memoryview(following)

    def _close_input(self) -> None:
        assert self._process.stdin
        if self._open(self._process.stdin):
            self._selector.unregister(self._process.stdin)
        with suppress(BrokenPipeError):
            self._process.stdin.close()


@contextmanager
def stream(
    argv: Sequence[str],
    *,
    stdin: Iterable[bytes] = (),
    user: str = "",
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    timeout_s: float,
) -> Iterator[LinuxStream]:
    """Run `argv`, as `contracts.host.Host.stream` says; raises `Unavailable`."""
    import subprocess

    path = _program(argv[0])
    identity, variables = _identity(user)
    variables.update(environment or {})
    held = {name: _private(name, content, identity.get("user")) for name, content in (files or {}).items()}
    places = {f"{{file:{name}}}": f"/proc/self/fd/{number}" for name, number in held.items()}
    try:
        process = subprocess.Popen(
            [path, *(_placed(word, places) for word in argv[1:])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={name: _placed(value, places) for name, value in variables.items()},
            start_new_session=True,
            bufsize=0,
            pass_fds=tuple(held.values()),
            umask=0o077,
            **identity,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _not_started(argv[0], path, user, error) from error
    finally:
        for number in held.values():
            os.close(number)
    committers.note_own(process.pid)
    running: LinuxStream | None = None
    try:
        running = LinuxStream(process, tuple(argv), stdin, timeout_s)
        yield running
    finally:
        if running is not None:
            running.kill()
        elif process.poll() is None:
            process.kill()
            process.wait(_GRACE_S)


def _program(tool: str) -> str:
    """The absolute path of what is to be run: given, or found among the system's own."""
    path = tool if tool.startswith("/") else commands.find(tool)
    if path is None:
        raise Unavailable(Why.TOOL_MISSING, f"{tool} is not installed", advice=f"install the package that holds {tool}")
    return path


def _identity(user: str) -> tuple[dict[str, Any], dict[str, str]]:
    """How to become `user`, and what of the environment is his."""
    variables = dict(commands.ENVIRONMENT)
    if not user:
        return {}, variables
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise Unavailable(
            Why.NOT_PRESENT, f"there is no user {user}", advice="name a user of this machine in `run_as`"
        ) from error
    variables.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name)
    if entry.pw_uid == os.geteuid():
        return {}, variables
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}, variables


def _private(name: str, content: bytes, uid: int | None) -> int:
    """A descriptor of a file in memory that only the command's user can read, and that is gone with the command."""
    number = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with open(number, "wb", closefd=False) as target:
            target.write(content)
        os.fchmod(number, 0o400)
        if uid is not None:
            os.fchown(number, uid, -1)
    except BaseException:
        os.close(number)
        raise
    return number


def _placed(word: str, places: Mapping[str, str]) -> str:
    for mark, place in places.items():
        word = word.replace(mark, place)
    return word


def _not_started(tool: str, path: str, user: str, error: Exception) -> Unavailable:
    if isinstance(error, PermissionError) and user and os.access(path, os.X_OK):
        message = f"{tool} cannot be run as {user}: only root can become another user"
        return Unavailable(Why.PERMISSION, message, advice="leave `run_as` empty, or run this as root")
    if isinstance(error, PermissionError):
        message = f"{path} may not be executed"
        return Unavailable(Why.PERMISSION, message, advice=f"allow this user to execute {path}")
    if isinstance(error, FileNotFoundError):
        return Unavailable(Why.TOOL_MISSING, f"{path} is not there", advice=f"install what holds {path}")
    said = error.strerror if isinstance(error, OSError) else str(error)
    return Unavailable(
        Why.OTHER, f"{path} cannot be started ({said})", advice="check its arguments and the limits of this unit"
    )
