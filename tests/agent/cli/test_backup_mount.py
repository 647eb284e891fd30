"""`holdfast backup mount`: what it refuses; `tests/actions/backup/test_mount.py` mounts with it."""

from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


def test_a_place_that_is_none_is_refused_before_a_lock_is_taken(home: Home) -> None:
    said = home.call("mount", home.folder / "nowhere")
    assert (said.code, "mkdir" in said.err) == (2, True)
    said = home.call("mount", home.source)
    assert (said.code, "not empty" in said.err) == (2, True)
    assert list((home.place / "locks").iterdir()) == []


def test_a_wrong_password_has_restics_code(home: Home) -> None:
    home.password.write_text("another\n")
    (home.folder / "mnt").mkdir()
    assert home.call("mount", home.folder / "mnt").code == 12
