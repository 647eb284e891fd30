"""freshclam works with the system's configuration, but for where it works, whom it tells, and what it would run."""

import os

from actions.antivirus import freshclam_run

TEXT = """# comment
DatabaseOwner clamav
UpdateLogFile /var/log/clamav/freshclam.log
DatabaseDirectory /var/lib/clamav
DatabaseMirror database.clamav.net
HTTPProxyServer proxy.example
ScriptedUpdates yes
OnUpdateExecute /bin/evil
onerrorexecute /bin/evil
NotifyClamd /etc/clamav/clamd.conf
ExcludeDatabase bytecode
"""


def test_what_it_would_run_or_tell_is_left_out_and_the_rest_stays():
    lines = freshclam_run.configuration(TEXT, "/own", "", False).splitlines()
    assert "DatabaseDirectory /own" in lines and "DatabaseDirectory /var/lib/clamav" not in lines
    assert not any("evil" in line or "NotifyClamd" in line or "freshclam.log" in line for line in lines)
    assert {"HTTPProxyServer proxy.example", "DatabaseMirror database.clamav.net", "ExcludeDatabase bytecode"} <= set(
        lines
    )
    assert "ScriptedUpdates yes" in lines


def test_a_mirror_takes_the_place_of_the_others_and_a_relay_keeps_whole_files():
    lines = freshclam_run.configuration(TEXT, "/own", "http://relay:8446", True).splitlines()
    assert "PrivateMirror http://relay:8446" in lines and not any("database.clamav.net" in line for line in lines)
    assert [line for line in lines if line.startswith("Scripted")] == ["ScriptedUpdates no"]


def test_seeding_copies_what_differs_and_keeps_times(tmp_path):
    source, own = tmp_path / "source", tmp_path / "own"
    source.mkdir()
    own.mkdir()
    (source / "daily.cvd").write_bytes(b"daily")
    os.utime(source / "daily.cvd", (5, 5))
    (source / "freshclam.dat").write_bytes(b"theirs")
    (source / "notes").write_bytes(b"no")
    freshclam_run.seed(str(source), str(own))
    assert sorted(path.name for path in own.iterdir()) == ["daily.cvd", "freshclam.dat"]
    assert (own / "daily.cvd").stat().st_mtime == 5
    (own / "freshclam.dat").write_bytes(b"ours")
    inode = (own / "daily.cvd").stat().st_ino
    freshclam_run.seed(str(source), str(own))
    assert (own / "freshclam.dat").read_bytes() == b"ours" and (own / "daily.cvd").stat().st_ino == inode


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert freshclam_run.databases(f"{tmp_path}/none") == []


def test_a_command_that_a_tab_sets_apart_is_left_out_too():
    made = freshclam_run.configuration(
        "OnUpdateExecute\t/bin/evil\n\tOnErrorExecute /bin/evil\nChecks\t24\n", "/own", "", False
    )
    assert "evil" not in made and "Checks" not in made


def test_what_a_run_left_that_was_killed_goes_before_the_next(tmp_path):
    own, system = tmp_path / "own", tmp_path / "system"
    for folder in (own / "tmp.1b2c3d4e5f", system):
        folder.mkdir(parents=True)
    (own / "tmp.1b2c3d4e5f/half").write_bytes(b"half")
    (own / "daily.cvd.part").write_bytes(b"half")
    (own / "daily.cud").write_bytes(b"stays")
    (own / "tmp.link").symlink_to(system)
    freshclam_run.seed(str(system), str(own))
    assert sorted(path.name for path in own.iterdir()) == ["daily.cud", "tmp.link"] and system.exists()
