"""A console and an agent on loopback in a network namespace of their own, for benchmarks; and what the agent's processes use."""

import compileall
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def compiled() -> None:
    """Have bytecode beside every module, as `make install` leaves it: else each start would compile everything anew."""
    for package in ("actions", "agent", "analysis", "collectors", "console", "contracts", "host", "settings"):
        compileall.compile_dir(ROOT / package, quiet=2)


def enter_namespace(script: str) -> None:
    """Run `script` again inside new network, mount and process namespaces, unless it is in them.

    Processes too, because the agent sees the sockets of every network namespace that a process of its own leads to.
    """
    if "--inside" in sys.argv:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        raise SystemExit("needs root to make a network namespace")
    isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", [*isolated, sys.executable, script, "--inside", *sys.argv[1:]])


@contextmanager
def installation() -> Iterator[tuple[int, Path]]:
    """Start both and yield the agent's process id and its control socket."""
    compiled()
    with tempfile.TemporaryDirectory() as folder:
        # What the agent logs is for a person at a terminal; here it would be mixed with the figures.
        started = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "run_local.py"), "--state", folder, "--json"], stdout=subprocess.PIPE
        )
        try:
            assert started.stdout is not None
            answer = json.loads(started.stdout.readline())
            yield int(answer["agent"]), Path(folder) / "run" / "control.sock"
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)


def tree(pid: int) -> list[int]:
    """Return `pid` and every process below it."""
    try:
        below = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [pid] + [each for child in below for each in tree(child)]


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process, 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its ended children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
