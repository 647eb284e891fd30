"""Claims: exposure of 200 listeners at 2,000 rules is judged in under 300 ms, and again after one rule of 1,000 changed in under 100 ms.

What is timed is what the core does for one run of the judge: decode the stored rows, read them, evaluate every listener from every vantage,
build rows and events, encode what changed. The first figure is a judge that has just started (nothing remembered); the second one that
has judged before, with one rule of 1,000 replaced. The rows are those that `nft -j` and `ip -j` give for the ruleset, made here once in
a network namespace of their own by the real collector; needs root. Four vantages: internet, two attached networks, this host.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
REACH_S = {"200 listeners, 2,000 rules": 0.300, "one rule of 1,000 changed": 0.100}
LISTENERS = 200
LINKS = """
ip link set lo up
ip link add out type bridge && ip addr add 198.51.100.5/24 dev out && ip link set out up
ip link add lan type bridge && ip addr add 10.1.0.1/24 dev lan && ip link set lan up
ip addr add 2001:db8::5/64 dev out nodad
ip route add default via 198.51.100.1
ip -6 route add default via 2001:db8::1
"""


def ruleset(rules: int, changed: bool = False) -> str:
    """Return an nft program: `rules` rules, of many kinds, most of which concern some listener."""
    kinds = (
        "tcp dport {port} accept",
        "ip saddr 203.0.{net}.0/24 tcp dport {port} accept",
        "iifname \"lan\" udp dport {port} accept",
        "ip6 saddr 2001:db8:{net:x}::/48 tcp dport {port} drop",
        "ct state new tcp dport {{ {port}, {next} }} counter accept",
    )  # fmt: skip
    lines = [
        kinds[number % len(kinds)].format(port=1000 + number % 400, next=2000 + number % 400, net=number % 250)
        for number in range(rules)
    ]
    if changed:
        lines[rules // 2] = "tcp dport 65000 accept"
    body = "\n".join(lines)
    return (
        f"table inet bench {{\nchain service {{\n{body}\n}}\nchain input {{\ntype filter hook input priority 0; policy drop;\n"
        'ct state established,related accept\niifname "lo" accept\njump service\n}\n}\n'
    )


def listeners() -> dict[str, Any]:
    """Return the rows of 200 listeners: TCP and UDP, one family or both, on every address, on one, on loopback."""
    from contracts.subjects.ports import Listener

    rows = {}
    places = (("0.0.0.0", 4), ("::", 6), ("10.1.0.1", 4), ("127.0.0.1", 4))
    for number in range(LISTENERS):
        address, family = places[number % len(places)]
        protocol = "udp" if number % 5 == 0 else "tcp"
        row = Listener(
            protocol=protocol,
            family=family,
            address=address,
            port=1000 + number * 2,
            v6only=False,
            process=f"service{number}",
        )
        rows[f"{protocol}/{address}:{row.port}"] = row
    return rows


def look(program: str) -> dict[str, Any]:
    """Return the rows of datapath for an nft program loaded in this namespace."""
    from collectors.firewall.datapath import DatapathCollector, Options
    from contracts.host import ReadOnlyHost
    from contracts.snapshot import Snapshot
    from contracts.subjects.datapath import Row, Vantage
    from host.linux import LinuxHost

    subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + program, text=True, check=True)
    vantages = (
        Vantage(name="internet", sources=("0.0.0.0/0", "::/0"), interface="out"),
        Vantage(name="out", sources=("198.51.100.0/24", "2001:db8::/64"), interface="out"),
        Vantage(name="lan", sources=("10.1.0.0/24",), interface="lan"),
        Vantage(name="loopback", sources=("127.0.0.0/8", "::1/128"), interface="lo"),
    )
    empty: Snapshot[Row] = Snapshot(subject="datapath")
    return dict(
        DatapathCollector(Options(vantages=vantages)).collect(cast(ReadOnlyHost, LinuxHost()), empty).changes.put
    )


def encoded(rows: dict[str, Any]) -> dict[str, bytes]:
    """Return rows as the state stores them."""
    import msgspec

    return {key: msgspec.msgpack.encode(row) for key, row in rows.items()}


class Core:
    """Judges as the core does: from stored rows to encoded changes."""

    def __init__(self) -> None:
        from analysis.exposure import ExposureJudge

        self.judge = ExposureJudge()
        self.before: dict[str, Any] = {}

    def run(self, ways: dict[str, bytes], ports: dict[str, bytes]) -> tuple[float, float, int]:
        """Judge once; returns the seconds that took, those of the processor, and how many rows there are."""
        from contracts.judge import View
        from contracts.snapshot import Snapshot, apply, decode, encode
        from contracts.subjects.exposure import Exposure

        before: Snapshot[Exposure] = Snapshot(subject="exposure", revision=int(bool(self.before)), rows=self.before)
        start, busy = time.perf_counter(), time.process_time()
        stored = {"datapath": ways, "ports": ports}
        snapshots: dict[str, Snapshot[Any]] = {
            name: Snapshot(subject=name, revision=1, rows=decode(stored[name], row))
            for name, row in self.judge.subjects.items()
        }
        report = self.judge.judge(View(snapshots=snapshots, accepted={}, now_ms=1), before)
        encode(report.changes)
        taken, busy = time.perf_counter() - start, time.process_time() - busy
        self.before = apply(self.before, report.changes)
        return taken, busy, len(self.before)


def measure(rounds: int) -> tuple[dict[str, list[tuple[float, float]]], int]:
    """Return the seconds of every round of both cases (all, and the processor's), and how many rows were judged."""
    sys.path.insert(0, str(ROOT))
    subprocess.run(["sh", "-ec", LINKS], check=True)
    ports = encoded(listeners())
    large = encoded(look(ruleset(2000)))
    small, other = encoded(look(ruleset(1000))), encoded(look(ruleset(1000, changed=True)))
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in REACH_S}
    first, second = taken.values()
    rows = 0
    again = Core()
    again.run(small, ports)
    for number in range(rounds):
        *seconds, rows = Core().run(large, ports)
        first.append((seconds[0], seconds[1]))
        second.append(again.run(small if number % 2 else other, ports)[:2])
    return taken, rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if os.geteuid() != 0:
            raise SystemExit("needs root to make a network namespace")
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, __file__, "--inside", *sys.argv[1:]])
    taken, rows = measure(arguments.rounds)
    medians = {name: statistics.median(wall for wall, _ in values) for name, values in taken.items()}
    busy = {name: statistics.median(cpu for _, cpu in values) for name, values in taken.items()}
    worst = {name: max(wall for wall, _ in values) for name, values in taken.items()}
    reached = all(medians[name] < limit for name, limit in REACH_S.items())
    if arguments.json:
        print(
            json.dumps(
                {
                    "reach_s": REACH_S,
                    "median_s": medians,
                    "max_s": worst,
                    "cpu_s": busy,
                    "rows": rows,
                    "reached": reached,
                }
            )
        )
    else:
        print(f"exposure, {rows} rows from {LISTENERS} listeners and 4 vantages")
        for name, limit in REACH_S.items():
            print(
                f"  {name:28} reach {limit * 1000:.0f} ms  median {medians[name] * 1000:.0f} ms"
                f"  max {worst[name] * 1000:.0f} ms  (processor alone: median {busy[name] * 1000:.0f} ms)"
            )
        print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
