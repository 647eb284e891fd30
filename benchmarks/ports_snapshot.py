"""Claim: a ports snapshot at 10,000 listening sockets with owners takes at most 1.5 times as long as `ss -tulpnH` in the same run.

The snapshot is the collector's whole `collect()` through the real host: sockets, owners, processes, packages, rows, comparison with the
snapshot before. Three cases: nothing changed, one listener opened, and the first look. Beside them, in turn in the same run, `ss` as a
plain subprocess with its output thrown away. The sockets (half TCP over IPv4, a quarter TCP over IPv6, a quarter UDP) belong to twenty
processes in a network namespace of its own; needs root. `--sockets 50000` shows how it grows.
"""

import argparse
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
REACH = 1.5
CASES = ("unchanged", "one opened", "first look")
PROCESSES = 20
PORTS = 20_000
"""Ports used per address, below those that the kernel hands out."""


def open_socket(number: int) -> socket.socket:
    kind = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)[number % 4]
    family = socket.AF_INET6 if number % 4 == 1 else socket.AF_INET
    block = number // PORTS + 1
    address = f"fd00::{block}" if family == socket.AF_INET6 else f"127.0.{block}.1"
    one = socket.socket(family, kind)
    one.bind((address, 1024 + number % PORTS))
    if kind == socket.SOCK_STREAM:
        one.listen(16)
    return one


def hold(numbers: range, tell: int) -> NoReturn:
    """Open the sockets in this process, say so, and wait to be killed."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        held = [open_socket(number) for number in numbers]
        os.write(tell, b"x")
        os.close(tell)
        while held:
            signal.pause()
    finally:
        os._exit(1)


@contextmanager
def listeners(count: int) -> Iterator[None]:
    """Hold `count` sockets open in twenty processes."""
    ready, tell = os.pipe()
    pids = []
    for part in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            hold(range(part, count, PROCESSES), tell)
        pids.append(pid)
    try:
        os.close(tell)
        for _ in pids:
            if not os.read(ready, 1):
                raise SystemExit("not all sockets could be opened")
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def timed(deed: Callable[[], object]) -> float:
    start = time.perf_counter()
    deed()
    return time.perf_counter() - start


def ss() -> None:
    subprocess.run(["ss", "-tulpnH"], stdout=subprocess.DEVNULL, check=True)


def measure(rounds: int) -> tuple[dict[str, list[float]], int]:
    """Return the seconds of every case and of the peer, and how many rows there were."""
    sys.path.insert(0, str(ROOT))
    from collectors.ports.collector import PortsCollector
    from collectors.ports.options import Options
    from contracts.snapshot import Snapshot, apply
    from contracts.subjects.ports import Listener
    from host.linux import LinuxHost

    host, collector = LinuxHost(), PortsCollector(Options())
    empty: Snapshot[Listener] = Snapshot(subject="ports")
    before = empty
    taken: dict[str, list[float]] = {name: [] for name in (*CASES, "ss")}
    for _ in range(rounds):
        # As the agent does: what came and went elsewhere on this machine since the last round is no part of this one.
        rows = apply(before.rows, collector.collect(host, before).changes)
        before = Snapshot(subject="ports", revision=1, rows=rows)
        taken["ss"].append(timed(ss))
        taken["unchanged"].append(timed(partial(collector.collect, host, before)))
        taken["first look"].append(timed(partial(collector.collect, host, empty)))
        with socket.create_server(("127.0.0.1", 1)):
            taken["one opened"].append(timed(partial(collector.collect, host, before)))
    return taken, len(before.rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if os.geteuid() != 0:
            raise SystemExit("needs root to make a network namespace")
        os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for block in range(1, arguments.sockets // PORTS + 2):
        subprocess.run(["ip", "address", "add", f"fd00::{block}/128", "dev", "lo", "nodad"], check=True)
    with listeners(arguments.sockets):
        taken, rows = measure(arguments.rounds)
    if rows < arguments.sockets:
        raise SystemExit(f"only {rows} rows for {arguments.sockets} sockets")
    medians = {name: statistics.median(values) for name, values in taken.items()}
    worst = {name: max(values) for name, values in taken.items()}
    # Round by round, because a load that comes and goes meets neighbours alike.
    ratios = {
        name: statistics.median(ours / theirs for ours, theirs in zip(taken[name], taken["ss"], strict=True))
        for name in CASES
    }
    reached = max(ratios.values()) <= REACH
    if arguments.json:
        print(json.dumps({"reach": REACH, "median_s": medians, "max_s": worst, "ratio": ratios, "reached": reached}))
    else:
        print(
            f"ports snapshot at {arguments.sockets} sockets: reach {REACH:.1f} x `ss -tulpnH` ({medians['ss']:.3f} s)"
        )
        for name in CASES:
            print(f"  {name:12} median {medians[name]:.3f} s  max {worst[name]:.3f} s  ratio {ratios[name]:.2f}")
        print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
