"""Claim: the first backup of 1 GiB of mixed data takes at most 0.67 of restic's wall and CPU time, and at most its memory.

Data: 13,000 small files, a 600 MiB file like a database, 200 MiB that do not compress. Each side makes a repository of its own on the
same disk, several times in turn, with contents that are cached for both; the best run of each counts. Compression on.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REACH = 0.67
PASSWORD = "benchmark"

OURS = """
import sys
from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
r = Repository.open(LocalStore(sys.argv[1]), sys.argv[2])
with r.lock():
    r.load_index()
    id, report = Archiver(r).snapshot([sys.argv[3]], hostname="bench")
    assert not report.unreadable and not report.noted
"""


def words(dice: random.Random, count: int) -> bytes:
    """Text with the redundancy of logs and sources."""
    stock = [dice.randbytes(dice.randrange(2, 9)).hex().encode() for _ in range(400)]
    return b" ".join(dice.choices(stock, k=count))


def make(folder: Path, scale: float) -> int:
    """Fill `folder`; returns the bytes."""
    dice = random.Random(1)
    for number in range(int(13_000 * scale)):
        place = folder / "small" / f"{number % 400:03d}"
        place.mkdir(parents=True, exist_ok=True)
        size = int(dice.lognormvariate(9, 1.2))
        body = words(dice, size // 10 + 1) if number % 4 else dice.randbytes(size)
        (place / f"file {number}").write_bytes(body)
    with (folder / "database").open("wb") as file:
        for _ in range(int(600 * 128 * scale)):  # pages of 8 KiB: a header, rows, free space
            rows = words(dice, 300)[: dice.randrange(1500, 5500)]
            file.write((dice.randbytes(1200) + rows).ljust(8192, b"\0"))
    with (folder / "dense").open("wb") as file:
        for _ in range(int(200 * scale)):
            file.write(dice.randbytes(1 << 20))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory in MB of one command."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 1 GiB")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    try:
        data = scratch / "data"
        data.mkdir()
        size = make(data, arguments.scale)
        environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "TMPDIR": str(scratch)}
        runs: dict[str, list[tuple[float, float, float]]] = {"holdfast": [], "restic": []}
        stored: dict[str, int] = {}
        for turn in range(arguments.runs):
            for side in runs if turn % 2 else reversed(runs):
                place = scratch / side
                restic = ["restic", "-q", "--no-cache", "-r", str(place)]
                subprocess.run([*restic, "init"], env=environment, check=True)
                command = {
                    "restic": [*restic, "backup", str(data)],
                    "holdfast": [sys.executable, "-c", OURS, str(place), PASSWORD, str(data)],
                }[side]
                runs[side].append(measured(command, environment))
                stored[side] = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
                if turn == 0:
                    subprocess.run(
                        [*restic, "check", "--read-data"], env=environment, check=True, stdout=subprocess.DEVNULL
                    )
                shutil.rmtree(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    best = {side: tuple(min(column) for column in zip(*found, strict=True)) for side, found in runs.items()}
    ratios = [ours / theirs for ours, theirs in zip(best["holdfast"], best["restic"], strict=True)]
    reached = ratios[0] <= REACH and ratios[1] <= REACH and ratios[2] <= 1
    result = {"bytes": size, "stored": stored, "best": best, "ratios": ratios, "runs": runs, "reached": reached}
    if arguments.json:
        print(json.dumps(result))
    else:
        for side, (wall, cpu, peak) in best.items():
            print(
                f"{side:9s} {wall:6.2f} s wall  {cpu:6.2f} s CPU  {peak:5.0f} MB peak  {stored[side] / 1e6:6.0f} MB stored"
            )
        print(
            f"of restic: wall {ratios[0]:.2f}, CPU {ratios[1]:.2f} (reach {REACH}), memory {ratios[2]:.2f} (reach 1); {size / 1e6:.0f} MB"
        )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
