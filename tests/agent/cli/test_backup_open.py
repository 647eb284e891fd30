"""How a command finds its repository: by job, by place and password, in restic's words."""

import pytest

from tests.agent.cli.backup_home import PASSWORD, Home, home

__all__ = ["home"]


def test_without_a_configuration_place_and_password_are_enough(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    said = home.call("list", "-r", home.place, "-p", home.password, "--json", bare=True)
    assert [row["id"] for row in said.json] == home.ids
    monkeypatch.setenv("RESTIC_REPOSITORY", str(home.place))
    monkeypatch.setenv("RESTIC_PASSWORD", PASSWORD)
    assert home.call("list", "--json", bare=True).json == said.json


def test_without_a_password_it_is_said_what_would_do(home: Home) -> None:
    said = home.call("list", "-r", home.place, bare=True)
    assert (said.code, "--password-file" in said.err) == (2, True)
    (home.folder / "empty").write_text("\n")
    assert home.call("list", "-r", home.place, "-p", home.folder / "empty", bare=True).code == 2
    assert home.call("list", "-r", home.place, "-p", home.folder / "gone", bare=True).code == 74


def test_of_several_jobs_one_must_be_named(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("{etc:", "{other: {repository: /nowhere/at/all}, etc:"))
    said = home.call("list")
    assert (said.code, "etc, other" in said.err) == (2, True)
    assert home.call("list", "-j", "etc").code == 0
    assert home.call("list", "-j", "etc", "-r", "/x").code == 2
    home.config.write_text("{}")
    assert "no backup job is configured" in home.call("list").err


def test_snapshots_are_chosen_by_host_tag_and_path(home: Home) -> None:
    assert len(home.call("list", "--tag", "etc", "--json").json) == 2
    assert home.call("list", "--tag", "etc,daily", "--json").json == []
    assert len(home.call("list", "--saved-path", home.source, "--host", "here", "--json").json) == 2


def test_a_lock_is_waited_for_when_asked(home: Home) -> None:
    lock = home.repository.lock(exclusive=True)
    import threading

    timer = threading.Timer(0.5, lock.release)
    timer.start()
    assert home.call("check", "--lock-wait", "20").code == 0
    timer.join()


def test_a_password_file_that_is_no_text_is_named(home: Home) -> None:
    home.password.write_bytes(b"\xff\xfe\x00")
    said = home.call("list", "--password-file", home.password)
    assert (said.code, "is not UTF-8" in said.err) == (2, True), said
