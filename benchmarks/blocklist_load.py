"""Claim: a blocklist of 100,000 networks is loaded within 1.5 times the time that a raw `nft -f` of the same takes.

The deed is the product's whole `blocklist` action on the real host: the file is read and checked, what this host needs is left out, the
kernel's sets are compared, and the difference is loaded and saved. Beside it, in turn in the same run, `nft -f` of a file with the same
networks into a set of the same kind. All in a network namespace of its own; needs root.
"""

import argparse
import ipaddress
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from actions.block.blocklist import Blocklist, Options  # noqa: E402
from contracts.action import Command  # noqa: E402
from contracts.outcome import Ok  # noqa: E402
from host.linux import LinuxHost  # noqa: E402

REACH = 1.5


def networks(count: int, seed: int) -> list[str]:
    """Return `count` networks and addresses that do not touch each other, as lists hold them: mostly single addresses and /24s."""
    chance = random.Random(seed)
    blocks = chance.sample(range(11 << 16, 100 << 16), count)
    return [
        str(ipaddress.ip_network((block << 8, 24)) if block % 3 == 0 else ipaddress.ip_address((block << 8) + 7))
        for block in blocks
    ]


def timed(deed: Callable[[], object]) -> float:
    start = time.perf_counter()
    deed()
    return time.perf_counter() - start


def raw(folder: Path, listed: list[str]) -> float:
    """Return the seconds that nft alone needs."""
    file = folder / "raw.nft"
    elements = "{ " + ", ".join(listed) + " }"
    file.write_text(f"add element inet raw listed4 {elements}\n")
    subprocess.run(
        ["nft", "add table inet raw; add set inet raw listed4 { type ipv4_addr; flags interval; }"], check=True
    )
    seconds = timed(lambda: subprocess.run(["nft", "-f", str(file)], check=True))
    subprocess.run(["nft", "delete", "table", "inet", "raw"], check=True)
    return seconds


class Ours:
    """The action with its own state folder."""

    def __init__(self, folder: Path) -> None:
        self.host = LinuxHost()
        self.host.state = str(folder)
        self.file = folder / "list.txt"
        self.action = Blocklist(Options(lists={"bench": str(self.file)}))

    def load(self, listed: list[str]) -> float:
        self.file.write_text("\n".join(["# a list", *listed, ""]))
        command = Command(id="bench", action="blocklist", who="root", dry_run=False)
        results = []
        seconds = timed(lambda: results.append(self.action.do(self.host, command, lambda *_: None)))
        if results[0].outcome != Ok():
            raise SystemExit(str(results[0].outcome))
        return seconds

    def forget(self) -> None:
        subprocess.run(["nft", "delete", "table", "inet", "holdfast_block"], check=True)


def run(count: int, rounds: int) -> dict[str, float]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    taken: dict[str, list[float]] = {"nft": [], "ours": [], "again": []}
    with tempfile.TemporaryDirectory() as name:
        ours = Ours(Path(name))
        for number in range(rounds):
            listed = networks(count, number)
            taken["nft"].append(raw(Path(name), listed))
            taken["ours"].append(ours.load(listed))
            taken["again"].append(ours.load([*listed[100:], *networks(50, number + 1000)]))
            ours.forget()
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if os.geteuid() != 0:
            raise SystemExit("needs root to make a network namespace")
        os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]])
    seconds = run(arguments.networks, arguments.rounds)
    ratio = seconds["ours"] / seconds["nft"]
    if arguments.json:
        print(json.dumps({**seconds, "ratio": ratio}))
    else:
        print(
            f"{arguments.networks} networks: ours {seconds['ours']:.3f} s, nft -f {seconds['nft']:.3f} s, ratio {ratio:.2f}"
            f" (reach {REACH}); 150 networks changed: {seconds['again']:.3f} s"
        )
    return 0 if ratio <= REACH else 1


if __name__ == "__main__":
    sys.exit(main())
