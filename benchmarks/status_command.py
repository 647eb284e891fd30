"""Claim: `holdfast status` answers in under 150 ms (median), measured from the shell's point of view against a real agent.

Beside it: how long a Python that does nothing takes on the same machine in the same run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _installation import enter_namespace, installation

REACH_MS = 150.0


def timed(argv: list[str], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    enter_namespace(__file__)
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    with installation() as (_, control):
        time.sleep(5)
        status = timed([holdfast, "status", "--socket", str(control)], arguments.rounds)
        bare = timed([sys.executable, "-c", "pass"], arguments.rounds)
    median, base = statistics.median(status), statistics.median(bare)
    p99 = status[min(len(status) - 1, int(0.99 * len(status)))]
    row = {
        "reach_median_ms": REACH_MS,
        "median_ms": round(median, 1),
        "p99_ms": round(p99, 1),
        "bare_python_ms": round(base, 1),
        "ratio": round(median / base, 2),
        "rounds": arguments.rounds,
    }
    if arguments.json:
        print(json.dumps(row))
    else:
        print(
            f"holdfast status: median {median:.0f} ms, p99 {p99:.0f} ms (reach {REACH_MS:.0f}); "
            f"a bare Python {base:.0f} ms, ratio {row['ratio']}"
        )
    return 0 if median < REACH_MS else 1


if __name__ == "__main__":
    sys.exit(main())
