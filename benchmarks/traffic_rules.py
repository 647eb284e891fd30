"""Claim: the sensor holds 370,000 packets a second against 800 rules of ET Open and 215,000 against all of them, in one process.

The capture is that of `traffic_decode.py`: the peers' mixed traffic, written out several times with rewritten addresses, so that every copy
is new flows. Each row is a process of its own: CPU time from the first block asked for (checksums ignored, flows and protocols on), best of
several passes. Beside it: how many rule evaluations a packet costs, load times and memory; Hyperscan scanning the same bytes in blocks of
1 MiB for 3,000 patterns; and tcpdump copying the capture to nowhere. `--profile` prints where the time of one row goes instead.
"""

import argparse
import cProfile
import gc
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import hyperscan

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT.parent / "shared" / "peers" / "et-open"

sys.path.insert(0, str(ROOT))

from benchmarks.traffic_decode import copies, tcpdump  # noqa: E402
from collectors.traffic.flows.store import Columns  # noqa: E402
from collectors.traffic.native import ROOM  # noqa: E402
from collectors.traffic.reading import Reading, ReadOptions  # noqa: E402
from collectors.traffic.rules import checking  # noqa: E402
from collectors.traffic.rules.engine.engine import Engine  # noqa: E402
from collectors.traffic.rules.engine.plan import Compiled  # noqa: E402
from collectors.traffic.rules.engine.prepared import Later, Prepared, prepare  # noqa: E402
from collectors.traffic.rules.engine.sealed import seal, unseal  # noqa: E402
from collectors.traffic.rules.engine.sets import HeaderSets  # noqa: E402

ROWS = {"none": (480_000, 240_000), "800": (370_000, 185_000), "all": (215_000, 107_000)}
"""By row: to reach, and the least; packets a second."""
LOAD_S, CACHED_S, MEMORY_MB = 8.0, 1.0, 400.0
KEY = b"a key of the benchmark's own"
MIB = 1 << 20


def load(row: str) -> tuple[Prepared, float]:
    """Return the rules of a row, ready, and the CPU seconds that took."""
    before = time.process_time()
    rules = [] if row == "none" else checking.check([RULES]).rules
    prepared = prepare(rules[::31] if row == "800" else rules)
    return prepared, time.process_time() - before


def memory() -> float:
    """Return the peak of this process's memory in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(row: str, path: Path, passes: int, profile: bool) -> dict[str, Any]:
    """Return rates and counts of a row."""
    prepared, loading = load(row)
    loaded = {"load": loading, "rules": len(prepared)}
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    best: dict[str, Any] = {}
    for _ in range(passes):
        with path.open("rb", buffering=0) as file:
            reading = Reading(file, prepared, ReadOptions(verify_checksums=False))
            before = time.process_time()
            if profile:
                told = cProfile.Profile(time.process_time)
                alerts = len(told.runcall(list, reading.alerts()))
                pstats.Stats(told).sort_stats("tottime").print_stats(40)
            else:
                alerts = len(list(reading.alerts()))
            cpu = time.process_time() - before
        if not best or cpu < best["cpu"]:
            found, done = dict(reading.engine.found), dict(reading.engine.evaluated)
            best = {"cpu": cpu, "alerts": alerts, "found": found, "evaluated": done}
    return {**loaded, **best, "memory": memory()}


def keep(path: Path) -> dict[str, Any]:
    """Seal all of ET Open into a file; returns its size."""
    path.write_bytes(seal(load("all")[0], KEY, "bench"))
    return {"bytes": path.stat().st_size}


def opened(path: Path) -> dict[str, Any]:
    """Return how long it takes from sealed bytes to an engine that is ready, and the memory of that."""
    before = time.process_time()
    Engine(unseal(path.read_bytes(), KEY, "bench"), Columns(4096))
    return {"ready": time.process_time() - before, "memory": memory()}


def scanned(path: Path) -> dict[str, Any]:
    """Return the rate at which Hyperscan scans the capture in blocks of 1 MiB for 3,000 of the rules' patterns."""
    sets = HeaderSets()
    compiled = [Compiled(rule, sets, Later) for rule in checking.check([RULES]).rules]
    longest = sorted({one.fast.literal for one in compiled if one.fast is not None}, key=len, reverse=True)[:3000]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=["".join(f"\\x{byte:02x}" for byte in literal).encode() for literal in longest],
        ids=list(range(len(longest))),
        elements=len(longest),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(longest),
    )
    data = path.read_bytes()
    hits: list[int] = []
    before = time.process_time()
    for at in range(0, len(data), MIB):
        database.scan(data[at : at + MIB], lambda number, *_: hits.append(number))
    return {"rate": len(data) / (time.process_time() - before), "patterns": len(longest)}


def part(name: str, *words: str) -> dict[str, Any]:
    """Return what a process of its own found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--part", name, *words]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def show(row: str, packets: int, found: dict[str, Any]) -> bool:
    """Print a row; returns whether it is at least what is acceptable."""
    rate, (reach, least) = packets / found["cpu"], ROWS[row]
    print(
        f"{row:5} {found['rules']:6,} rules {rate:10,.0f} packets/s of CPU (to reach {reach:,}; least {least:,})"
        f" {found['alerts']:6,} alerts, loaded in {found['load']:.2f} s, peak {found['memory']:,.0f} MB"
    )
    for what in ("found", "evaluated"):
        shares = ", ".join(f"{name} {count / packets:.3f}" for name, count in sorted(found[what].items()))
        print(f"      {what} per packet: {shares or 'nothing'}")
    return bool(rate >= least and found["load"] <= LOAD_S and found["memory"] <= MEMORY_MB)


def main() -> int:
    """Print the rows; returns 1 when one is below the least that is acceptable."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--row", choices=tuple(ROWS), action="append")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, path = options.part[0], Path(options.part[1])
        parts = {"keep": keep, "opened": opened, "scanned": scanned}
        found = parts[name](path) if name in parts else measure(name, path, int(options.part[2]), profile=False)
        print(json.dumps(found))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path, sealed = Path(folder) / "mixed.pcap", Path(folder) / "sealed"
        packets = copies(path, options.copies)
        rows = options.row or list(ROWS)
        if options.profile:
            for row in rows:
                measure(row, path, 1, profile=True)
            return 0
        print(
            f"{packets:,} packets, {path.stat().st_size:,} bytes, {options.copies} copies; best of {options.passes} passes; {ROOM.how()}"
        )
        good = [show(row, packets, part(row, str(path), str(options.passes))) for row in rows]
        kept = part("keep", str(sealed))
        again = min((part("opened", str(sealed)) for _ in range(3)), key=lambda one: one["ready"])
        raw = part("scanned", str(path))
        peer = min((tcpdump(path) for _ in range(3)), key=lambda one: one["cpu"])
    print(f"sealed {kept['bytes']:,} bytes; ready from them in {again['ready']:.2f} s, peak {again['memory']:,.0f} MB")
    print(f"Hyperscan, {raw['patterns']:,} patterns, blocks of 1 MiB: {raw['rate'] / 1e9:.2f} GB/s")
    print(f"tcpdump -r … -w /dev/null: {packets / peer['cpu']:,.0f} packets/s of CPU")
    return 0 if all(good) and again["ready"] <= CACHED_S else 1


if __name__ == "__main__":
    sys.exit(main())
