"""Claim: from a line in a log to the first packet dropped in the kernel, p50 15 ms and p99 60 ms over 1,000 bans; beside fail2ban.

Both work for real, one after the other, in the same network namespace on the same log file: Holdfast as a whole agent (a watcher for
this benchmark alone tails the file; spool, rule, firewall worker and receipts are the product's), fail2ban with its own jail, filter and
nftables action. A neighbour in a namespace of its own sends a packet every millisecond from each source. A ban took from the moment the
source's line was written to the moment its first packet was sent that did not arrive.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _installation import enter_namespace

ROOT = Path(__file__).resolve().parents[1]
REACH_P50_S, REACH_P99_S = 0.015, 0.060
NEAR, PORT = "10.255.0.1", 7000
TICK_S = 0.001
QUIET_S = 0.15
"""A source of which nothing arrived for so long is banned."""
GIVE_UP_S = 30.0
SETTLE_S = 0.1

AGENT = """
directories: {{state: {folder}/agent/state, runtime: {folder}/agent/run}}
outputs: {{journald: {{enabled: false}}}}
actions: {{block: {{shadow: 0s, max_per_minute: 1000000}}}}
rules:
  - when: bench.offence
    do: block
    with: {{address: "{{address}}", handshake: true}}
    dry_run: false
    at_most: {{times: 100000, per: 60s}}
"""
CATALOGS = """
import actions.catalog, collectors.catalog
from contracts.catalog import Entry
collectors.catalog.CATALOG += (Entry(name="bench", target="_bench_tail:Tail", worker="reader"),)
collectors.catalog.WATCHERS += (Entry(name="bench", target="_bench_tail:TailWatcher", worker="reader"),)
"""
"""Run by Python at its start (`sitecustomize`), so that the agent's own processes know the watcher."""

JAIL = """
[DEFAULT]
backend = {backend}
usedns = no
[bench]
enabled = true
filter = bench
logpath = {log}
maxretry = 1
findtime = 600
bantime = 3600
action = nftables-allports[name=bench, protocol=udp]
"""
FILTER = "[Definition]\nfailregex = offence from <HOST>$\n"


class NotBanned(Exception):
    """A source went on sending."""


class Neighbour:
    """Another network namespace, joined by a veth; sockets made in it by a thread that entered it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "3600"])
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        self._ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.process.pid))
        self._ip("addr", "add", f"{NEAR}/30", "dev", "near")
        self._ip("link", "set", "near", "up")
        self._ip("route", "add", "10.0.0.0/9", "dev", "near")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", "10.255.0.2/30", "dev", "far"),
            ("link", "set", "far", "up"),
            ("route", "add", "local", "10.0.0.0/9", "dev", "lo"),
        ):
            subprocess.run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "ip", *words], check=True)
        for name in ("all", "near"):
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")

    def sockets(self, addresses: list[str]) -> list[socket.socket]:
        """Return a socket bound to each address."""
        made: list[socket.socket] = []

        def make() -> None:
            handle = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
            if ctypes.CDLL(None).setns(handle, 0x40000000):
                raise SystemExit("cannot enter the neighbour's namespace")
            os.close(handle)
            for address in addresses:
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.bind((address, 0))
                one.setblocking(False)
                made.append(one)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True)


class Source:
    """One address that sends until it is banned."""

    def __init__(self, address: str, sender: socket.socket) -> None:
        self.address, self.sender = address, sender
        self.sent: list[float] = []
        self.arrived = 0
        self.last_arrival = time.monotonic()
        self.began = time.monotonic()
        self.triggered = 0.0
        self.first_lost: float | None = None

    def latency(self) -> float:
        """Return the seconds from the trigger to the first packet lost."""
        return self.sent[self.arrived] - self.triggered


def measure(addresses: list[str], neighbour: Neighbour, log: Path, every_s: float) -> list[float]:
    """Trigger every `every_s` seconds, and return each ban's latency."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ear.bind((NEAR, PORT))
    ear.setblocking(False)
    waiting = [Source(address, one) for address, one in zip(addresses, neighbour.sockets(addresses), strict=True)]
    waiting.reverse()
    active: dict[str, Source] = {}
    taken: list[float] = []
    trace = os.open(log, os.O_WRONLY | os.O_APPEND)
    due = time.monotonic()
    while waiting or active:
        now = time.monotonic()
        if waiting and now >= due:
            source = waiting.pop()
            source.began = source.last_arrival = now
            active[source.address] = source
            due = now + every_s
        for source in list(active.values()):
            _send(source)
            _drain(ear, active)
            if not source.triggered and time.monotonic() - source.began > SETTLE_S:
                line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} bench: offence from {source.address}\n".encode()
                source.triggered = time.monotonic()
                os.write(trace, line)
            elif source.triggered and time.monotonic() - source.last_arrival > QUIET_S:
                taken.append(source.latency())
                source.sender.close()
                del active[source.address]
            elif source.triggered and time.monotonic() - source.triggered > GIVE_UP_S:
                raise NotBanned(f"{source.address} was not banned within {GIVE_UP_S:g} s")
        time.sleep(max(0.0, TICK_S - (time.monotonic() - now)))
    os.close(trace)
    ear.close()
    return taken


def _send(source: Source) -> None:
    number = len(source.sent)
    source.sent.append(time.monotonic())
    with contextlib.suppress(OSError):
        source.sender.sendto(f"{number}".encode(), (NEAR, PORT))


def _drain(ear: socket.socket, active: dict[str, Source]) -> None:
    """Take what has arrived; a veth delivers before `sendto` returns."""
    while True:
        try:
            body, (address, _) = ear.recvfrom(64)
        except BlockingIOError:
            return
        source = active.get(address)
        if source is not None:
            source.arrived = int(body) + 1
            source.last_arrival = time.monotonic()


@contextlib.contextmanager
def holdfast(folder: Path, log: Path) -> Iterator[None]:
    """Run an agent whose rule answers the log."""
    for name in ("agent/state", "agent/run", "python"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "agent.yaml").write_text(AGENT.format(folder=folder))
    shutil.copy(Path(__file__).with_name("_bench_tail.py"), folder / "python")
    (folder / "python" / "sitecustomize.py").write_text(CATALOGS)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'python'}:{ROOT}",
        "HOLDFAST_BENCH_LOG": str(log),
        "MALLOC_ARENA_MAX": "1",
    }
    command = [sys.executable, "-P", "-m", "agent.daemon", "-c", str(folder / "agent.yaml")]
    with open(folder / "agent.log", "wb") as said:
        agent = subprocess.Popen(command, env=environment, stderr=said, stdout=said, cwd=ROOT)
        try:
            _wait(lambda: (folder / "agent/run/control.sock").exists(), "the agent's control socket", said.name)
            time.sleep(6)
            yield
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(30)
            subprocess.run(["nft", "flush", "ruleset"], check=True)


@contextlib.contextmanager
def fail2ban(folder: Path, log: Path) -> Iterator[None]:
    """Run fail2ban whose jail answers the log."""
    has_inotify = subprocess.run(["/usr/bin/python3", "-c", "import pyinotify"], capture_output=True, check=False)
    etc = folder / "fail2ban"
    shutil.copytree("/etc/fail2ban", etc)
    for stale in ("jail.local", "jail.d"):
        path = etc / stale
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    backend = "polling" if has_inotify.returncode else "pyinotify"
    (etc / "jail.conf").write_text(JAIL.format(backend=backend, log=log))
    (etc / "filter.d" / "bench.conf").write_text(FILTER)
    places = {"socket": "f2b.sock", "pidfile": "f2b.pid", "dbfile": "f2b.db", "logtarget": "f2b.log"}
    settings = "\n".join(["[Definition]", *(f"{name} = {folder}/{file}" for name, file in places.items()), ""])
    (etc / "fail2ban.local").write_text(settings)
    client = ["fail2ban-client", "-c", str(etc), "-s", f"{folder}/f2b.sock", "-p", f"{folder}/f2b.pid"]
    with open(folder / "f2b.out", "wb") as said:
        server = subprocess.Popen([*client, "-f", "start"], stdout=said, stderr=said)
        try:
            _wait(
                lambda: subprocess.run([*client, "ping"], capture_output=True, check=False).returncode == 0,
                "fail2ban",
                said.name,
            )
            time.sleep(3)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
            subprocess.run(["nft", "flush", "ruleset"], check=True)


def _events(control: Path, address: str) -> str:
    """Return what the agent says of `address`, and whatever else it said that is not one of many."""
    if not control.exists():
        return ""
    command = [str(Path(sys.executable).with_name("holdfast")), "events", "--limit", "10000", "--socket", str(control)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    many = ("bench.offence", "firewall.ruleset_committed", "block.address_blocked", "agent.action_done")
    return "\n".join(line for line in lines if address in line.split() or not any(kind in line for kind in many))


def _wait(ready: Callable[[], bool], what: str, log: str) -> None:
    end = time.monotonic() + 60
    while not ready():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come up: {Path(log).read_text()[-2000:]}")
        time.sleep(0.1)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(bans: int, peers: int, every_s: float) -> dict[str, list[float]]:
    """Measure both inside the namespace."""
    neighbour = Neighbour()
    found: dict[str, list[float]] = {}
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            log = folder / "bench.log"
            log.touch(0o644)
            runs = (("Holdfast", holdfast, bans, 20), ("fail2ban", fail2ban, peers, 60))
            for title, start, count, network in runs:
                if not count:
                    continue
                addresses = [
                    f"10.{network + number // 60000}.{number // 250 % 250}.{number % 250 + 1}"
                    for number in range(count)
                ]
                with start(folder, log):
                    try:
                        found[title] = measure(addresses, neighbour, log, every_s)
                    except NotBanned as error:
                        said = "".join(path.read_text()[-3000:] for path in folder.glob("*.log") if path != log)
                        said += _events(folder / "agent/run/control.sock", str(error).split()[0])
                        raise SystemExit(f"{title}: {error}\n{said}") from error
    finally:
        neighbour.close()
    return found


def main() -> int:
    enter_namespace(__file__)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bans", type=int, default=1000)
    parser.add_argument("--peers", type=int, default=1000, help="how many bans fail2ban is asked for")
    parser.add_argument("--every", type=float, default=0.1, help="seconds between two triggers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    found = run(arguments.bans, arguments.peers, arguments.every)
    rows = {
        name: {
            "bans": len(values),
            "median_s": statistics.median(values),
            "p99_s": percentile(values, 0.99),
            "max_s": max(values),
        }
        for name, values in found.items()
    }
    if arguments.json:
        print(json.dumps(rows))
    else:
        for name, row in rows.items():
            print(
                f"{name:9} p50 {row['median_s'] * 1000:8.1f} ms  p99 {row['p99_s'] * 1000:8.1f} ms"
                f"  max {row['max_s'] * 1000:8.1f} ms  n={row['bans']}"
            )
        print(f"reach: p50 {REACH_P50_S * 1000:g} ms, p99 {REACH_P99_S * 1000:g} ms")
    ours = rows["Holdfast"]
    return 0 if ours["median_s"] <= REACH_P50_S and ours["p99_s"] <= REACH_P99_S else 1


if __name__ == "__main__":
    sys.exit(main())
