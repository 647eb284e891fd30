"""The test file is written where it is watched, and every one of them is taken away again."""

import errno

import pytest

from actions.antivirus import prove
from actions.antivirus.prove import AntivirusProve, NotPlanted
from contracts.errors import UsageError
from tests.clamav_lab import EICAR


def settings(folder):
    return {"proof": {"folder": str(folder)}}


def test_it_is_planted_and_cleaned_up_with_those_that_were_left(do, tmp_path):
    folder = tmp_path / "drill"
    result = do(AntivirusProve, settings(folder), step="plant")
    path = folder / "holdfast-drill-1"
    assert path.read_bytes() == EICAR and len(EICAR) == 68
    planted = result.events[0]
    assert (planted.kind, planted.fields["proof"]) == ("antivirus.proof_planted", "1") and planted.observed_ms
    (folder / "holdfast-drill-old").write_bytes(EICAR)
    (folder / "mine").write_text("stays")
    done = do(AntivirusProve, settings(folder), step="clean", proof="1", detected_ms=120.0, reached_ms=250.0)
    assert [each.name for each in folder.iterdir()] == ["mine"]
    assert (str(done.proof.verb), done.proof.numbers) == ("reached", {"detected_ms": 120.0, "reached_ms": 250.0})
    assert do(AntivirusProve, settings(folder), step="clean", proof="1").proof is None, "what was missed proves nothing"


def test_without_a_console_it_is_fired_not_reached(do, tmp_path):
    done = do(AntivirusProve, settings(tmp_path), step="clean", proof="1", detected_ms=1.0)
    assert str(done.proof.verb) == "fired"


def test_a_link_in_the_way_or_a_file_with_its_name_is_not_written_over(do, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "drill").symlink_to(tmp_path / "real")
    with pytest.raises(NotPlanted):
        do(AntivirusProve, settings(tmp_path / "drill"), step="plant")
    (tmp_path / "real" / "holdfast-drill-1").symlink_to(tmp_path / "victim")
    with pytest.raises(NotPlanted):
        do(AntivirusProve, settings(tmp_path / "real"), step="plant")
    assert not (tmp_path / "victim").exists()


def test_another_step_is_refused_and_a_dry_run_writes_nothing(do, tmp_path):
    with pytest.raises(UsageError):
        do(AntivirusProve, settings(tmp_path), step="dance")
    do(AntivirusProve, settings(tmp_path / "none"), step="plant", dry_run=True)
    assert not (tmp_path / "none").exists()


def test_a_folder_with_the_name_of_a_test_file_keeps_no_other_from_being_taken_away(do, tmp_path):
    (tmp_path / "holdfast-drill-0" / "x").mkdir(parents=True)
    (tmp_path / "holdfast-drill-9").write_bytes(EICAR)
    done = do(AntivirusProve, settings(tmp_path), step="clean", proof="1", detected_ms=1.0)
    assert done.proof is not None and [each.name for each in tmp_path.glob("holdfast-drill-*")] == ["holdfast-drill-0"]


def test_a_full_disk_leaves_no_half_of_a_test_file(do, tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(prove.os, "write", full)
    with pytest.raises(NotPlanted, match="no space left on device"):
        do(AntivirusProve, settings(tmp_path / "drill"), step="plant")
    assert list((tmp_path / "drill").iterdir()) == []
