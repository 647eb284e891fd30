"""Who changed the ruleset is told from what lives, and nothing is made up for what does not."""

import os
import pwd
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from host import committers


def test_a_living_process_is_described_up_to_its_session(long_sleep: subprocess.Popen[bytes]) -> None:
    who = committers.describe(long_sleep.pid, "sleep")
    assert (who.pid, who.process, who.command) == (long_sleep.pid, "sleep", "sleep")
    assert who.user == pwd.getpwuid(os.geteuid()).pw_name
    assert who.parents[0] == Path("/proc/self/comm").read_text().rstrip("\n")
    assert not who.own


SEEN = """
import json, sys
from host import committers
who = committers.describe(int(sys.argv[1]), "sleep")
print(json.dumps([who.command, who.user, list(who.parents)]))
"""


def test_whoever_has_no_privileges_is_told_the_same(netns: Any, long_sleep: subprocess.Popen[bytes]) -> None:
    command, user, parents = netns.python(SEEN, str(long_sleep.pid), capabilities=())
    assert (command, user) == ("sleep", pwd.getpwuid(os.geteuid()).pw_name)
    assert parents


def test_a_process_that_is_gone_leaves_what_the_kernel_said() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    who = committers.describe(child.pid, "nft")
    assert (who.pid, who.process) == (child.pid, "nft")
    assert (who.command, who.user, who.login, who.unit, who.parents) == ("", "", "", "", ())


def test_a_number_that_another_process_bears_now_is_not_believed(long_sleep: subprocess.Popen[bytes]) -> None:
    who = committers.describe(long_sleep.pid, "nft")
    assert (who.user, who.parents) == ("", ())


def test_a_command_that_this_process_ran_is_its_own() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    committers.note_own(child.pid)
    assert committers.describe(child.pid, "nft").own


def test_a_thread_of_this_process_is_its_own() -> None:
    found, over = [], threading.Event()
    thread = threading.Thread(target=lambda: found.append(threading.get_native_id()) or over.wait(60))
    thread.start()
    while not found:
        time.sleep(0.01)
    assert committers.describe(found[0], "x").own
    over.set()
    thread.join()


def fake(proc: Path, pid: int, parent: int, name: str, loginuid: str = "4294967295", uid: int = 0) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"Name:\t{name}\nTgid:\t{pid}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
    (folder / "loginuid").write_text(loginuid)
    (folder / "cgroup").write_text("0::/user.slice/user-1000.slice/session-3.scope\n")


def test_who_logged_in_is_told_by_the_audit_login_id(tmp_path: Path) -> None:
    fake(tmp_path, 1, 0, "systemd")
    fake(tmp_path, 10, 1, "sshd")
    fake(tmp_path, 11, 10, "bash", loginuid="1")
    fake(tmp_path, 12, 11, "nft", loginuid="1")
    who = committers.describe(12, "nft", proc=str(tmp_path))
    assert who.login == pwd.getpwuid(1).pw_name
    assert who.unit == "session-3.scope"
    assert who.parents == ("bash", "sshd"), "the init process is above everybody and says nothing"


def test_a_name_with_a_line_break_or_backslash_is_read_as_the_kernel_names_it() -> None:
    rename = (
        r"import ctypes, sys, time; ctypes.CDLL(None).prctl(15, b'a\nb\\n', 0, 0, 0); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", rename], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert committers.describe(child.pid, "a\nb\\\\n").command == "a\nb\\\\n"
        child.kill()


def test_a_real_login_survives_a_change_of_user() -> None:
    login = "import os, time; open('/proc/self/loginuid', 'w').write('1'); os.setresuid(2, 2, 2); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", login], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        who = committers.describe(child.pid, Path(f"/proc/{child.pid}/comm").read_text().rstrip("\n"))
        child.kill()
    assert (who.user, who.login) == (pwd.getpwuid(2).pw_name, pwd.getpwuid(1).pw_name)


def test_a_circle_of_parents_ends(tmp_path: Path) -> None:
    fake(tmp_path, 10, 11, "a")
    fake(tmp_path, 11, 10, "b")
    assert len(committers.describe(10, "a", proc=str(tmp_path)).parents) <= 16


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_no_content_of_proc_is_too_odd(tmp_path_factory: object, status: bytes, login: bytes) -> None:
    proc = Path(tmp_path_factory.mktemp("proc"))  # type: ignore[attr-defined]
    (proc / "7").mkdir()
    (proc / "7" / "status").write_bytes(status)
    (proc / "7" / "loginuid").write_bytes(login)
    assert committers.describe(7, "nft", proc=str(proc)).pid == 7
