"""The system calls behind the privileges."""

import errno
import os
import subprocess
import sys

import pytest

from agent import kernel


def test_capget_agrees_with_proc():
    with open("/proc/self/status") as status:
        said = {line.split(":")[0]: line.split()[1] for line in status if line.startswith("Cap")}
    assert [f"{mask:016x}" for mask in kernel.capget()] == [said["CapEff"], said["CapPrm"], said["CapInh"]]


def test_a_refused_call_is_an_os_error_with_its_number():
    with pytest.raises(OSError, match="prctl 99999") as refused:
        kernel.prctl(99999)
    assert refused.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="mount on /nowhere"):
        kernel.mount("none", "/nowhere", "tmpfs", 0)
    with pytest.raises(OSError, match="unshare"):
        kernel.unshare(1)


def test_capset_changes_what_is_held():
    pid = os.fork()
    if pid == 0:
        kernel.capset(0, 1 << 33 | 1, 0)
        os._exit(0 if kernel.capget() == (0, 1 << 33 | 1, 0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_memory_can_be_spared_and_given_back():
    kernel.spare_memory()
    kernel.trim_memory()


def test_a_process_that_gives_way_stays_last_in_every_queue() -> None:
    code = (
        "import os, subprocess; from agent import kernel; kernel.give_way(); kernel.reuse_memory();"
        "print(os.getpriority(os.PRIO_PROCESS, 0), subprocess.run(['ionice', '-p', str(os.getpid())], capture_output=True,"
        " text=True).stdout.strip())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    nice, _, queue = done.stdout.strip().partition(" ")
    assert int(nice) >= 10
    assert queue == "best-effort: prio 7"
