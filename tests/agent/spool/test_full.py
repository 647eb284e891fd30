"""The spool on a full disk: refused, nothing half written, and on again when there is space."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from pathlib import Path
from agent.clock import SystemClock
from agent.spool.spool import Spool, SpoolFull, SpoolLimits
from contracts.event import Kind, Lane, Severity

KIND = Kind(name="test.happened", meaning="m", title="t", severity=Severity.LOW, fields={"n": "int", "pad": "str"})
root = Path(sys.argv[1])
limits = SpoolLimits(total_bytes=64 << 20)
spool, _ = Spool.open(root / "spool.db", "0" * 32, limits, SystemClock())
ballast = root / "ballast"
ballast.write_bytes(bytes(2 << 20))
stored, refused = 0, 0
for number in range(4000):
    try:
        spool.append([KIND.event("k", n=number, pad="x" * 2000)])
        stored += 1
    except SpoolFull as error:
        assert "free space" in error.advice, error
        refused += 1
        if refused == 5:
            break
assert refused == 5, "the disk never filled"
assert spool.states()[1].waiting == stored, (spool.states(), stored)
ballast.unlink()
spool.append([KIND.event("k", n=9999)])
stored += 1
spool.close()
spool, events = Spool.open(root / "spool.db", "0" * 32, limits, SystemClock())
assert events == ()
part = spool.pending(Lane.NORMAL, 64 << 20)
assert len(part.items) == stored == part.items[-1].seq, (len(part.items), stored)
print("ok", stored)
"""


def test_full_disk_is_refused_and_recovers(tmp_path: Path) -> None:
    """A 4 MB file system in a mount namespace of its own."""
    command = f'mount -t tmpfs -o size=4m none "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok")
