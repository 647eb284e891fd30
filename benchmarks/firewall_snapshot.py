"""Claim: a firewall snapshot at 10,000 rules takes at most 1.5 times as long as `nft -j list ruleset` alone.

The snapshot is the collector's whole `collect()` through the real host: listing, outline, legacy tables, comparing with
the snapshot before. Three cases: nothing changed, one rule inserted at the top, and the first look; each must reach the figure. Beside
them, in turn in the same run, `nft -j list ruleset` (the peer) and `nft list ruleset` (which is faster, and what the collector itself
asks) as plain subprocesses with their output thrown away. All in a network namespace of its own; needs root.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REACH = 1.5
CASES = ("unchanged", "one rule inserted", "first look")


def ruleset(rules: int) -> str:
    lines = "\n".join(
        f"ip saddr 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255} tcp dport {1000 + number % 50000} counter accept"
        for number in range(rules)
    )
    return f"table inet bench {{\nchain input {{\ntype filter hook input priority 0; policy drop;\n{lines}\n}}\n}}\n"


def timed(deed: Callable[[], object]) -> float:
    start = time.perf_counter()
    deed()
    return time.perf_counter() - start


def nft(*arguments: str) -> None:
    subprocess.run(["nft", *arguments], stdout=subprocess.DEVNULL, check=True)


def pss_mb() -> float:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def measure(rules: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every case and of both peers."""
    sys.path.insert(0, str(ROOT))
    from collectors.firewall.collector import FirewallCollector, Options
    from contracts.snapshot import Snapshot, apply
    from contracts.subjects.firewall import Row
    from host.linux import LinuxHost

    subprocess.run(["nft", "-f", "-"], input=ruleset(rules), text=True, check=True)
    host, collector = LinuxHost(), FirewallCollector(Options())
    empty: Snapshot[Row] = Snapshot(subject="firewall")
    report = collector.collect(host, empty)
    before = Snapshot(subject="firewall", revision=1, rows=apply({}, report.changes))
    taken: dict[str, list[float]] = {name: [] for name in (*CASES, "nft", "nft -j")}
    for _ in range(rounds):
        taken["nft"].append(timed(lambda: nft("list", "ruleset")))
        taken["unchanged"].append(timed(lambda: collector.collect(host, before)))
        taken["nft -j"].append(timed(lambda: nft("-j", "list", "ruleset")))
        nft("insert", "rule", "inet", "bench", "input", "tcp", "dport", "1", "drop")
        taken["one rule inserted"].append(timed(lambda: collector.collect(host, before)))
        taken["first look"].append(timed(lambda: collector.collect(host, empty)))
        subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + ruleset(rules), text=True, check=True)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if os.geteuid() != 0:
            raise SystemExit("needs root to make a network namespace")
        os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]])
    taken = measure(arguments.rules, arguments.rounds)
    gc.collect()
    taken["pss after, MB"] = [pss_mb()]
    peer, text = statistics.median(taken["nft -j"]), statistics.median(taken["nft"])
    ratios = {name: statistics.median(taken[name]) / peer for name in CASES}
    reached = max(ratios.values()) <= REACH
    medians = {name: round(statistics.median(values), 4) for name, values in taken.items()}
    worst = {name: round(max(taken[name]), 4) for name in CASES}
    if arguments.json:
        print(json.dumps({"reach": REACH, "median_s": medians, "max_s": worst, "ratio": ratios, "reached": reached}))
    else:
        print(f"firewall snapshot at {arguments.rules} rules: reach {REACH:.1f} x `nft -j list ruleset` ({peer:.3f} s)")
        for name in CASES:
            print(
                f"  {name:18} median {medians[name]:.3f} s  max {worst[name]:.3f} s  ratio {ratios[name]:.2f}"
                f"  (to nft list ruleset without -j: {medians[name] / text:.2f})"
            )
        print(f"  beside: nft list ruleset {text:.3f} s; memory afterwards {medians['pss after, MB']:.1f} MB PSS")
        print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
