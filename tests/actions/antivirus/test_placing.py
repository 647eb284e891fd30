"""Databases come to their place whole, and never an older one over a newer."""

import os

import pytest

from actions.antivirus.placing import NotPlaced, place
from tests.clamav_lab import database


@pytest.fixture
def folders(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    os.chown(theirs, 12345, 54321)
    return ours, theirs


def test_only_what_is_newer_or_differs_is_placed_and_belongs_to_the_folders_owner(folders):
    ours, theirs = folders
    for name, mine, former in (("daily.cud", 5, 4), ("main.cvd", 3, 3), ("bytecode.cld", 2, 9)):
        (ours / name).write_bytes(database(mine))
        (theirs / name).write_bytes(database(former))
    (ours / "local.ndb").write_text("new")
    (theirs / "local.ndb").write_text("old")
    (ours / "same.hdb").write_text("same")
    (theirs / "same.hdb").write_text("same")
    (ours / "notes.txt").write_text("no database")
    assert place(str(ours), str(theirs)) == ["daily.cud", "local.ndb"]
    assert (theirs / "daily.cud").read_bytes() == (ours / "daily.cud").read_bytes()
    found = (theirs / "daily.cud").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 54321, 0o644)
    assert sorted(path.name for path in theirs.iterdir()) == [
        "bytecode.cld",
        "daily.cud",
        "local.ndb",
        "main.cvd",
        "same.hdb",
    ]


def test_the_same_database_in_an_older_form_goes(folders):
    ours, theirs = folders
    (ours / "daily.cvd").write_bytes(database(7))
    (theirs / "daily.cld").write_bytes(database(6))
    assert place(str(ours), str(theirs)) == ["daily.cvd"]
    assert [path.name for path in theirs.iterdir()] == ["daily.cvd"]


def test_a_signature_beside_a_container_comes_and_goes_with_it(folders):
    ours, theirs = folders
    (ours / "daily.cvd").write_bytes(database(7))
    (ours / "daily-7.cvd.sign").write_text("#seven")
    (ours / "daily-6.cvd.sign").write_text("#left over")
    (ours / "main-3.cvd.sign").write_text("#of nothing")
    (theirs / "daily.cvd").write_bytes(database(6))
    (theirs / "daily-6.cvd.sign").write_text("#six")
    (theirs / "main-62.cvd.sign").write_text("#main")
    assert place(str(ours), str(theirs)) == ["daily-7.cvd.sign", "daily.cvd"], "first the signature"
    assert sorted(path.name for path in theirs.iterdir()) == ["daily-7.cvd.sign", "daily.cvd", "main-62.cvd.sign"]
    assert place(str(ours), str(theirs)) == [], "nothing comes twice"
    (theirs / "daily.cvd").write_bytes(database(8))
    (theirs / "daily-7.cvd.sign").unlink()
    assert place(str(ours), str(theirs)) == [], "a newer one is in place"


def test_a_broken_one_is_replaced_and_never_placed(folders):
    ours, theirs = folders
    (ours / "daily.cud").write_bytes(database(7))
    (theirs / "daily.cud").write_bytes(b"broken")
    assert place(str(ours), str(theirs)) == ["daily.cud"]
    (ours / "daily.cud").write_bytes(b"broken")
    assert place(str(ours), str(theirs)) == []


def test_a_link_in_the_place_of_a_database_is_replaced_not_followed(folders, tmp_path):
    ours, theirs = folders
    (tmp_path / "victim").write_text("precious")
    (ours / "local.ndb").write_text("new")
    (theirs / "local.ndb").symlink_to(tmp_path / "victim")
    with pytest.raises(NotPlaced):
        place(str(ours), str(theirs))
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotPlaced, match="no such file"):
        place(str(tmp_path), f"{tmp_path}/none")


def test_half_a_file_of_one_that_was_killed_goes(folders):
    ours, theirs = folders
    (theirs / ".holdfast-12345.part").write_bytes(b"half")
    (theirs / ".holdfast-mine.part").write_bytes(b"stays")
    assert place(str(ours), str(theirs)) == []
    assert [path.name for path in theirs.iterdir()] == [".holdfast-mine.part"]
