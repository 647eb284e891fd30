"""Processes are described as /proc and psutil tell it."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from host.processes import LinuxProcesses


def describe(pid: int) -> Any:
    return LinuxProcesses().describe([pid]).by_pid[pid]


def test_a_process_is_described(long_sleep: Any) -> None:
    seen = describe(long_sleep.pid)
    assert (seen.name, seen.executable, seen.deleted, seen.uid) == ("sleep", "/usr/bin/sleep", False, os.geteuid())
    assert seen.command_line == "/usr/bin/sleep 300"
    assert seen.parent == os.getpid()
    assert abs(seen.started_ms - time.time() * 1000) < 60_000


def test_the_ended_are_left_out_without_a_word() -> None:
    process = subprocess.Popen(["/usr/bin/true"])
    process.wait()
    found = LinuxProcesses().describe([process.pid])
    assert (dict(found.by_pid), found.blind) == ({}, ())


def test_a_deleted_program_is_told_without_its_suffix(tmp_path: Path) -> None:
    program = tmp_path / "gone"
    shutil.copy("/usr/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    try:
        program.unlink()
        seen = describe(process.pid)
        assert (seen.executable, seen.deleted) == (str(program), True)
    finally:
        process.kill()
        process.wait()


def test_a_file_that_is_really_called_deleted_is_not(tmp_path: Path) -> None:
    program = tmp_path / "there (deleted)"
    shutil.copy("/usr/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    try:
        seen = describe(process.pid)
        assert (seen.executable, seen.deleted) == (str(program), False)
    finally:
        process.kill()
        process.wait()


def test_a_name_that_is_not_utf8_is_carried(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/caf\xe9"
    shutil.copy("/usr/bin/sleep", program)
    process = subprocess.Popen([program, b"60"])
    try:
        assert describe(process.pid).executable == f"{tmp_path}/caf\\xe9"
    finally:
        process.kill()
        process.wait()


CODE = """
import msgspec, sys
from host.processes import LinuxProcesses
found = LinuxProcesses().describe([int(sys.argv[1])])
sys.stdout.buffer.write(msgspec.json.encode({"seen": found.by_pid[int(sys.argv[1])], "blind": found.blind}))
"""


def test_what_another_user_may_not_know_is_a_blind_spot(netns: Any, long_sleep: Any) -> None:
    answer = netns.python(CODE, str(long_sleep.pid), capabilities=())
    assert (answer["seen"]["name"], answer["seen"]["executable"]) == ("sleep", "")
    assert "CAP_SYS_PTRACE" in answer["blind"][0]["fix"]
