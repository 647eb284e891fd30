"""Claim: core, netfilter and reader worker take at most 75 MB together (PSS) after real work, on-demand workers gone; aim 60.

A console takes the agent's reports meanwhile. Work: every second a listener opens or closes and a rule comes or goes, so that looks,
events, judges, spool and reports all run. The peer's figure is the limit that osquery gives its watchdog (200 MB). Everything that the
agent starts counts: launcher and helper processes too.
"""

import argparse
import json
import socket
import subprocess
import sys
import time

from _installation import enter_namespace, installation, pss_bytes, tree

sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[1]))

REACH_MB, AIM_MB, PEER_MB = 75.0, 60.0, 200.0


def work(seconds: float) -> int:
    """Change listeners and rules for `seconds`; return how many changes were made."""
    nft = ["nft", "-f", "-"]
    subprocess.run(
        nft, input="table inet bench { chain input { type filter hook input priority 0; }; }", text=True, check=True
    )
    end, changes, opened = time.monotonic() + seconds, 0, list[socket.socket]()
    while time.monotonic() < end:
        if changes % 2 == 0:
            opened.append(socket.create_server(("127.0.0.1", 0)))
            if len(opened) > 5:
                opened.pop(0).close()
        else:
            rule = f"add rule inet bench input tcp dport {1000 + changes % 5000} accept"
            subprocess.run(nft, input="flush table inet bench" if changes % 40 == 39 else rule, text=True, check=True)
        changes += 1
        time.sleep(1)
    return changes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    enter_namespace(__file__)
    from agent.control import ask

    with installation() as (pid, control):
        time.sleep(10)
        changes = work(arguments.minutes * 60)
        time.sleep(5)
        status = ask(control, "status")
        roles = {status["pid"]: "core"} | {
            worker["pid"]: worker["name"] for worker in status["workers"] if worker["pid"]
        }
        used = {each: pss_bytes(each) / 1e6 for each in tree(pid)}
        events = sum(lane["next_seq"] - 1 for lane in status["lanes"])
    total = sum(used.values())
    parts = {f"{roles.get(each, 'helper')} {each}": round(value, 1) for each, value in used.items()}
    row = {
        "reach_mb": REACH_MB,
        "aim_mb": AIM_MB,
        "measured_mb": round(total, 1),
        "parts_mb": parts,
        "peer_limit_mb": PEER_MB,
        "ratio": round(total / PEER_MB, 3),
        "minutes": arguments.minutes,
        "changes": changes,
        "events": events,
        "restarts": sum(worker["restarts"] for worker in status["workers"]),
    }
    if arguments.json:
        print(json.dumps(row))
    else:
        print(
            f"idle memory: {total:.1f} MB PSS (reach {REACH_MB:.0f}, aim {AIM_MB:.0f}; osquery's limit {PEER_MB:.0f}, ratio {row['ratio']})"
        )
        print(f"  after {arguments.minutes:g} min with {changes} changes and {events} events: {parts}")
    return 0 if total <= REACH_MB and events else 1


if __name__ == "__main__":
    sys.exit(main())
