"""What the backup benchmarks share: the data, our side as the worker runs it, and two or three programs taking turns."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from _installation import ROOT, compiled

PASSWORD = "benchmark"

WORKER = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
"""What the worker's unit sets in its environment."""

BACK_UP = """
import sys
from actions.backup.archiver import Choices
from actions.backup.job import Run
from actions.backup.options import JobOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.stores.local import LocalStore
sys.setswitchinterval(0.0005)  # as agent.worker has it
place, password, *paths = sys.argv[1:]
job = JobOptions(repository=place, paths=tuple(paths))
patience = Patience(PressureOptions(pause_at_most=0.0), None)
done = Run(name="bench", job=job, store=LocalStore(place), password=password, choices=Choices(), patience=patience).back_up()
assert not done.partial and not done.report.noted, done
"""
"""One run of a job from opening and locking to the published snapshot, as `actions.backup.backup` has it, without waiting for others."""

RESTORE = """
import sys
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import LocalStore
r = Repository.open(LocalStore(sys.argv[1]), sys.argv[2])
with r.lock():
    r.load_index()
    snapshot = max((found for _, found in r.snapshots()), key=lambda found: found.time_ns)
    restored = Restorer(r, verify=True).restore(snapshot.tree, sys.argv[3])
    assert not restored.failed, restored.failed
"""


class Cost(NamedTuple):
    """Of one command: wall seconds, CPU seconds, peak memory in MB (resident)."""

    wall: float
    cpu: float
    peak: float


def make(folder: Path, scale: float) -> int:
    """1 GiB of mixed data: 13,000 small files, a 600 MiB file like a database, 200 MiB that do not compress. Returns the bytes.

    What was made before is left as it is.
    """
    if folder.is_dir():
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    folder.mkdir()
    dice = random.Random(1)
    for number in range(int(13_000 * scale)):
        place = folder / "small" / f"{number % 400:03d}"
        place.mkdir(parents=True, exist_ok=True)
        size = int(dice.lognormvariate(9, 1.2))
        body = _words(dice, size // 10 + 1) if number % 4 else dice.randbytes(size)
        (place / f"file {number}").write_bytes(body)
    with (folder / "database").open("wb") as file:
        for _ in range(int(600 * 128 * scale)):  # pages of 8 KiB: a header, rows, free space
            rows = _words(dice, 300)[: dice.randrange(1500, 5500)]
            file.write((dice.randbytes(1200) + rows).ljust(8192, b"\0"))
    with (folder / "dense").open("wb") as file:
        for _ in range(int(200 * scale)):
            file.write(dice.randbytes(1 << 20))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _words(dice: random.Random, count: int) -> bytes:
    """Text with the redundancy of logs and sources."""
    stock = [dice.randbytes(dice.randrange(2, 9)).hex().encode() for _ in range(400)]
    return b" ".join(dice.choices(stock, k=count))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def ours(script: str, *words: str | Path) -> Cost:
    """Run a script of ours in a process of its own, with the worker's environment."""
    compiled()
    return measured([sys.executable, "-c", script, *map(str, words)], {**os.environ, **WORKER})


def restic(place: Path, *words: str | Path) -> Cost:
    """Run restic on a repository."""
    return measured(
        ["restic", "-q", "--no-cache", "-r", str(place), *map(str, words)],
        {**os.environ, "RESTIC_PASSWORD": PASSWORD, "TMPDIR": str(place.parent)},
    )


def borg(place: Path, *words: str | Path, folder: Path | None = None) -> Cost:
    """Run borg with everything it keeps below the repository's folder."""
    environment = {**os.environ, "BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": str(place.parent / "borg-base")}
    return measured(["borg", "--error", *map(str, words)], environment, folder)


def measured(command: Sequence[str], environment: dict[str, str], folder: Path | None = None) -> Cost:
    """What one command cost; it must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=folder or ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(turns: int, sides: dict[str, Callable[[], Cost]]) -> dict[str, list[Cost]]:
    """Each side so many times, the order changed with every turn."""
    runs: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(turns):
        for name in sides if turn % 2 else reversed(sides):
            runs[name].append(sides[name]())
    return runs


def medians(runs: dict[str, list[Cost]]) -> dict[str, Cost]:
    """Of each column of each side."""
    return {
        name: Cost(*(statistics.median(column) for column in zip(*found, strict=True))) for name, found in runs.items()
    }


def ratios(runs: dict[str, list[Cost]], side: str, peer: str) -> Cost:
    """The medians of what `side` cost of what `peer` did, turn by turn, so that what disturbs a turn disturbs both."""
    pairs = [
        [a / b for a, b in zip(mine, theirs, strict=True)] for mine, theirs in zip(runs[side], runs[peer], strict=True)
    ]
    return Cost(*(statistics.median(column) for column in zip(*pairs, strict=True)))


def show(runs: dict[str, list[Cost]], lines: Sequence[str], *, reached: bool, as_json: bool) -> int:
    """Print what came of it; returns the exit code."""
    if as_json:
        print(json.dumps({"runs": runs, "reached": reached, "lines": list(lines)}))
        return 0 if reached else 1
    for name, cost in medians(runs).items():
        print(f"{name:9s} median {cost.wall:6.2f} s wall  {cost.cpu:6.2f} s CPU  {cost.peak:5.0f} MB peak")
    for line in lines:
        print(line)
    return 0 if reached else 1
