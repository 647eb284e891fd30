"""Claim: the second backup of 100,000 files of which none changed takes at most 0.8 of restic's wall time, and at most 80 MB (PSS).

Both sides have their first backup, in a repository of their own, and then take turns; the medians of the ratios of each turn count.
restic finds unchanged files by the same means: its snapshot before, size and times. PSS is read while our side runs, every 20 ms.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from _backup_sides import BACK_UP, PASSWORD, ROOT, WORKER, Cost, borg, in_turn, ours, ratios, restic, scratch, show

REACH, MEMORY_MB = 0.8, 80.0


def make(folder: Path, files: int) -> None:
    """Small files in folders of two levels."""
    dice = random.Random(1)
    for number in range(files):
        place = folder / f"{number % 40:02d}" / f"{number // 40 % 25:02d}"
        if number < 1000:
            place.mkdir(parents=True, exist_ok=True)
        (place / f"file {number}").write_bytes(dice.randbytes(dice.randrange(20, 900)))


def peak_pss(place: Path, data: Path) -> float:
    """The greatest PSS in MB that one more run of ours was seen with."""
    command = [sys.executable, "-c", BACK_UP, str(place), PASSWORD, str(data)]
    process = subprocess.Popen(command, env={**os.environ, **WORKER}, cwd=ROOT)
    most = 0
    while process.poll() is None:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            most = max(most, *(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")))
        except (OSError, TypeError):
            break  # it ended
        time.sleep(0.02)
    assert process.wait() == 0
    return most / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with scratch() as folder:
        data, mine, theirs, third = (folder / name for name in ("data", "holdfast", "restic", "borg"))
        make(data, arguments.files)
        restic(mine, "init")
        restic(theirs, "init")
        ours(BACK_UP, mine, PASSWORD, data)
        restic(theirs, "backup", data)
        numbers = iter(range(1_000_000))
        borg(third, "init", "-e", "repokey-blake2", third)
        borg(third, "create", "-C", "zstd,1", f"{third}::first", data)

        def by_us() -> Cost:
            return ours(BACK_UP, mine, PASSWORD, data)

        def by_restic() -> Cost:
            return restic(theirs, "backup", data)

        def by_borg() -> Cost:
            return borg(third, "create", "-C", "zstd,1", f"{third}::{next(numbers)}", data)

        runs = in_turn(arguments.runs, {"holdfast": by_us, "restic": by_restic, "borg": by_borg})
        pss = peak_pss(mine, data)
    found = ratios(runs, "holdfast", "restic")
    line = f"of restic: wall {found.wall:.2f} (reach {REACH}), CPU {found.cpu:.2f}; {pss:.0f} MB PSS (reach {MEMORY_MB:.0f})"
    return show(runs, [line], reached=found.wall <= REACH and pss <= MEMORY_MB, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
