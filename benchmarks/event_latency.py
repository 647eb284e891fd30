"""Claim: a new listener is an event in the console's store with p99 under 2 s, a flushed ruleset with p99 under 1 s.

Console and agent run for real in a network namespace of their own, over mutual TLS on its loopback. A round opens a listener (or flushes
a small ruleset) and watches the console's database until the event is there. Polling agents of this field take 60 to 360 s.
"""

import argparse
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULESET = """table inet bench {
    chain input {
        type filter hook input priority 0; policy accept;
        tcp dport 9 drop
    }
}
"""
REACH_S = {"listener": 2.0, "flush": 1.0}


class Watched:
    """The console's database, read as another process may."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)

    def count(self, kind: str) -> int:
        return int(self._db.execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()[0])

    def wait(self, kind: str, more_than: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.count(kind) <= more_than:
            if time.monotonic() > end:
                raise SystemExit(f"no {kind} within {seconds} s")
            time.sleep(0.004)


def measure(
    rounds: int, database: Watched, kind: str, cause: Callable[[], None], undo: Callable[[], None]
) -> list[float]:
    """Return the seconds from cause to stored event, one per round."""
    taken = []
    for _ in range(rounds):
        before = database.count(kind)
        start = time.monotonic()
        cause()
        database.wait(kind, before, 30)
        taken.append(time.monotonic() - start)
        undo()
        # An uneven pause, so that rounds do not fall into step with a poll.
        time.sleep(1.5 + (len(taken) * 0.137) % 1.0)
    return taken


def nft(ruleset: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=ruleset, text=True, check=True)


def run(rounds: int) -> dict[str, list[float]]:
    """Run both measurements inside the namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sockets: list[socket.socket] = []

    def open_listener() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sockets.append(listener)

    def close_listener() -> None:
        sockets.pop().close()

    with tempfile.TemporaryDirectory() as folder:
        started = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "run_local.py"), "--state", folder, "--json"], stdout=subprocess.PIPE
        )
        try:
            assert started.stdout is not None
            json.loads(started.stdout.readline())
            database = Watched(next((Path(folder) / "console").glob("*.db")))
            database.wait("ports.first_look", 0, 30)
            time.sleep(3)
            listener = measure(rounds, database, "ports.listener_opened", open_listener, close_listener)
            nft(RULESET)
            time.sleep(3)
            flush = measure(
                rounds, database, "firewall.ruleset_flushed", lambda: nft("flush ruleset"), lambda: nft(RULESET)
            )
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)
    return {"listener": listener, "flush": flush}


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if os.geteuid() != 0:
            raise SystemExit("needs root to make a network namespace")
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, __file__, "--inside", *sys.argv[1:]])
    taken = run(arguments.rounds)
    rows = {
        name: {
            "reach_p99_s": REACH_S[name],
            "median_s": statistics.median(values),
            "p99_s": percentile(values, 0.99),
            "max_s": max(values),
            "rounds": len(values),
        }
        for name, values in taken.items()
    }
    if arguments.json:
        print(json.dumps(rows))
    else:
        for name, row in rows.items():
            print(
                f"{name:9} p99 {row['p99_s']:.3f} s (reach {row['reach_p99_s']} s)  median {row['median_s']:.3f} s"
                f"  max {row['max_s']:.3f} s  n={row['rounds']}"
            )
    return 0 if all(row["p99_s"] < row["reach_p99_s"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
