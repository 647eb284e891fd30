"""A network namespace of the test's own, and processes in it that listen as the test says."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LISTEN = r"""
import json, os, socket, sys, time
for how in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in how["address"] else socket.AF_INET
    kind = socket.SOCK_DGRAM if how.get("udp") else socket.SOCK_STREAM
    one = socket.socket(family, kind)
    if "v6only" in how:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, how["v6only"])
    for _ in range(bool(how.get("reuse"))):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if how.get("device"):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, how["device"].encode())
    one.bind((how["address"], how["port"]))
    if not how.get("udp"):
        one.listen(how.get("backlog", 16))
    globals().setdefault("held", []).append(one)
print("ready", flush=True)
time.sleep(600)
"""


DROP = """
import ctypes, json, os, sys
import collectors.ports.collector, host.linux, host.ruleset_monitor, ipaddress, msgspec, psutil, pwd, subprocess
def drop(uid, *capabilities):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # keep capabilities
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    bits = sum(1 << number for number in capabilities)
    words = [bits & 0xFFFFFFFF] * 2 + [0] + [bits >> 32] * 2 + [0]
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert libc.capset(head, (ctypes.c_uint32 * 6)(*words)) == 0
    libc.prctl(4, 1, 0, 0, 0)  # dumpable: /proc/self stays ours
"""
"""Gives up privileges after everything was imported, as a worker does: the checkout may be unreadable to others."""

UID = 65533


class Netns:
    """A namespace by name; `listen` starts a process in it and returns its id."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.running: list[subprocess.Popen[bytes]] = []

    def inside(self, *argv: str) -> tuple[str, ...]:
        return ("nsenter", f"--net=/run/netns/{self.name}", "--", *argv)

    def run(self, *argv: str) -> str:
        return subprocess.run(self.inside(*argv), capture_output=True, text=True, check=True).stdout

    def python(self, code: str, *arguments: str, capabilities: tuple[int, ...] | None = None) -> Any:
        """Run Python in the namespace and return the JSON it prints; with `capabilities` as another user that holds only these."""
        if capabilities is not None:
            code = f"{DROP}\ndrop({UID}, {', '.join(map(str, capabilities))})\n{code}"
        argv = self.inside(sys.executable, "-c", code, *arguments)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", env=environment())
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def listen(self, *sockets: dict[str, Any], wrapper: tuple[str, ...] = (), python: str = "/usr/bin/python3") -> int:
        argv = self.inside(*wrapper, python, "-I", "-S", "-c", LISTEN, json.dumps(sockets))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process.pid

    def stop(self, pid: int) -> None:
        for process in self.running:
            if process.pid == pid:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def close(self) -> None:
        for process in self.running:
            self.stop(process.pid)
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)


def environment() -> dict[str, str]:
    """Return an environment in which the checkout is found from anywhere."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def make_netns() -> Iterator[Callable[[], Netns]]:
    made: list[Netns] = []

    def make() -> Netns:
        space = Netns(f"hft-{os.getpid()}-{uuid.uuid4().hex[:6]}")
        subprocess.run(["ip", "netns", "add", space.name], check=True)
        made.append(space)
        space.run("ip", "link", "set", "lo", "up")
        return space

    yield make
    for space in made:
        space.close()


@pytest.fixture
def netns(make_netns: Callable[[], Netns]) -> Netns:
    return make_netns()


@pytest.fixture
def long_sleep() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/usr/bin/sleep", "300"])
    # The kernel lets `Popen` go on before the new program bears its name and has its words.
    until, proc = time.monotonic() + 60, Path(f"/proc/{process.pid}")
    while (
        (proc / "comm").read_text() != "sleep\n" or (proc / "cmdline").read_bytes() != b"/usr/bin/sleep\000300\0"
    ) and time.monotonic() < until:
        time.sleep(0.001)
    yield process
    process.send_signal(signal.SIGKILL)
    process.wait()
