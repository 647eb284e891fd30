"""The state's disk: short of room is said once, with a reserve to say it, and room again too."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.state_disk import EVERY_S, StateDisk
from contracts.event import Event

SCRIPT = """
import sys
from pathlib import Path
from agent.state_disk import StateDisk

folder, now = Path(sys.argv[1]), [0.0]

def later():
    now[0] += 10
    return disk.look()

disk = StateDisk(folder, lambda: now[0])
assert disk.look() == () and disk.short == ""
assert disk.look() == (), "not so soon again"
size = (folder / "reserve").stat().st_blocks * 512
assert size == 512 << 10, size
ballast = folder / "ballast"
ballast.write_bytes(bytes(6900 << 10))
(told,) = later()
assert told.kind == "agent.disk_short" and "KiB left" in told.fields["detail"], told
assert later() == () and "KiB left" in disk.short
try:
    ballast.open("ab", buffering=0).write(bytes(8 << 20))
except OSError:
    pass
assert disk.ran_full() == () and "is full" in disk.short
assert not (folder / "reserve").exists()
(folder / "event").write_bytes(bytes(400 << 10))
assert disk.ran_full() == ()
ballast.write_bytes(bytes(6000 << 10))
assert later() == (), "a little room is not enough again"
ballast.unlink()
(told,) = later()
assert told.kind == "agent.disk_room_again" and disk.short == ""
assert (folder / "reserve").exists()
for number in range(1000):
    try:
        (folder / f"f{number}").touch()
    except OSError:
        break
(told,) = later()
assert "more files" in told.fields["detail"], told
print("ok")
"""


def test_a_disk_that_fills_is_said_and_the_reserve_makes_room(tmp_path: Path) -> None:
    """An 8 MiB file system in a mount namespace of its own."""
    command = (
        f'mount -t tmpfs -o size=8m,nr_inodes=500 none "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


@pytest.mark.parametrize("times", [1, 3])
def test_a_folder_that_cannot_be_looked_at_is_said_once(tmp_path: Path, times: int) -> None:
    now = [0.0]
    disk = StateDisk(tmp_path / "gone", lambda: now[0])
    told: list[Event] = []
    for _ in range(times):
        told += disk.look()
        now[0] += EVERY_S
    assert [event.kind for event in told] == ["agent.disk_short"]
    assert "no such file" in disk.short
