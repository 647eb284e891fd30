"""Claim: when 2,000 agents connect anew at once, all have reported within 20 s and nothing is lost.

Every agent makes a full mutual-TLS handshake, sends a heartbeat and chained events, and counts when the acknowledgement has come. Then the
store is read: every event of every agent must be there exactly once. The agents run in a process of their own on the same cores.
"""

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import sys
import time
from pathlib import Path

from _fleet import client_context, connect, console, events, heartbeat, in_child, request, run_load, share

from contracts.wire import Batch

AGENTS = 2000
EVENTS = 5
REACH_S = 20.0


async def load(folder: Path, port: int, count: int) -> dict[str, float]:
    names = [f"{number:032x}" for number in range(1, count + 1)]
    prepared = [
        (
            client_context(folder, name),
            request(Batch(agent=name, heartbeat=heartbeat(name), lanes=(events(name, EVENTS),))),
        )
        for name in names
    ]
    begin = time.perf_counter()
    done: list[float] = []
    kept = []
    again = 0

    async def one(context: object, whole: bytes) -> None:
        nonlocal again
        while True:
            try:
                agent = await connect(port, context)  # type: ignore[arg-type]
                await agent.send(whole)
            except OSError:
                again += 1
                await asyncio.sleep(0.5)
                continue
            kept.append(agent)
            done.append(time.perf_counter() - begin)
            return

    await asyncio.gather(*(one(context, whole) for context, whole in prepared))
    return {"all_s": max(done), "median_s": statistics.median(done), "p99_s": share(done, 0.99), "again": again}


def held(state: Path) -> tuple[int, int]:
    """Return how many events and how many different ones the store holds."""
    database = sqlite3.connect(f"{(state / 'console.db').as_uri()}?mode=ro", uri=True)
    try:
        return tuple(database.execute("SELECT count(*), count(DISTINCT agent * 1000 + seq) FROM events").fetchone())
    finally:
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=AGENTS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    if arguments.load:
        folder, port, count = arguments.load
        run_load(lambda: load(Path(folder), int(port), int(count)))  # type: ignore[arg-type,return-value]
        return 0
    with console(arguments.agents) as (state, port, _):
        row = in_child(__file__, str(state.parent / "agents"), str(port), str(arguments.agents))
        stored, different = held(state)
    expected = arguments.agents * EVENTS
    lost, doubled = expected - different, stored - different
    reached = row["all_s"] < REACH_S and lost == 0 and doubled == 0
    if arguments.json:
        print(json.dumps({"reach_s": REACH_S, **row, "lost": lost, "doubled": doubled, "reached": reached}))
    else:
        print(
            f"reconnect storm: {arguments.agents} agents in {row['all_s']:.1f} s (reach {REACH_S:.0f}), median {row['median_s']:.1f} s, "
            f"p99 {row['p99_s']:.1f} s; {expected} events sent, {lost} lost, {doubled} stored twice, {row['again']:.0f} tries repeated"
        )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
