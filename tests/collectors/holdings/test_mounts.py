"""Which mounts hold data: those with a file system of their own, on this machine or on another."""

from pathlib import Path

import pytest

from collectors.holdings.mounts import is_remote, look, parse
from collectors.holdings.reading import Reading
from contracts.errors import Unavailable
from host.fake import FakeHost

TABLE = """21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /run rw - tmpfs tmpfs rw
24 21 8:17 / /srv/data\\040one rw,noatime shared:9 master:3 - xfs /dev/sdb1 rw
25 21 0:44 / /mnt/nas rw - nfs4 nas:/x rw
26 21 8:17 /sub /srv/bound rw - xfs /dev/sdb1 rw
27 21 0:50 /@home /home rw - btrfs /dev/sdc rw
28 21 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
29 21 0:60 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw
"""


def reading(tmp_path: Path, **files: str) -> Reading:
    for place, content in files.items():
        path = tmp_path / "files" / "proc" / place / "mountinfo"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    return Reading(FakeHost(tmp_path), "mounts")


def test_what_the_kernel_makes_up_and_what_is_mounted_twice_is_left_out(tmp_path: Path) -> None:
    found = {row.path: row for row in look(reading(tmp_path, **{"1": TABLE}))}
    assert set(found) == {"/", "/srv/data one", "/mnt/nas", "/home"}
    assert found["/srv/data one"].detail == "xfs from /dev/sdb1"
    assert found["/mnt/nas"].detail.endswith("on another machine")


def test_where_process_1_is_closed_the_own_table_serves_and_that_is_said(tmp_path: Path) -> None:
    made = reading(tmp_path, **{"1": "", "self": TABLE})
    made.host.files.denied.add("/proc/1/mountinfo")  # type: ignore[attr-defined]
    assert len(look(made)) == 4
    assert "sandbox" in made.blind[0].what


def test_no_table_at_all_is_no_empty_table(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        look(reading(tmp_path))


@pytest.mark.parametrize("line", ["", "x", "1 2 3 - ext4", "21 1 254:1 / / rw relatime ext4"])
def test_a_line_that_is_none_gives_nothing(line: str) -> None:
    assert parse(line) is None


def test_remote_file_systems() -> None:
    assert is_remote("cifs")
    assert is_remote("fuse.sshfs")
    assert not is_remote("ext4")


def test_the_real_table_has_a_root() -> None:
    from host.linux import LinuxHost

    made = Reading(LinuxHost(), "mounts")
    assert all(row.path.startswith("/") for row in look(made))
