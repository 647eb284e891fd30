"""A host in a network namespace of its own, with a neighbour outside and one behind it; packets really travel between them.

Code runs in a namespace by a thread that entered it: sockets it makes and tools it starts are there.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from actions.block.address import parse
from actions.block.block import Block
from actions.block.memory import of
from actions.block.options import Options
from actions.block.receipt import counts
from contracts.action import Command, Result
from contracts.errors import Unavailable, Why
from contracts.event import Event, Severity
from host.linux import LinuxHost

T = TypeVar("T")

OUTSIDE, HOST, INNER, INSIDE = "198.51.100.2", "198.51.100.1", "192.0.2.1", "192.0.2.2"
OUTSIDE6, HOST6 = "2001:db8::2", "2001:db8::1"
EVENT = Event(kind="bench.failed_login", key="sshd", severity=Severity.LOW)


class Space:
    """One namespace and its thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._pool = ThreadPoolExecutor(8, initializer=self._enter)
        self.run("ip", "link", "set", "lo", "up")

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        handle = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        assert libc.setns(handle, 0x40000000) == 0, os.strerror(ctypes.get_errno())
        os.close(handle)

    def start(self, call: Callable[..., T], *arguments: Any) -> Any:
        return self._pool.submit(call, *arguments)

    def do(self, call: Callable[..., T], *arguments: Any) -> T:
        return self._pool.submit(call, *arguments).result(60)

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> str:
        inside = ("ip", "netns", "exec", self.name, *argv)
        done = subprocess.run(inside, input=stdin, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def nft(self, program: str) -> None:
        self.run("nft", "-f", "-", stdin=program)

    def socket(self, kind: int, address: str = "", port: int = 0, listen: bool = False) -> socket.socket:
        def make() -> socket.socket:
            one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.settimeout(5)
            one.bind((address, port))
            if listen:
                one.listen()
            return one

        return self.do(make)

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Net:
    """The three namespaces; `host` is the one whose table bans."""

    def __init__(self, folder: Path) -> None:
        tag = uuid.uuid4().hex[:6]
        self.outside, self.host, self.inside = (Space(f"hfbl-{tag}-{name}") for name in ("out", "host", "in"))
        self._join(self.outside, f"{OUTSIDE}/24", f"{HOST}/24", "out0", "wan0")
        self._join(self.inside, f"{INSIDE}/24", f"{INNER}/24", "in0", "lan0")
        for space, device, address in ((self.outside, "out0", OUTSIDE6), (self.host, "wan0", HOST6)):
            space.run("ip", "addr", "add", f"{address}/64", "dev", device, "nodad")
        self.outside.run("ip", "route", "add", "192.0.2.0/24", "via", HOST)
        self.inside.run("ip", "route", "add", "default", "via", INNER)
        self.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.machine = self.host.do(LinuxHost)
        self.machine.state = str(folder)
        self._stop = threading.Event()

    def _join(self, far: Space, far_address: str, near_address: str, far_name: str, near_name: str) -> None:
        self.host.run("ip", "link", "add", near_name, "type", "veth", "peer", "name", far_name, "netns", far.name)
        for space, device, address in ((self.host, near_name, near_address), (far, far_name, far_address)):
            space.run("ip", "addr", "add", address, "dev", device)
            space.run("ip", "link", "set", device, "up")

    def act(
        self, action: Any, *, cause: str = "", who: str = "root", event: Event | None = None, **arguments: Any
    ) -> Result:
        command = Command(
            id=uuid.uuid4().hex,
            action=action.name,
            arguments=arguments,
            cause=cause,
            who="" if cause else who,
            dry_run=False,
            event=event,
        )
        result: Result = self.host.do(action.do, self.machine, command, lambda *_: None)
        return result

    def stream(self, space: Space, source: tuple[str, int], target: tuple[str, int], every_s: float = 0.01) -> None:
        """Send small datagrams until the test ends."""
        one = space.socket(socket.SOCK_DGRAM, *source)

        def send() -> None:
            with one:
                while not self._stop.is_set():
                    with contextlib.suppress(OSError):
                        one.sendto(b"x", target)
                    self._stop.wait(every_s)

        space.start(send)

    def close(self) -> None:
        self._stop.set()
        for space in (self.outside, self.inside, self.host):
            space.close()


def full_disk(*_: Any, **__: Any) -> None:
    """Stands for the host's `write`."""
    raise Unavailable(Why.OTHER, "there is no space left on the device")


NOT_SAVED = "it is not saved and would not survive a reboot (there is no space left on the device)"


def arrivals(one: socket.socket, seconds: float) -> int:
    """Return how many datagrams arrive within `seconds`."""
    end, count = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        one.settimeout(left)
        try:
            one.recv(64)
            count += 1
        except TimeoutError:
            break
    return count


def arrive(one: socket.socket, count: int) -> None:
    """Wait until so many datagrams arrive; raises `TimeoutError` where none comes for long."""
    one.settimeout(30)
    for _ in range(count):
        one.recv(64)


def drain(one: socket.socket) -> None:
    """Take what has arrived by now."""
    time.sleep(0.05)
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while one.recv(64):
            pass


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    folder = tmp_path / "state"
    folder.mkdir()
    made = Net(folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def block() -> Block:
    return Block(Options(shadow=0.0, watch=0.5))


def watch_until(net: Net, patch: pytest.MonkeyPatch, seen: Callable[[], object]) -> None:
    """Let a watch that has settled last until `seen` returns, not for a time: this machine may stand still in it."""

    class Watched(threading.Event):
        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            if self.waits != 2:
                return super().wait(timeout)
            seen()
            return False

    patch.setattr(of(net.machine), "watch", lambda: contextlib.nullcontext(Watched()))


def counted(net: Net, what: str, more: int) -> None:
    """Wait until the kernel has counted so many more packets of the neighbour: `matched` by its ban, or `leaked`."""
    network = parse(OUTSIDE)
    before, end = getattr(counts(net.machine, network), what), time.monotonic() + 30
    while getattr(counts(net.machine, network), what) < before + more:
        assert time.monotonic() < end, f"{more} more packets are never {what}"
        time.sleep(0.01)
