"""What the tripwire costs a backup: the same run measured by it and not, with every file changed and with none changed.

No figure is to be reached; the design page (`docs/design/backup-tripwire.md`) says what was measured. Each turn changes 10,000 small files
and 60 MiB in one file, then both sides save the tree into repositories of their own, in changing order; after that once more, unchanged.
"""

import argparse
import random
import sys
from pathlib import Path

from _backup_sides import PASSWORD, Cost, ours, ratios, restic, scratch, show

RUN = """
import sys
from types import SimpleNamespace
from actions.backup.archiver import Choices
from actions.backup.job import Run
from actions.backup.options import JobOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.stores.local import LocalStore
from actions.backup.tripwire.options import TripwireOptions
from actions.backup.tripwire.tripwire import Tripwire
from host.linux import LinuxHost
sys.setswitchinterval(0.0005)  # as agent.worker has it
place, password, state, measured, *paths = sys.argv[1:]
real = LinuxHost()
host = SimpleNamespace(state=state, files=real.files, write=real.write)
job = JobOptions(repository=place, paths=tuple(paths), tripwire=TripwireOptions(enabled=measured == "yes"))
tripwire = Tripwire(host, "bench", job)
patience = Patience(PressureOptions(pause_at_most=0.0), None)
store = LocalStore(place)
done = Run("bench", job, store, password, Choices(), patience, tripwire=tripwire).back_up()
assert not done.partial, done
"""


def change(folder: Path, files: int, dice: random.Random) -> None:
    """New text in every file, as a day changes it."""
    stock = [dice.randbytes(dice.randrange(2, 9)).hex().encode() for _ in range(400)]
    for number in range(files):
        place = folder / f"{number % 100:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file {number}.txt").write_bytes(b" ".join(dice.choices(stock, k=dice.randrange(20, 400))))
    with (folder / "large.db").open("wb") as file:
        for _ in range(60):
            file.write(b" ".join(dice.choices(stock, k=120_000))[: 1 << 20])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    dice = random.Random(1)
    changed: dict[str, list[Cost]] = {"with": [], "without": []}
    same: dict[str, list[Cost]] = {"with, unchanged": [], "without, unchanged": []}
    with scratch() as folder:
        data = folder / "data"

        def back_up(side: str) -> Cost:
            place, state = folder / side, folder / f"state {side}"
            if not state.exists():
                state.mkdir()
                restic(place, "init")
            return ours(RUN, place, PASSWORD, state, "yes" if side == "with" else "no", data)

        for turn in range(arguments.runs + 1):
            change(data, arguments.files, dice)
            sides = ("with", "without") if turn % 2 else ("without", "with")
            for side in sides:
                cost = back_up(side)
                if turn:  # the first has nothing to compare with
                    changed[side].append(cost)
            for side in sides if turn else ():
                same[f"{side}, unchanged"].append(back_up(side))
    one, two = ratios(changed, "with", "without"), ratios(same, "with, unchanged", "without, unchanged")
    extra_us = sum(a.cpu - b.cpu for a, b in zip(changed["with"], changed["without"], strict=True)) / arguments.runs
    lines = [
        f"every file changed: CPU {one.cpu:.2f}, wall {one.wall:.2f} of a run that is not measured, "
        f"{extra_us / (arguments.files + 1) * 1e6:.0f} microseconds more a file",
        f"nothing changed: CPU {two.cpu:.2f}, wall {two.wall:.2f}",
    ]
    return show({**changed, **same}, lines, reached=True, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
