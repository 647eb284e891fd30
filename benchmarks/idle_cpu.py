"""Claim: core, netfilter and reader worker take at most 0.5 % of one core while nothing happens.

Measured from the kernel's accounting of every process the agent started, ended children (nft, iptables-save) included, over a few
minutes on a quiet machine, with the console taking heartbeats. The peer's figure is the limit osquery gives its watchdog (10 %).
"""

import argparse
import json
import sys
import time

from _installation import cpu_s, enter_namespace, installation, tree

REACH, PEER = 0.5, 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    enter_namespace(__file__)
    with installation() as (pid, _):
        time.sleep(20)  # the first looks are not idle
        before, began = {each: cpu_s(each) for each in tree(pid)}, time.monotonic()
        time.sleep(arguments.minutes * 60)
        after = {each: cpu_s(each) for each in tree(pid)}
        elapsed = time.monotonic() - began
    parts = {each: round(100 * (value - before.get(each, 0.0)) / elapsed, 3) for each, value in after.items()}
    percent = sum(parts.values())
    row = {
        "reach_percent": REACH,
        "measured_percent": round(percent, 3),
        "parts_percent": parts,
        "peer_limit_percent": PEER,
        "ratio": round(percent / PEER, 4),
        "minutes": arguments.minutes,
    }
    if arguments.json:
        print(json.dumps(row))
    else:
        print(
            f"idle CPU: {percent:.2f} % of one core (reach {REACH}; osquery's limit {PEER:.0f}, ratio {row['ratio']}): {parts}"
        )
    return 0 if percent <= REACH else 1


if __name__ == "__main__":
    sys.exit(main())
