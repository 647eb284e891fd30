"""`holdfast backup restore`: elsewhere, by path, in place, previewed and verified."""

from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


def test_the_whole_and_a_folder_and_a_path(home: Home) -> None:
    target = home.folder / "out"
    said = home.call("restore", "latest", "-t", target, "--verify")
    assert (said.code, "Restored and verified 2 files" in said.out) == (0, True)
    assert (target / home.source.relative_to("/") / "one").read_text() == "changed"
    assert home.call("restore", f"{home.ids[0][:10]}:{home.source}", "-t", target / "first").code == 0
    assert (target / "first" / "one").read_text() == "first"
    assert home.call("restore", f"latest:{home.source}", "folder/two", "-t", target / "part").code == 0
    assert sorted(path.name for path in (target / "part").rglob("*")) == ["folder", "two"]


def test_in_place_what_changed_comes_back_and_the_rest_stays(home: Home) -> None:
    (home.source / "one").write_text("ruined")
    (home.source / "own").write_text("of nobody's snapshot")
    said = home.call("restore", f"latest:{home.source}", "-t", home.source, "--dry-run")
    assert (said.code, "would be replaced" in said.out) == (0, True)
    assert (home.source / "one").read_text() == "ruined"
    assert home.call("restore", f"latest:{home.source}", "-t", home.source, "--overwrite", "never").code == 0
    assert (home.source / "one").read_text() == "ruined"
    said = home.call("restore", f"latest:{home.source}", "-t", home.source, "--overwrite", "if-changed", "--json")
    assert (said.json["files"], said.json["unchanged"], said.json["failed"]) == (1, 1, [])
    assert (home.source / "one").read_text() == "changed"
    assert (home.source / "own").exists()


def test_excludes_and_what_is_not_there(home: Home) -> None:
    target = home.folder / "out"
    assert home.call("restore", f"latest:{home.source}", "-t", target, "-e", "one").code == 0
    assert sorted(path.name for path in target.iterdir()) == ["folder"]
    assert home.call("restore", f"latest:{home.source}", "nowhere", "-t", target).code == 1
    assert home.call("restore", "latest:/nowhere", "-t", target).code == 1
    assert home.call("restore", "ffff", "-t", target).code == 1


def test_a_damaged_pack_is_named_and_the_code_says_so(home: Home) -> None:
    for pack in (home.place / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(bytes(pack.stat().st_size))
    said = home.call("restore", "latest", "-t", home.folder / "out")
    assert (said.code, "data/" in said.err) == (1, True)


def test_a_dry_run_says_what_that_very_restore_would_do(home: Home) -> None:
    (home.source / "one").write_text("ruined")
    (home.source / "folder" / "two").unlink()
    words = ("restore", f"latest:{home.source}", "-t", home.source, "--dry-run", "--json")
    assert {key: home.call(*words).json[key] for key in ("new", "replaced", "left")} == {
        "new": 1,
        "replaced": 1,
        "left": 0,
    }
    never = home.call(*words, "--overwrite", "never").json
    assert (never["new"], never["replaced"], never["left"]) == (1, 0, 1)
    less = home.call(*words, "--exclude", "two").json
    assert (less["new"], less["replaced"]) == (0, 1)
    assert "1 would be left" in home.call(*words[:-1], "--overwrite", "never").out
    assert not (home.source / "folder" / "two").exists()


def test_without_a_lock_nothing_is_written_into_the_repository(home: Home) -> None:
    for folder in (home.place / "locks", home.place):
        folder.chmod(0o500)
    before = sorted(home.place.rglob("*"))
    other = home.repository.lock(exclusive=True)
    try:
        assert home.call("restore", "latest", "-t", home.folder / "out").code == 11
        assert home.call("restore", "latest", "-t", home.folder / "out", "--no-lock").code == 0
    finally:
        other.release()
    assert sorted(home.place.rglob("*")) == before
