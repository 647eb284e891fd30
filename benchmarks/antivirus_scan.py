"""How long a scan through Holdfast takes beside `clamdscan --fdpass --multiscan`: the same tree, the same clamd, in turns.

Usage: python benchmarks/antivirus_scan.py [FILES] [ROUNDS]   (as root; Debian's clamav-daemon and clamdscan are taken)

The tree holds text, binaries and some archives; clamd's cache of clean files is off, so that each turn scans everything. Holdfast scans as
the command does (`antivirus scan PATH`): every file, walked by descriptor, none passed over.
"""

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from actions.antivirus.options import AntivirusOptions
from actions.antivirus.scan import ScanFiles
from contracts.action import Command
from host.linux import LinuxHost
from tests import clamav_lab

SEED = 6


def tree(root: Path, files: int) -> int:
    """Make a tree that is the same every time; returns its bytes."""
    made = random.Random(SEED)
    programs = [path for path in sorted(Path("/usr/bin").iterdir()) if path.is_file() and not path.is_symlink()]
    total = 0
    for number in range(files):
        folder = root / f"d{number % 97}" / f"e{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"f{number}"
        if number % 10 == 0:
            content = made.choice(programs).read_bytes()[: 512 << 10]
        else:
            words = made.choices(["alpha", "beta", "<p>", "return", "{", "}", "0x7f", "\n"], k=made.randint(20, 4000))
            content = " ".join(words).encode()
        path.write_bytes(content)
        total += len(content)
    for name in ("clam.zip", "clam.tar.gz"):
        shutil.copy(clamav_lab.TEST_FILES / name, root / "d0" / name)
    return total


def by_clamdscan(lab: clamav_lab.Lab, root: Path) -> float:
    """Seconds that clamdscan takes."""
    began = time.perf_counter()
    argv = ["clamdscan", "--fdpass", "--multiscan", "--infected", "--no-summary", "-c", str(lab.clamd_conf), str(root)]
    done = subprocess.run(argv, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    assert done.returncode == 1 and done.stdout.count("FOUND") == 2, (done.returncode, done.stdout, done.stderr)
    return seconds


def by_holdfast(lab: clamav_lab.Lab, root: Path, state: Path) -> float:
    """Seconds that Holdfast takes, from the command's arrival to its answer."""
    given = {"clamav": {"clamd_conf": str(lab.clamd_conf)}, "scan": {"cpu": 100, "io": 100, "memory": 100}}
    host = LinuxHost()
    host.state = str(state)
    action = ScanFiles(msgspec.convert(given, AntivirusOptions))
    command = Command(id="1", action="scan", arguments={"path": str(root)}, who="root", dry_run=False)
    began = time.perf_counter()
    result = action.do(host, command, lambda *_: None)
    seconds = time.perf_counter() - began
    assert (result.answer["code"], result.answer["infected"]) == (1, 2), result.answer
    return seconds


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory(prefix="hfavbench") as name, clamav_lab.running(DisableCache="yes") as lab:
        root, state = Path(name, "tree"), Path(name, "state")
        root.mkdir()
        state.mkdir()
        total = tree(root, files)
        times: dict[str, list[float]] = {"clamdscan --fdpass --multiscan": [], "holdfast antivirus scan": []}
        by_clamdscan(lab, root)  # so that both find the files in memory
        for _ in range(rounds):
            times["clamdscan --fdpass --multiscan"].append(by_clamdscan(lab, root))
            times["holdfast antivirus scan"].append(by_holdfast(lab, root, state))
        print(
            f"{files + 2} files, {total / 1e6:.0f} MB, the same clamd (4 threads, no cache), medians of {rounds} rounds in turns"
        )
        for who, seconds in times.items():
            print(f"  {who:32} {statistics.median(seconds):7.2f} s  (from {min(seconds):.2f} to {max(seconds):.2f})")
        ours, theirs = (statistics.median(times[who]) for who in reversed(list(times)))
        print(f"  ratio {ours / theirs:.2f} (to reach: at most 1.1)")


if __name__ == "__main__":
    main()
