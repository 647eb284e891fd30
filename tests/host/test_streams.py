"""A command's output as a stream: whole, bounded, fed, as another user, with secrets that nobody else sees, and ended with its children."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from contracts.errors import Unavailable, Why
from host.linux import LinuxHost
from host.streams import LinuxStream, stream


def everything(running: LinuxStream) -> bytes:
    found = bytearray()
    buffer = memoryview(bytearray(100_000))
    while count := running.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


def still_there(mark: str) -> bool:
    return mark in subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_all_of_a_long_output_comes_with_the_code_and_the_errors() -> None:
    with stream(["sh", "-c", "head -c 5000000 /dev/zero; echo why >&2; exit 7"], timeout_s=60) as running:
        assert len(everything(running)) == 5_000_000
        done = running.end()
    assert (done.code, done.stderr, done.stdout) == (7, b"why\n", b"")


def test_many_errors_do_not_block_and_their_end_is_kept() -> None:
    with stream(["sh", "-c", "yes error | head -c 3000000 >&2; echo last >&2; echo out"], timeout_s=60) as running:
        assert everything(running) == b"out\n"
        said = running.end().stderr
    assert len(said) == 64 << 10
    assert said.endswith(b"last\n")


def test_input_is_given_while_output_is_read() -> None:
    pieces = [os.urandom(300_000) for _ in range(10)]
    with stream(["cat"], stdin=iter(pieces), timeout_s=60) as running:
        assert everything(running) == b"".join(pieces)
        assert running.end().code == 0


def test_input_that_nobody_reads_does_not_hang() -> None:
    with stream(["true"], stdin=iter([bytes(1 << 20)] * 3), timeout_s=60) as running:
        assert running.end().code == 0


def test_an_error_of_the_input_reaches_the_caller_and_ends_the_command() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise RuntimeError("damaged")

    with pytest.raises(RuntimeError, match="damaged"), stream(["cat"], stdin=broken(), timeout_s=60) as running:
        everything(running)
    assert running._process.returncode is not None


def test_what_takes_too_long_is_ended_with_its_children() -> None:
    began = time.monotonic()
    with (
        pytest.raises(Unavailable) as caught,
        stream(["sh", "-c", "sleep 976.5 & sleep 976.5"], timeout_s=0.3) as running,
    ):
        everything(running)
    assert caught.value.why is Why.TIMEOUT
    assert time.monotonic() - began < 60
    assert not still_there("976.5")


def test_one_that_closes_its_output_and_goes_on_is_late_too() -> None:
    with (
        pytest.raises(Unavailable) as caught,
        stream(["sh", "-c", "exec >&- 2>&-; exec sleep 975.5"], timeout_s=0.3) as running,
    ):
        assert everything(running) == b""
        running.end()
    assert caught.value.why is Why.TIMEOUT
    assert not still_there("975.5")


def test_whether_it_still_runs_is_known_without_waiting() -> None:
    with stream(["sh", "-c", "read line"], stdin=iter([b"a\n"]), timeout_s=60) as running:
        assert running.running
        assert running.end().code == 0
        assert not running.running


def test_a_signal_reaches_the_command() -> None:
    with stream(["sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"], timeout_s=60) as running:
        assert running.readinto(memoryview(bytearray(10)))
        running.signal(15)
        assert running.end().code == 5
        running.signal(15)


def test_leaving_early_ends_it() -> None:
    with stream(["sh", "-c", "yes & sleep 974.5"], timeout_s=60) as running:
        assert running.readinto(memoryview(bytearray(10)))
    assert not still_there("974.5")
    assert running._process.returncode == -9


def test_it_runs_as_another_user_with_his_groups_and_home() -> None:
    entry = pwd.getpwnam("nobody")
    with stream(["sh", "-c", "id -u; id -g; echo $HOME $USER; umask"], user="nobody", timeout_s=60) as running:
        lines = everything(running).decode().split("\n")
    assert lines[:4] == [str(entry.pw_uid), str(entry.pw_gid), f"{entry.pw_dir} nobody", "0077"]


def test_a_secret_is_read_from_memory_by_that_user_alone() -> None:
    with stream(
        ["sh", "-c", 'cat "$SECRET" {file:pass}; stat -Lc "%a %U" {file:pass}; tr "\\0" " " </proc/$$/cmdline'],
        user="nobody",
        environment={"SECRET": "{file:pass}"},
        files={"pass": b"hunter2\n"},
        timeout_s=60,
    ) as running:
        said = everything(running).decode()
    assert said.startswith("hunter2\nhunter2\n400 nobody\n")
    assert said.count("hunter2") == 2


def test_no_other_descriptor_is_handed_on() -> None:
    with open("/etc/hostname"), stream(["sh", "-c", "ls /proc/self/fd | wc -l"], timeout_s=60) as running:
        assert int(everything(running)) == 4  # three and the directory


@pytest.mark.parametrize(
    ("argv", "user", "why", "words"),
    [
        (["no-such-tool"], "", Why.TOOL_MISSING, "not installed"),
        (["/no/such/tool"], "", Why.TOOL_MISSING, "/no/such/tool is not there"),
        (["/etc/passwd"], "", Why.PERMISSION, "may not be executed"),
        (["true"], "no-such-user", Why.NOT_PRESENT, "no user no-such-user"),
        (["true", "a\0b"], "", Why.OTHER, "null byte"),
    ],
)
def test_what_cannot_be_started_is_named(argv: list[str], user: str, why: Why, words: str) -> None:
    with pytest.raises(Unavailable) as caught, stream(argv, user=user, timeout_s=60):
        pass
    assert caught.value.why is why
    assert words in str(caught.value)
    assert caught.value.advice


def test_only_root_becomes_another_user() -> None:
    code = """
from contracts.errors import Unavailable
from host.streams import stream
import os, subprocess, selectors
os.setgid(65534); os.setgroups([]); os.setuid(65534)
try:
    with stream(["true"], user="root", timeout_s=60): pass
except Unavailable as error:
    print(error.why, error.message)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "permission true cannot be run as root: only root can become another user" in done.stdout, done.stderr


def test_the_host_counts_what_it_read() -> None:
    host = LinuxHost()
    with host.stream("echo", "hello") as running:
        assert everything(running) == b"hello\n"  # type: ignore[arg-type]
        assert running.pid > 0
    assert host.read_bytes == 6
