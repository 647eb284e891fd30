"""Folders taken out of a process's sight."""

import os
import subprocess
from pathlib import Path

from agent.hiding import hide


def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_hidden_folder_is_empty_for_this_process_alone(tmp_path):
    secret, beside = tmp_path / "secret", tmp_path / "beside"
    secret.mkdir()
    beside.mkdir()
    (secret / "key").write_text("x")

    def work():
        assert hide([str(secret), str(tmp_path / "missing")])
        return 0 if not (secret / "key").exists() and os.listdir(secret) == [] and beside.exists() else 1

    assert in_child(work) == 0
    assert (secret / "key").read_text() == "x"


def test_what_the_host_mounts_later_still_appears(tmp_path):
    """A worker that is held apart must not be blinded."""
    hidden, later = tmp_path / "hidden", tmp_path / "later"
    hidden.mkdir()
    later.mkdir()
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            hide([str(hidden)])
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            code = 0 if os.path.exists(later / "file") else 1
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    shared = "shared" in Path("/proc/self/mountinfo").read_text().splitlines()[0]
    subprocess.run(["mount", "-t", "tmpfs", "none", str(later)], check=True)
    try:
        (later / "file").write_text("x")
        os.write(go[1], b"x")
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        subprocess.run(["umount", str(later)], check=True)
        for fd in (*ready, *go):
            os.close(fd)
    # Where the host's mounts are private themselves (no systemd), nothing can make them propagate.
    assert code == (0 if shared else 1)


def test_who_may_not_is_told_so(tmp_path):
    def work():
        os.setresuid(65534, 65534, 65534)
        return 0 if hide(["/etc"]) is False and hide([]) is True else 1

    assert in_child(work) == 0
