"""A server with a firewall, a container behind it and somebody outside, each a network namespace; looked at by the real collectors."""

import contextlib
import json
import os
import select
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from contracts.subjects import datapath, ports

ROOT = Path(__file__).resolve().parents[3]
LISTEN = """
import socket, sys
kept = []
for word in sys.argv[1:]:
    address, _, port = word.rpartition(":")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, int(port)))
    one.listen()
    kept.append(one)
print("ready", flush=True)
while True:
    sys.stdin.readline() or sys.exit()
"""
LOOK = """
import sys
sys.path.insert(0, sys.argv[1])
import msgspec
from collectors.firewall.datapath import DatapathCollector, Options
from collectors.ports.collector import PortsCollector
from collectors.ports.options import Options as PortsOptions
from contracts.snapshot import Snapshot
from host.linux import LinuxHost
host = LinuxHost()
told = {}
for collector in (DatapathCollector(Options()), PortsCollector(PortsOptions())):
    report = collector.collect(host, Snapshot(subject=collector.name))
    told[collector.name] = report.changes.put
sys.stdout.buffer.write(msgspec.json.encode(told))
"""
LISTEN_UDP = """
import selectors, socket, sys
ears = selectors.DefaultSelector()
for word in sys.argv[1:]:
    address, _, port = word.rpartition(":")
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((address, int(port)))
    ears.register(one, selectors.EVENT_READ)
ears.register(sys.stdin, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in ears.select():
        if key.fileobj is sys.stdin:
            sys.exit()
        print(key.fileobj.recvfrom(100)[0].decode(), flush=True)
"""
SEND = """
import socket, sys
source, address, port, word, source_port = sys.argv[1:]
one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
one.bind((source, int(source_port)))
one.sendto(word.encode(), (address, int(port)))
"""
CONNECT = """
import socket, sys
source, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
one.settimeout(1.0)
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
one.bind((source, int(sys.argv[4])))
try:
    one.connect((address, port))
    print("reachable")
except OSError:
    print("blocked")
"""


class Scene:
    """Three namespaces: `host` is the server, `outside` everybody else, `inside` its container at 172.17.0.2."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:6]
        self.host, self.outside, self.inside = (f"hfxp{mark}{letter}" for letter in "hoi")
        self._running: list[subprocess.Popen[str]] = []
        self._ears: list[subprocess.Popen[str]] = []

    def build(self) -> None:
        for name in (self.host, self.outside, self.inside):
            subprocess.run(("ip", "netns", "add", name), check=True)
            self.run(name, "ip link set lo up")
        self.run(
            self.host,
            "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0",
        )
        self.run(self.outside, "sysctl -q -w net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0")
        self.run(self.host, f"ip link add eth0 type veth peer name up0 netns {self.outside}")
        self.run(self.host, f"ip link add br0 type bridge; ip link add v0 type veth peer name eth0 netns {self.inside}")
        self.run(self.host, "ip link set br0 name docker0; ip link set v0 master docker0")
        for words in (
            "ip addr add 198.51.100.5/24 dev eth0", "ip addr add 2001:db8:1::5/64 dev eth0 nodad", "ip link set eth0 up",
            "ip addr add 172.17.0.1/16 dev docker0", "ip link set docker0 up", "ip link set v0 up",
            "ip route add default via 198.51.100.1", "ip -6 route add default via 2001:db8:1::1",
        ):  # fmt: skip
            self.run(self.host, words)
        for words in (
            "ip addr add 198.51.100.1/24 dev up0", "ip addr add 2001:db8:1::1/64 dev up0 nodad", "ip link set up0 up",
            "ip addr add 9.9.9.9/32 dev lo", "ip addr add 203.0.113.7/32 dev lo", "ip addr add 2a00::9/128 dev lo nodad",
        ):  # fmt: skip
            self.run(self.outside, words)
        for words in (
            "ip addr add 172.17.0.2/16 dev eth0",
            "ip link set eth0 up",
            "ip route add default via 172.17.0.1",
        ):
            self.run(self.inside, words)

    def run(self, name: str, words: str, stdin: str = "") -> str:
        done = subprocess.run(
            ("ip", "netns", "exec", name, "sh", "-ec", words), input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def listen(self, name: str, *places: str) -> None:
        """Listen at each `ADDRESS:PORT` until the scene ends."""
        running = subprocess.Popen(
            ("ip", "netns", "exec", name, sys.executable, "-c", LISTEN, *places),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(running)
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"

    def listen_udp(self, name: str, *places: str) -> None:
        """Take datagrams at each `ADDRESS:PORT` until the scene ends."""
        running = subprocess.Popen(
            ("ip", "netns", "exec", name, sys.executable, "-c", LISTEN_UDP, *places),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(running)
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        os.set_blocking(running.stdout.fileno(), False)
        self._ears.append(running)

    def look(self) -> dict[str, dict[str, object]]:
        """Return the rows of datapath and ports as the collectors see them in the server's namespace."""
        done = subprocess.run(
            ("ip", "netns", "exec", self.host, sys.executable, "-c", LOOK, str(ROOT)), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        told = json.loads(done.stdout)
        return {
            "datapath": {key: msgspec.convert(row, datapath.Row) for key, row in told["datapath"].items()},
            "ports": {key: msgspec.convert(row, ports.Listener) for key, row in told["ports"].items()},
        }

    def connect(self, source: str, address: str, port: int, *, source_port: int = 0) -> str:
        """Really connect from `source` outside; returns reachable or blocked."""
        return subprocess.run(
            ("ip", "netns", "exec", self.outside, sys.executable, "-c", CONNECT, source, address, str(port), str(source_port)),
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    def send(self, source: str, address: str, port: int, *, source_port: int = 0) -> str:
        """Really send a datagram from `source` outside; returns reachable if anybody who listens got it before long, else blocked."""
        word = uuid.uuid4().hex
        words = (source, address, str(port), word, str(source_port))
        subprocess.run(("ip", "netns", "exec", self.outside, sys.executable, "-c", SEND, *words), check=True)
        heard = ""
        for _ in range(12):  # waits and not seconds: a machine that stands still takes one of them
            ready, _, _ = select.select([one.stdout for one in self._ears], [], [], 0.05)
            heard += "".join(os.read(ear.fileno(), 1 << 16).decode() for ear in ready)
            if word in heard:
                break
        return "reachable" if word in heard else "blocked"

    def close(self) -> None:
        for running in self._running:
            with contextlib.suppress(OSError):
                running.communicate(timeout=10)
        for name in (self.host, self.outside, self.inside):
            subprocess.run(("ip", "netns", "del", name), check=False)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    try:
        made.build()
        yield made
    finally:
        made.close()
