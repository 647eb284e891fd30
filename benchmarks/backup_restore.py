"""Claim: restoring 1 GiB of mixed data, with every file read back and compared, takes at most restic's time for the same.

One repository, made by us, is restored by both in turn, each with `verify`; the medians of the ratios of each turn count. Each turn has a
folder of its own, and nothing is removed before the end: ext4 spends much of a create on avoiding inodes that were freed in the last
seconds. What one turn wrote is on the disk before the next begins. Then the cost of the daily proof: how much of the data it reads back,
and how long it takes, with the settings as they are by default.
"""

import argparse
import json
import os
import sys
from itertools import count
from pathlib import Path

from _backup_sides import BACK_UP, PASSWORD, RESTORE, Cost, in_turn, make, measured, ours, ratios, restic, scratch, show

PROOF_PERCENT = 2.0

PROVE = """
import json, os, random, sys
from pathlib import Path
from actions.backup.options import ProofOptions
from actions.backup.proving import prove
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
class Counting(LocalStore):
    read = 0
    def load(self, handle, offset=0, length=None):
        data = super().load(handle, offset, length)
        Counting.read += len(data)
        return data
options = ProofOptions()
r = Repository.open(Counting(sys.argv[1]), sys.argv[2])
with r.lock():
    r.load_index()
    snapshot = next(found for _, found in r.snapshots())
    os.mkdir(sys.argv[3])
    proof = prove(r, snapshot, sys.argv[3], files=options.files, max_bytes=options.max_bytes, dice=random.Random(int(sys.argv[5])))
assert proof.holds, proof
Path(sys.argv[4]).write_text(json.dumps({"read": Counting.read, "restored": proof.bytes, "files": proof.files}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 1 GiB")
    parser.add_argument("--data", type=Path, help="data that was made before, kept for the next time")
    parser.add_argument("--proofs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with scratch() as folder:
        place = folder / "repository"
        data = arguments.data or folder / "data"
        size = make(data, arguments.scale)
        restic(place, "init")
        ours(BACK_UP, place, PASSWORD, data)

        targets = (folder / f"target {number}" for number in count())

        def by_us() -> Cost:
            return same((target := next(targets)), ours(RESTORE, place, PASSWORD, target), data)

        def by_restic() -> Cost:
            target = next(targets)
            return same(target, restic(place, "restore", "latest", "--verify", "--target", target), data)

        runs = in_turn(arguments.runs, {"holdfast": by_us, "restic": by_restic})
        stored = sum(path.stat().st_size for path in (place / "data").rglob("*") if path.is_file())
        proofs = [proof(place, folder, seed) for seed in range(arguments.proofs)]
    found = ratios(runs, "holdfast", "restic")
    shares = sorted(100 * read / stored for read, _ in proofs)
    mean = sum(shares) / len(shares)
    lines = [
        f"of restic: wall {found.wall:.2f} (reach 1), CPU {found.cpu:.2f}; {size / 1e6:.0f} MB",
        f"daily proof: reads {mean:.2f} % of what is stored on average, median {shares[len(shares) // 2]:.2f} %, "
        f"at most {shares[-1]:.2f} % of {len(shares)} (reach {PROOF_PERCENT} %); {sorted(s for _, s in proofs)[len(proofs) // 2]:.2f} s",
    ]
    return show(runs, lines, reached=found.wall <= 1 and mean < PROOF_PERCENT, as_json=arguments.json)


def same(target: Path, cost: Cost, data: Path) -> Cost:
    """Compare what was restored with the data, and have it written out."""
    assert measured(["diff", "-rq", str(data), str(target) + str(data)], {})
    os.sync()
    return cost


def proof(place: Path, folder: Path, seed: int) -> tuple[int, float]:
    """Bytes that one proof read from the repository, without the index, and its seconds."""
    cost = ours(PROVE, place, PASSWORD, folder / "proof", folder / "proof.json", str(seed))
    (folder / "proof").rmdir()
    return json.loads((folder / "proof.json").read_text())["read"], cost.wall


if __name__ == "__main__":
    sys.exit(main())
