"""Claim: a large file that is read through the mount from front to back comes no slower than through restic's.

Both mount one repository and read two large files of it in pieces of 128 KiB, in turn, each time mounted anew, so that nobody has anything
of it in memory. Ours is also measured without loading blobs ahead. `--by restic` has restic write the repository.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from _backup_sides import BACK_UP, PASSWORD, ROOT, Cost, in_turn, make, ours, ratios, restic, scratch, show

REACH = 1.0

MOUNT = """
import sys
from actions.backup import mount_ahead
from actions.backup.mount import mount
from actions.backup.mount_view import View
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
place, password, directory, ahead = sys.argv[1:]
if ahead == "no":
    mount_ahead.MAX_WAITING = 0
view = View(Repository.open(LocalStore(place), password))
mount(view, directory, name="bench", tell=lambda *said: print(*said, file=sys.stderr))
"""


def read_through(command: list[str], directory: Path, data: Path) -> Cost:
    """Mount, read every large file once, unmount; the wall time is that of the reading, CPU and memory are the mounting program's."""
    directory.mkdir(exist_ok=True)
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        until = time.monotonic() + 30
        while not directory.is_mount():
            assert time.monotonic() < until and process.poll() is None, command
            time.sleep(0.02)
        latest = directory / "snapshots" / "latest" / str(data)[1:]
        began = time.perf_counter()
        for name in ("database", "dense"):
            with (latest / name).open("rb", buffering=0) as file:
                size = 0
                while piece := file.read(128 << 10):
                    size += len(piece)
            assert size == (data / name).stat().st_size
        wall = time.perf_counter() - began
    finally:
        subprocess.run(["umount", str(directory)], check=False)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--by", choices=("holdfast", "restic"), default="holdfast", help="who writes the repository")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with scratch() as folder:
        data, place, directory = (folder / name for name in ("data", "repository", "mounted"))
        make(data, arguments.scale)
        restic(place, "init")
        if arguments.by == "holdfast":
            ours(BACK_UP, place, PASSWORD, data)
        else:
            restic(place, "backup", data)

        def by_us(ahead: str) -> Cost:
            command = [sys.executable, "-c", MOUNT, str(place), PASSWORD, str(directory), ahead]
            return read_through(command, directory, data)

        sides = {
            "holdfast": lambda: by_us("yes"),
            "not ahead": lambda: by_us("no"),
            "restic": lambda: read_through(
                ["restic", "-q", "--no-cache", "-r", str(place), "mount", str(directory)], directory, data
            ),
        }
        runs = in_turn(arguments.runs, sides)
    found, plain = ratios(runs, "holdfast", "restic"), ratios(runs, "holdfast", "not ahead")
    lines = [
        f"of restic: wall {found.wall:.2f} (reach {REACH}), CPU {found.cpu:.2f}, memory {found.peak:.2f}",
        f"of ours without loading ahead: wall {plain.wall:.2f}, CPU {plain.cpu:.2f}",
    ]
    return show(runs, lines, reached=found.wall <= REACH, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
