"""The second wall: calls that no worker needs."""

import ctypes
import os
import socket
import subprocess

import pytest

from agent import kernel, seccomp
from host.packet_programs import LinuxProgramTable


def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            assert seccomp.harden()
            code = work()
        except BaseException:  # noqa: BLE001  # its exit code says it
            code = 99
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("name", sorted(seccomp._CALLS))
def test_each_call_is_refused_with_eperm_even_for_root(name):
    column = 0 if os.uname().machine == "x86_64" else 1

    def work():
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall(seccomp._CALLS[name][column], 0, 0, 0, 0, 0, 0)
        return 0 if (result, ctypes.get_errno()) == (-1, 1) else 1

    assert in_child(work) == 0


def test_bpf_may_ask_which_programs_see_packets_and_nothing_else():
    def work():
        libc = ctypes.CDLL(None, use_errno=True)
        number = seccomp._CALLS["bpf"][0 if os.uname().machine == "x86_64" else 1]
        refused = []
        for command in range(40):
            libc.syscall(number, command, 0, 0)
            if ctypes.get_errno() == 1:
                refused.append(command)
            ctypes.set_errno(0)
        return 0 if refused == [command for command in range(40) if command != 16] else 1

    assert in_child(work) == 0


def test_packet_programs_are_seen_behind_the_wall():
    def work():
        LinuxProgramTable().on_packets()
        return 0

    assert in_child(work) == 0


def test_the_firewalls_tools_and_commands_still_work():
    def work():
        for tool in (["nft", "list", "tables"], ["iptables-save"], ["ss", "-tln"], ["systemctl", "--version"]):
            if subprocess.run(tool, capture_output=True).returncode:
                return 1
        return 0

    assert in_child(work) == 0


def test_an_unknown_machine_is_left_alone(monkeypatch):
    monkeypatch.setattr(seccomp, "_MACHINES", {})
    assert seccomp.harden() is False


def test_a_confined_process_opens_nothing_runs_nothing_and_speaks_to_nobody_new(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")

    def work():
        ours, theirs = socket.socketpair()
        held = os.open(path, os.O_RDONLY)
        assert seccomp.confine()
        tries = {
            "read": lambda: os.open(path, os.O_RDONLY),
            "make": lambda: os.open(tmp_path / "new", os.O_CREAT | os.O_WRONLY),
            "remove": lambda: os.unlink(path),
            "rename": lambda: os.rename(path, tmp_path / "other"),
            "folder": lambda: os.mkdir(tmp_path / "folder"),
            "list": lambda: os.listdir(tmp_path),
            "mode": lambda: os.chmod(path, 0o777),
            "link": lambda: os.symlink("a", tmp_path / "b"),
            "run": lambda: os.execv("/bin/true", ["true"]),
            "inet": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "inet6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
            "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
            "connect": lambda: socket.socket(socket.AF_UNIX).connect(str(tmp_path / "socket")),
            "datagram": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", str(tmp_path / "socket")),
            "descriptors": lambda: ours.sendmsg([b"x"]),
            "listen": lambda: socket.socket(socket.AF_UNIX).listen(),
        }
        for name, one in tries.items():
            try:
                one()
            except PermissionError:
                continue
            os.write(2, f"{name} was let through\n".encode())
            return 1
        ours.sendall(b"still")
        assert theirs.recv(9) == b"still" and os.pread(held, 1, 0) == b"x"
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return 0

    assert in_child(work) == 0
