"""Running a tool: by absolute path from a fixed list, without a shell, in the C locale, bounded in time and size."""

import errno
import os
import selectors
import signal
import stat as modes
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from contracts.errors import Unavailable, Why
from contracts.host import Completed
from host import allowed, committers

if TYPE_CHECKING:
    import subprocess

SEARCH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
HELPERS = {"apt-helper": "/usr/lib/apt/apt-helper"}
"""Tools that lie outside of every search path."""
ENVIRONMENT = {"LC_ALL": "C", "LANG": "C", "PATH": ":".join(SEARCH), "HOME": "/", "TERM": "dumb"}

_MAX_STDERR = 64 << 10
_CHUNK = 1 << 16
_GRACE_S = 2.0

_PACKAGES = {
    "nft": "nftables",
    "ss": "iproute2",
    "ip": "iproute2",
    "tc": "iproute2",
    "firewall-cmd": "firewalld",
    "dpkg-query": "dpkg",
    "apt-helper": "apt",
    "systemctl": "systemd",
    "sigtool": "clamav",
}
"""Where the package's name is not the tool's, for the advice."""


class LinuxCommands:
    """`contracts.host.Commands` for Linux; `account` is told how many bytes were read."""

    def __init__(self, account: Callable[[int], None] = lambda _: None) -> None:
        self._account = account

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 256 << 20) -> Completed:
        """Run a read-only command line and return what it answered, whatever its exit code.

        Raises `Unavailable`, and `ValueError` for a command line that is not known to be read-only.
        """
        if not argv or not allowed.allows(argv[0], argv[1:]):
            raise ValueError(f"not a command line that only reads: {' '.join(argv)[:200]!r}")
        done = run(argv, b"", timeout_s, max_bytes)
        self._account(len(done.stdout) + len(done.stderr))
        return done

    def configured(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 1 << 20) -> Completed:
        """Run a command line that an administrator wrote into the configuration."""
        done = run(argv, b"", timeout_s, max_bytes)
        self._account(len(done.stdout) + len(done.stderr))
        return done

    def present(self, tool: str) -> bool:
        """Say whether `tool` is installed."""
        return find(tool) is not None


def find(tool: str) -> str | None:
    """Return the absolute path of `tool`, None when it is not installed."""
    if "/" in tool or not tool:
        return None
    for path in (HELPERS[tool],) if tool in HELPERS else [f"{folder}/{tool}" for folder in SEARCH]:
        try:
            if modes.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # no object for each of many looks
                return path
        except OSError:
            continue
    return None


def run(argv: Sequence[str], stdin: bytes, timeout_s: float, max_bytes: int) -> Completed:
    """Run `argv` to its end, or end it with all its children; raises `Unavailable`."""
    import subprocess  # here, so that a worker that asks no tool does not pay for it

    tool = argv[0]
    path = tool if tool.startswith("/") else find(tool)
    if path is None:
        name = _PACKAGES.get(tool, tool.partition("-")[0] if tool.endswith("-save") else tool)
        raise Unavailable(Why.TOOL_MISSING, f"{tool} is not installed", advice=f"install the package {name}")
    try:
        process = subprocess.Popen(
            [path, *argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise _not_started(tool, path, error) from error
    committers.note_own(process.pid)
    try:
        stdout, stderr = _talk(process, stdin, time.monotonic() + timeout_s, max_bytes, tool)
        return Completed(argv=tuple(argv), code=process.returncode, stdout=stdout, stderr=stderr)
    except _OutOfTime as error:
        message = f"{tool} did not answer within {timeout_s:g} s"
        raise Unavailable(Why.TIMEOUT, message, advice=f"run `{' '.join(argv)[:80]}` by hand to see why") from error
    finally:
        _end(process)


class _OutOfTime(Exception):
    """The deadline has passed."""


def _talk(
    process: "subprocess.Popen[bytes]", stdin: bytes, deadline: float, max_bytes: int, tool: str
) -> tuple[bytes, bytes]:
    """Give `stdin` and return all that the tool says, until it has ended."""
    assert process.stdin and process.stdout and process.stderr
    said: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(stdin)
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        if stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                raise _OutOfTime
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    rest = rest[_write(key.fd, rest) :]
                    if not rest:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                elif part := os.read(key.fd, _CHUNK):
                    said[key.fileobj] += part
                else:
                    selector.unregister(key.fileobj)
                if len(said[process.stdout]) > max_bytes:
                    message = f"{tool} answered with more than {max_bytes} bytes"
                    raise Unavailable(Why.TOO_LARGE, message, advice="raise the limit of this collector")
                del said[process.stderr][_MAX_STDERR:]
    _wait(process, deadline)
    return bytes(said[process.stdout]), bytes(said[process.stderr])


def _write(descriptor: int, rest: memoryview) -> int:
    try:
        return os.write(descriptor, rest[:_CHUNK])
    except BrokenPipeError:  # it does not want the rest
        return len(rest)


def _wait(process: "subprocess.Popen[bytes]", deadline: float) -> None:
    import subprocess

    try:
        process.wait(max(0.01, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise _OutOfTime from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the tool's whole process group unless it has ended by itself, and close the pipes."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait(_GRACE_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _not_started(tool: str, path: str, error: OSError) -> Unavailable:
    if error.errno in (errno.EACCES, errno.EPERM):
        message = f"{path} may not be executed"
        return Unavailable(Why.PERMISSION, message, advice=f"allow this user to execute {path}")
    if error.errno == errno.ENOENT:
        return Unavailable(Why.TOOL_MISSING, f"{tool} is not installed", advice=f"install the package {tool}")
    return Unavailable(
        Why.OTHER, f"{path} cannot be started ({error.strerror})", advice="check the limits of this unit"
    )
