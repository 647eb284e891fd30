"""Claim: a durable append to the spool (synchronous=FULL) reaches at least 0.7 of raw SQLite storing the same events.

The peer stores what one would store without the spool's bundles: one row per event (sequence, time, kind, dedup key, chain and
body, all encoded, hashed and sealed beforehand) in a table without any index besides its key, with the spool's pragmas: one `INSERT` per
commit, or `executemany` of 100 in one transaction. The spool's whole work (envelopes, ids, encoding, chain, deduplication,
accounting) counts against it. A second figure stands beside it: raw SQLite writing the very bundles that the spool writes. Both take
turns on the same disk.
"""

import argparse
import gc
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.clock import SystemClock
from agent.spool.schema import INSERT, STEPS
from agent.spool.spool import Spool, SpoolLimits
from contracts.event import Event, Kind, Lane, Sealed, Severity, dedup_key

REACH = 0.7
TURN = 10
KIND = Kind(
    name="ports.listener_opened",
    meaning="A process began to listen.",
    title="{process} listens on {address}:{port}",
    severity=Severity.MEDIUM,
    fields={
        "address": "str",
        "port": "int",
        "protocol": "str",
        "process": "str",
        "executable": "str",
        "user": "str",
        "unit": "str",
    },
)


def event(number: int) -> Event:
    made = KIND.event(
        f"tcp/0.0.0.0/{number}",
        address="0.0.0.0",
        port=number % 65536,
        protocol="tcp",
        process="nginx",
        executable="/usr/sbin/nginx",
        user="www-data",
        unit="nginx.service",
        observed_ms=1_700_000_000_000 + number,
    )
    return msgspec.structs.replace(made, dedup=dedup_key("ports", number, made.kind, made.key))


PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "cache_size = -1024",
    "cell_size_check = ON",
    "journal_size_limit = 8388608",
)
TABLE = """CREATE TABLE events (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, dedup BLOB, chain BLOB NOT NULL,
    body BLOB NOT NULL)"""
PER_EVENT = "INSERT INTO events (seq, at_ms, kind, dedup, chain, body) VALUES (?, ?, ?, ?, ?, ?)"


class Raw:
    """SQLite by itself, with the spool's pragmas."""

    def __init__(self, path: Path, table: str, insert: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=32)
        for pragma in PRAGMAS:
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute(table)
        self.insert = insert

    def append(self, rows: list[tuple[object, ...]]) -> None:
        if len(rows) == 1:
            self.db.execute(self.insert, rows[0])
            return
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(self.insert, rows)
        self.db.execute("COMMIT")


def prepared(
    path: Path, chunks: list[list[Event]]
) -> tuple[list[list[tuple[object, ...]]], list[list[tuple[object, ...]]]]:
    """Return the rows of each append: one per event, and as the spool bundles them."""
    spool, _ = Spool.open(path, "0" * 32, SpoolLimits(total_bytes=1 << 30), SystemClock())
    for chunk in chunks:
        spool.append(chunk)
    part = spool.pending(Lane.NORMAL, 1 << 30)
    spool.close()
    assert part is not None
    events = iter([event for chunk in chunks for event in chunk])
    each = iter(
        [
            (item.seq, one.observed_ms, one.kind, bytes.fromhex(one.dedup), item.chain, item.body)
            for item, one in zip(part.items, events, strict=True)
            if isinstance(item, Sealed)
        ]
    )
    made = sqlite3.connect(path)
    bundles = made.execute("SELECT last, count, at_ms, chain, body FROM normal ORDER BY last").fetchall()
    made.close()
    return [[next(each) for _ in chunk] for chunk in chunks], [[row] for row in bundles]


def timed(work: Callable[[Any], object], argument: Any, into: list[float]) -> None:
    start = time.perf_counter()
    work(argument)
    into.append(time.perf_counter() - start)


def measure(directory: Path, batch: int, rounds: int) -> dict[str, float]:
    """Append `rounds` times `batch` events to each, in turns; return the medians and ratios."""
    chunks = [[event(number * batch + offset + 1) for offset in range(batch)] for number in range(rounds)]
    each, bundled = prepared(directory / f"twin{batch}.db", chunks)
    spool, _ = Spool.open(directory / f"spool{batch}.db", "0" * 32, SpoolLimits(), SystemClock())
    raw = Raw(directory / f"raw{batch}.db", TABLE, PER_EVENT)
    bundle = Raw(
        directory / f"bundle{batch}.db", next(step for step in STEPS[0] if "TABLE normal" in step), INSERT[Lane.NORMAL]
    )
    times: list[list[float]] = [[], [], []]
    gc.collect()
    gc.freeze()  # the prepared events are the benchmark's, not the agent's, whose core freezes its own heap after starting
    works = [(spool.append, chunks, times[0]), (raw.append, each, times[1]), (bundle.append, bundled, times[2])]
    for start in range(0, rounds, TURN):
        for work, arguments, into in works if (start // TURN) % 2 else reversed(works):
            for argument in arguments[start : start + TURN]:
                timed(work, argument, into)
    spool.close()
    ours, theirs, _ = (statistics.median(taken) for taken in times)
    return {
        "batch": batch,
        "spool_median_ms": ours * 1000,
        "spool_p99_ms": statistics.quantiles(times[0], n=100)[98] * 1000,
        "raw_median_ms": theirs * 1000,
        "raw_p99_ms": statistics.quantiles(times[1], n=100)[98] * 1000,
        "events_per_s": batch / ours,
        "ratio": turn_ratio(times[1], times[0]),
        "ratio_to_raw_bundles": turn_ratio(times[2], times[0]),
    }


def turn_ratio(theirs: list[float], ours: list[float]) -> float:
    """Return the median over the turns of their median to ours: a load that comes and goes meets neighbours alike."""
    turns = range(0, len(ours), TURN)
    return statistics.median(
        statistics.median(theirs[at : at + TURN]) / statistics.median(ours[at : at + TURN]) for at in turns
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument(
        "--directory", type=Path, default=None, help="on the disk to measure (default: the temporary directory)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="holdfast-bench-") as directory:
        results = [
            measure(Path(directory), batch, options.rounds if batch == 1 else options.rounds // 2) for batch in (1, 100)
        ]
    reached = all(result["ratio"] >= REACH for result in results)
    if options.json:
        print(json.dumps({"claim": "spool_append", "reach": REACH, "results": results, "reached": reached}))
        return 0 if reached else 1
    print(f"reach: at least {REACH} of raw SQLite (median)")
    for result in results:
        print(
            f"{result['batch']:4.0f} per commit: spool {result['spool_median_ms']:.3f} ms (p99 {result['spool_p99_ms']:.3f}), "
            f"raw {result['raw_median_ms']:.3f} ms (p99 {result['raw_p99_ms']:.3f}), ratio {result['ratio']:.2f} "
            f"(raw writing the same bundles: {result['ratio_to_raw_bundles']:.2f}), "
            f"{result['events_per_s']:.0f} events/s"
        )
    print("reached" if reached else "NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
