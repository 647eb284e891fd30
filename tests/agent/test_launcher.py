"""The launcher: starts catalogued workers under their own users, hands back their sockets, and ends with the core."""

import json
import os
import signal
import socket
import struct
import time
from pathlib import Path

import msgspec
import pytest

from agent.framing import core_codec, pack, read_frame, worker_codec, write_frame
from agent.launcher import Answer, Launcher
from agent.preload import preload
from agent.privileges import WORKERS
from contracts.errors import Refused, Unreachable
from contracts.frames import PROTOCOL, Hello
from tests.roomy import ROOMY


def greet(sock):
    write_frame(sock, core_codec().encode(Hello(protocol=PROTOCOL, options={})))
    return worker_codec().decode(read_frame(sock))


def gone(pid, within_s=60.0):
    until = time.monotonic() + within_s
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{pid}")


def test_a_worker_runs_as_its_own_user_and_the_core_may_know_which(launch):
    launcher = launch()
    ready = greet(launcher.connect("netfilter"))
    assert ready.uid in launcher.uids("netfilter") and ready.uid != os.geteuid()
    assert os.stat(f"/proc/{ready.pid}/mem").st_uid == 0, "not dumpable: its files in /proc are root's"


def test_only_catalogued_names_are_started(launch):
    launcher = launch()
    for name in ("shell", "", "reader; id", "../reader"):
        with pytest.raises(Refused, match="catalogue"):
            launcher.connect(name)
    assert greet(launcher.connect("reader")).worker == "reader"


def test_a_second_start_replaces_the_first_and_kill_ends_it(launch):
    launcher = launch()
    first = launcher.connect("reader")
    pid = greet(first).pid
    second = launcher.connect("reader")
    assert greet(second).pid != pid and gone(pid)
    pid = greet_pid = launcher.connect("messenger")
    pid = greet(greet_pid).pid
    os.kill(pid, signal.SIGSTOP)
    assert launcher.kill("messenger") and gone(pid)
    assert launcher.kill("messenger")  # nothing to kill is no mistake


def test_an_answer_that_comes_late_is_not_taken_for_the_next(launch):
    launcher = launch()
    late = greet(launcher.connect("reader")).pid
    os.kill(launcher.pid, signal.SIGSTOP)
    launcher._sock.settimeout(0.2)
    for name in ("reader", "netfilter"):
        with pytest.raises(Unreachable):
            launcher.connect(name)
    assert not launcher.kill("reader")
    os.kill(launcher.pid, signal.SIGCONT)
    launcher._sock.settimeout(60)
    assert greet(launcher.connect("messenger")).worker == "messenger"
    assert greet(launcher.connect("reader")).worker == "reader" and gone(late)


def test_an_answer_of_which_a_part_comes_late_is_not_taken_for_the_next():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        launcher = Launcher(ours, 0, ROOMY)
        theirs.sendall(b"\0")
        with pytest.raises(Unreachable):
            launcher.connect("reader")
        theirs.sendall(pack(msgspec.msgpack.encode(Answer(number=1, error="this one"))))
        theirs.sendall(b"\0" + pack(msgspec.msgpack.encode(Answer(number=2, error="that one"))))
        with pytest.raises(Refused, match="that one"):
            launcher.connect("netfilter")


def test_what_ends_is_reaped(launch):
    launcher = launch()
    sock = launcher.connect("reader")
    pid = greet(sock).pid
    sock.close()
    assert gone(pid)


def test_it_ends_with_the_core_and_takes_its_workers_along(launch):
    reading, writing = os.pipe()
    core = os.fork()
    if core == 0:
        from agent.hosting import Hosting

        class Bare:
            dry = False
            state = ""

        launcher = Launcher.start(ROOMY, lambda name: Hosting(make_host=Bare, make_dry=lambda host: host))
        sock = launcher.connect("messenger")
        os.write(writing, struct.pack("2i", launcher.pid, greet(sock).pid))
        time.sleep(60)
        os._exit(0)
    pids = struct.unpack("2i", os.read(reading, 8))
    os.kill(core, signal.SIGKILL)
    os.waitpid(core, 0)
    assert all(gone(pid) for pid in pids)
    os.close(reading)
    os.close(writing)


def test_it_keeps_none_of_the_cores_descriptors_and_no_more_than_it_needs(launch, tmp_path):
    with (tmp_path / "core.lock").open("w"):
        launcher = launch()
        worker = greet(launcher.connect("reader"))
    for pid in (launcher.pid, worker.pid):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not any("core.lock" in link for link in links)
    status = Path(f"/proc/{launcher.pid}/status").read_text()
    held = int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16)
    from agent.privileges import names

    assert "CAP_SYS_MODULE" not in names(held) and "CAP_SETUID" in names(held)


def test_garbage_from_the_core_ends_it_rather_than_being_guessed_at(launch):
    launcher = launch()
    launcher._sock.sendall(struct.pack(">I", 1 << 30))
    with pytest.raises(Unreachable):
        launcher.connect("reader")
    assert not launcher.kill("reader")


def test_as_an_ordinary_user_it_starts_workers_that_say_what_they_lack(launch):
    from agent.hosting import Hosting

    class Bare:
        dry = False
        state = ""

    preload()  # the user below may not be able to read this Python
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        launcher = Launcher.start(ROOMY, lambda name: Hosting(make_host=Bare, make_dry=lambda host: host))
        said = {name: greet(launcher.connect(name)) for name in ("netfilter", "reader")}
        os.write(writing, json.dumps({name: msgspec.to_builtins(ready) for name, ready in said.items()}).encode())
        launcher.stop()
        os._exit(0)
    os.waitpid(child, 0)
    said = json.loads(os.read(reading, 65536))
    os.close(reading)
    os.close(writing)
    for name, ready in said.items():
        assert ready["uid"] == 65534 and ready["capabilities"] == []
        whats = [spot["what"] for spot in ready["lost"]]
        assert whats[:-1] == list(WORKERS[name].blind.values()) and "meddles" in whats[-1]
        assert all("Run the agent as root" in spot["fix"] for spot in ready["lost"])


def test_two_workers_of_one_ordinary_user_cannot_read_one_another(launch):
    """`PR_SET_DUMPABLE` 0 holds them apart where users cannot."""
    preload()
    from agent.hosting import Hosting

    class Bare:
        dry = False
        state = ""

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        launcher = Launcher.start(ROOMY, lambda name: Hosting(make_host=Bare, make_dry=lambda host: host))
        pid = greet(launcher.connect("reader")).pid
        try:
            os.open(f"/proc/{pid}/mem", os.O_RDONLY)
            os.write(writing, b"opened")
        except PermissionError:
            os.write(writing, b"refused")
        launcher.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"refused"
    os.close(reading)
    os.close(writing)


def test_a_socket_is_passed_and_nothing_else(launch):
    sock = launch().connect("reader")
    assert isinstance(sock, socket.socket) and sock.family == socket.AF_UNIX and not os.get_inheritable(sock.fileno())
