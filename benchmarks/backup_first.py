"""Claim: the first backup of 1 GiB of mixed data takes at most 0.67 of restic's wall and CPU time, and at most its memory.

Data: 13,000 small files, a 600 MiB file like a database, 200 MiB that do not compress. Each side makes a repository of its own on the
same disk, in turn, with contents that are cached for all; the medians of the ratios of each turn count. Compression on; borg with zstd at
the same level is shown beside.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from _backup_sides import BACK_UP, PASSWORD, Cost, borg, in_turn, make, ours, ratios, restic, scratch, show

REACH = 0.67


class Sides:
    """Each side backs up into a new repository, which is gone afterwards."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder = folder
        self._data = data
        self._checked: set[str] = set()
        self.stored: dict[str, int] = {}

    def holdfast(self) -> Cost:
        place = self._folder / "holdfast"
        restic(place, "init")
        return self._done(place, ours(BACK_UP, place, PASSWORD, self._data))

    def restic(self) -> Cost:
        place = self._folder / "restic"
        restic(place, "init")
        return self._done(place, restic(place, "backup", self._data))

    def borg(self) -> Cost:
        place = self._folder / "borg"
        borg(place, "init", "-e", "repokey-blake2", place)
        cost = borg(place, "create", "-C", "zstd,1", f"{place}::first", self._data)
        shutil.rmtree(self._folder / "borg-base")
        return self._done(place, cost)

    def _done(self, place: Path, cost: Cost) -> Cost:
        if place.name not in self._checked:
            self._checked.add(place.name)
            self.stored[place.name] = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            if place.name != "borg":
                restic(place, "check", "--read-data")
        shutil.rmtree(place)
        return cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 1 GiB")
    parser.add_argument("--data", type=Path, help="data that was made before, kept for the next time")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with scratch() as folder:
        data = arguments.data or folder / "data"
        size = make(data, arguments.scale)
        subprocess.run(["sync"], check=True)
        sides = Sides(folder, data)
        deeds = {"holdfast": sides.holdfast, "restic": sides.restic}
        if shutil.which("borg"):
            deeds["borg"] = sides.borg
        runs = in_turn(arguments.runs, deeds)
    found = ratios(runs, "holdfast", "restic")
    lines = [
        f"of restic: wall {found.wall:.2f}, CPU {found.cpu:.2f} (reach {REACH}), memory {found.peak:.2f} (reach 1); {size / 1e6:.0f} MB",
        "stored: " + ", ".join(f"{name} {stored / 1e6:.0f} MB" for name, stored in sides.stored.items()),
    ]
    reached = found.wall <= REACH and found.cpu <= REACH and found.peak <= 1
    return show(runs, lines, reached=reached, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
