"""`holdfast backup databases check` without a server; `tests/actions/backup/databases/test_reach.py` asks real ones."""

import pytest

from agent.cli import backup_databases
from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


def test_a_job_without_databases_says_so(home: Home) -> None:
    said = home.call("databases check")
    assert (said.code, "dumps no database" in said.out) == (0, True)
    assert home.call("databases check", "--json").json == []
    assert home.call("databases check", "-j", "other").code == 2


def test_what_cannot_be_asked_has_the_code_of_what_cannot_be_read(home: Home) -> None:
    home.configure(f", databases: {{redis: [{{socket: {home.folder}/none}}]}}")
    said = home.call("databases check")
    assert said.code == backup_databases.UNREADABLE
    assert "ACL SETUSER backup on >PASSWORD" in said.out
    assert "NOT ASKED: redis" in said.out


def test_root_asks_as_the_user_of_the_worker_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: str) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwnam", lambda _: None)
    assert backup_databases._worker() == "holdfast-backup"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert backup_databases._worker() == ""
    monkeypatch.undo()
    monkeypatch.setattr("pwd.getpwnam", nobody)
    assert backup_databases._worker() == ""
