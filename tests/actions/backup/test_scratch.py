"""Scratch space: private, and empty again whatever lay in it."""

import os
import subprocess
from pathlib import Path

import pytest

from actions.backup.scratch import PREFIX, free_bytes, free_inodes, left_over, private_folder, wipe
from tests.actions.backup.odd_tree import make


def test_a_folder_is_for_its_maker_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with private_folder(str(tmp_path)) as folder:
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        make(Path(folder) / "tree")
        assert left_over(str(tmp_path)) == [folder]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), private_folder(str(tmp_path)) as folder:
        (Path(folder) / "secret").write_text("x")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_it_is_wiped_however_deep_it_is_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("stays")
    top = tmp_path / f"{PREFIX}x"
    top.mkdir()
    (top / "link").symlink_to(tmp_path / "outside")
    here = os.getcwd()
    os.chdir(top)
    try:
        for _ in range(1500):
            os.mkdir("deep directory")
            os.chdir("deep directory")
    finally:
        os.chdir(here)
    wipe(str(top))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside" / "file").read_text() == "stays"


def test_who_is_not_root_wipes_what_is_closed_to_himself(entered: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
os.setgid(65534); os.setuid(65534)
from actions.backup.scratch import private_folder
with private_folder({str(entered / "open")!r}) as folder:
    os.makedirs(folder + "/closed/below")
    open(folder + "/closed/below/file", "w").close()
    os.chmod(folder + "/closed/below/file", 0)
    os.chmod(folder + "/closed/below", 0)
    os.chmod(folder + "/closed", 0)
"""
    (entered / "open").mkdir()
    (entered / "open").chmod(0o777)
    subprocess.run(["/usr/bin/python3", "-c", script], check=True)
    assert list((entered / "open").iterdir()) == []


def test_room_is_what_the_file_system_says(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert abs(free_bytes(str(tmp_path)) - status.f_bavail * status.f_frsize) < 1 << 30
    assert free_inodes(str(tmp_path)) is None or free_inodes(str(tmp_path)) <= status.f_ffree  # type: ignore[operator]
    assert left_over("/nowhere/at/all") == []
