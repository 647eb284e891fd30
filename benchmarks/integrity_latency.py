"""Claim: at 1,000 changes a second, a change of a watched file is an event in the console's store with p99 under 1 s.

Console and agent run for real in namespaces of their own, over mutual TLS on loopback; the watched folder is on the disk. Files are
created and overwritten at the given rate, each with its time in its name's row here; the time of its event is when the console's
database was first seen to hold it, in a single event or in the list of one that speaks of many. Every change must be there in the end.
The reader looks at one subject at a time: antivirus is off, because its look asks DNS, which there is none of in this namespace.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _installation import ROOT, enter_namespace

REACH_S = 1.0
SETTINGS = """collectors:
  antivirus:
    enabled: false
  integrity:
    enabled: true
    profiles: []
    watch:
      bench:
        paths: [{folder}]
"""


class Seen:
    """When each path was first in the console's store. Reads in a thread, as another process may."""

    def __init__(self, database: Path) -> None:
        self.at: dict[str, float] = {}
        self._path = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        base = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
        last = base.execute("SELECT coalesce(max(rowid), 0) FROM events").fetchone()[0]
        while not self._stop.is_set():
            rows = base.execute(
                "SELECT rowid, kind, body FROM events WHERE rowid > ? ORDER BY rowid", (last,)
            ).fetchall()
            now = time.monotonic()
            for rowid, kind, body in rows:
                last = rowid
                if not kind.startswith("integrity."):
                    continue
                for path in _paths(body):
                    self.at.setdefault(path, now)
            self._stop.wait(0.01)


def _paths(body: bytes) -> list[str]:
    import msgspec

    event = msgspec.msgpack.decode(body)["event"]
    fields = event["fields"]
    if "changes" in fields:
        return [line.split(" ")[1] for line in fields["changes"]]
    return [fields["path"]] if "path" in fields else []


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def change(folder: Path, rate: int, seconds: int) -> dict[str, float]:
    """Create files at `rate` a second in a hundred folders; returns when each was closed."""
    done: dict[str, float] = {}
    started = time.monotonic()
    for number in range(rate * seconds):
        due = started + number / rate
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        path = folder / f"{number % 100}" / f"{number}"
        path.write_bytes(b"%d" % number)
        done[str(path)] = time.monotonic()
    took = time.monotonic() - started
    if took > seconds * 1.1:
        raise SystemExit(f"this machine made only {rate * seconds / took:.0f} changes a second")
    return done


def run(rate: int, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place, tempfile.TemporaryDirectory() as state:
        folder = Path(place)
        for number in range(100):
            (folder / str(number)).mkdir()
        settings = Path(state) / "etc" / "agent.d"
        settings.mkdir(parents=True)
        (settings / "integrity.yaml").write_text(SETTINGS.format(folder=folder))
        started = subprocess.Popen(
            [sys.executable, str(ROOT / "tools" / "run_local.py"), "--state", state, "--json"], stdout=subprocess.PIPE
        )
        try:
            assert started.stdout is not None
            json.loads(started.stdout.readline())
            database = next((Path(state) / "console").glob("*.db"))
            _wait_for_baseline(database)
            seen = Seen(database)
            seen.start()
            done = change(folder, rate, seconds)
            until = time.monotonic() + 30
            while len(done.keys() - seen.at.keys()) and time.monotonic() < until:
                time.sleep(0.05)
            seen.stop()
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(30)
    missing = done.keys() - seen.at.keys()
    if missing:
        raise SystemExit(f"{len(missing)} of {len(done)} changes are not in the console's store: {sorted(missing)[:3]}")
    taken = [seen.at[path] - at for path, at in done.items()]
    return {
        "rate": rate,
        "changes": len(done),
        "median_s": percentile(taken, 0.5),
        "p99_s": percentile(taken, 0.99),
        "max_s": max(taken),
        "reach_p99_s": REACH_S,
    }


def _wait_for_baseline(database: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        base = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
        found = base.execute("SELECT count(*) FROM events WHERE kind = 'integrity.sealed'").fetchone()[0]
        base.close()
        if found:
            time.sleep(2)
            return
        time.sleep(0.2)
    raise SystemExit("no baseline within a minute")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    enter_namespace(__file__)
    row = run(arguments.rate, arguments.seconds)
    if arguments.json:
        print(json.dumps(row))
    else:
        print(
            f"{row['changes']} changes at {row['rate']}/s: p99 {row['p99_s']:.3f} s (reach {REACH_S} s)"
            f"  median {row['median_s']:.3f} s  max {row['max_s']:.3f} s"
        )
    return 0 if row["p99_s"] < REACH_S else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
