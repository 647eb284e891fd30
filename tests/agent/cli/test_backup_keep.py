"""`holdfast backup check|repair|forget|prune|key|unlock`."""

from pathlib import Path

import pytest

from agent.cli import backup_keep
from tests.agent.cli.backup_home import CHEAP, Home, home

__all__ = ["home"]


@pytest.fixture(autouse=True)
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("actions.backup.keys.calibrate", lambda: CHEAP)
    monkeypatch.setattr(backup_keep, "RECOVERY_STATES", tmp_path / "keys" / "recovery.json")
    return tmp_path / "keys" / "recovery.json"


def spoil(home: Home) -> None:
    """Damage every pack of data."""
    for pack in (home.place / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[10] ^= 1
            pack.write_bytes(content)


def test_check_says_what_is_wrong_and_what_that_costs(home: Home) -> None:
    assert "nothing wrong" in home.call("check", "--read-data").out
    spoil(home)
    assert home.call("check").code == 1, "the trees are read in any case"
    said = home.call("check", "--read-data")
    assert (said.code, "lost:" in said.err) == (1, True)
    assert home.call("check", "--read-data-subset", "100%", "--json").json["problems"]
    assert home.call("check", "--read-data-subset", "much").code == 2


def test_repair_brings_back_what_the_sources_still_have(home: Home) -> None:
    (home.source / "one").write_text("changed")
    for pack in (home.place / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[-1] ^= 1  # the header alone
            pack.write_bytes(content)
    said = home.call("repair", "--read-data")
    assert "Traceback" not in said.err
    assert home.call("check", "--read-data").code == 0, said
    assert home.call("repair").code == 0, "nothing to repair"


def test_forget_by_policy_is_shown_first_and_by_id_it_is_done(home: Home) -> None:
    said = home.call("forget", "--keep-last", "1", "--dry-run")
    assert (f"remove {home.ids[0][:8]}" in said.out, "Nothing was removed" in said.out) == (True, True)
    assert len(home.call("list", "--json").json) == 2
    assert home.call("forget").code == 2
    assert home.call("forget", "--keep-daily", "1", home.ids[0]).code == 2
    assert home.call("forget", "--keep-last", "1", "--prune").code == 0
    assert [row["id"] for row in home.call("list", "--json").json] == home.ids[1:]
    assert home.call("forget", home.ids[1][:8]).code == 0
    assert home.call("list", "--json").json == []


def test_a_suspicious_history_is_held_until_a_person_says_so(home: Home) -> None:
    (home.source / "big").write_bytes(bytes(10_000_000))
    home.save()
    said = home.call("forget", "--keep-last", "1")
    assert (said.code, "held" in said.err) == (1, True)
    assert home.call("forget", "--keep-last", "1", "--even-when-held").code == 0
    assert len(home.call("list", "--json").json) == 1


def test_prune_frees_what_nothing_needs(home: Home) -> None:
    home.call("forget", home.ids[0])
    assert "Would free" in home.call("prune", "--dry-run", "--max-unused", "0%").out
    assert home.call("prune", "--max-unused", "0%", "--json").json["freed_bytes"] > 0
    assert home.call("check", "--read-data").code == 0
    assert home.call("prune", "--max-unused", "x").code == 2


def test_keys_are_added_listed_and_removed_but_never_the_last(home: Home) -> None:
    (home.folder / "new").write_text("another\n")
    assert "Added" in home.call("key add", "--new-password-file", home.folder / "new").out
    rows = home.call("key list", "--json").json
    assert [row["in_use"] for row in rows].count(True) == 1
    other = next(row["id"] for row in rows if not row["in_use"])
    mine = next(row["id"] for row in rows if row["in_use"])
    assert home.call("key remove", mine).code == 1
    assert home.call("list", "-r", home.place, "-p", home.folder / "new", bare=True).code == 0
    assert home.call("key remove", other[:8]).code == 0
    assert home.call("list", "-r", home.place, "-p", home.folder / "new", bare=True).code == 12


def test_a_recovery_key_is_nagged_for_until_it_was_proved(
    home: Home, monkeypatch: pytest.MonkeyPatch, states: Path
) -> None:
    assert "no recovery key" in home.call("key list").err
    said = home.call("key recovery")
    text = next(line.strip() for line in said.out.splitlines() if line.startswith("    "))
    assert text not in states.read_text()
    assert "never been proved" in home.call("key list").err
    monkeypatch.setattr("agent.cli.backup_keep.click.prompt", lambda *_, **__: text.lower())
    assert "opens the repository" in home.call("key recovery", "--prove").out
    assert home.call("key list").err == ""


def test_unlock_removes_what_is_left_over_or_all(home: Home) -> None:
    lock = home.repository.lock()
    assert home.call("unlock").out.startswith("0 locks")
    assert home.call("unlock", "--remove-all").out.startswith("1 locks")
    lock.release()


def test_a_target_is_pruned_in_its_own_directory_there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "correct horse")
    assert (
        home.call("forget", "--on-target", "--dry-run", "--keep-last", "1", "--repo", home.place, bare=True).code != 0
    )
    said = home.call("forget", "--on-target", "--keep-last", "1", "--repo", home.place, "--json", bare=True)
    assert said.code == 0, said
    assert said.json["removed"] == home.ids[:1]
    assert said.json["doubtful"] == []
    assert [row["id"] for row in home.call("list", "--json").json] == home.ids[1:]
