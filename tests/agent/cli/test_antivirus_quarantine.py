"""Names of files on the command line reach the agent as they are."""

import json
import os
from pathlib import Path

from agent import command
from agent.cli import antivirus_quarantine
from agent.cli.antivirus_quarantine import absolute
from contracts.text import escape


def test_a_relative_name_is_one_from_here_and_a_link_stays_a_link(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)
    assert absolute(Path("link")) == f"{tmp_path}/link"
    assert absolute(Path("./a/../b")) == f"{tmp_path}/b"
    assert absolute(Path(os.fsdecode(b"/x\xff\\y"))) == "/x\\xff\\\\y"


def test_what_is_in_quarantine_is_shown_and_cannot_drive_the_terminal(monkeypatch, capsys):
    entry = {
        "entry": "ab12",
        "path": "/a\x1b[2J",
        "signature": "Evil",
        "size": 68,
        "who": "root",
        "at_ms": 1_795_280_000_000,
    }
    answer = {"entries": [json.dumps(entry)], "total": 1, "unreadable": []}
    monkeypatch.setattr(antivirus_quarantine, "have_done", lambda *_, **__: {"answer": answer, "summary": ""})
    assert command.run(["antivirus", "quarantine", "list"]) == 0
    out = capsys.readouterr().out
    assert "ab12" in out and "Evil" in out and "\x1b" not in out


def test_a_note_that_does_not_read_is_an_error(monkeypatch, capsys):
    answer = {"entries": [], "total": 0, "unreadable": ["x.json"]}
    monkeypatch.setattr(antivirus_quarantine, "have_done", lambda *_, **__: {"answer": answer, "summary": ""})
    assert command.run(["antivirus", "quarantine", "list"]) == 1
    assert "x.json" in capsys.readouterr().err


def test_setuid_comes_back_when_that_is_asked_for_by_the_rights_of_who_asks(tmp_path, monkeypatch, capsys):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0o755)
    found = file.stat()
    answer = {
        "path": escape(os.fsencode(file)),
        "mode": 0o4755,
        "device": found.st_dev,
        "inode": found.st_ino,
        "code": 0,
    }
    monkeypatch.setattr(antivirus_quarantine, "have_done", lambda *_, **__: {"answer": answer, "summary": "it is back"})
    assert command.run(["antivirus", "quarantine", "restore", "ab12"]) == 0
    assert file.stat().st_mode & 0o7777 == 0o755
    assert command.run(["antivirus", "quarantine", "restore", "ab12", "--setuid"]) == 0
    assert file.stat().st_mode & 0o7777 == 0o4755 and "4755" in capsys.readouterr().out
    answer["inode"] += 1
    file.chmod(0o755)
    assert command.run(["antivirus", "quarantine", "restore", "ab12", "--setuid"]) == 1
    assert file.stat().st_mode & 0o7777 == 0o755 and "another file by now" in capsys.readouterr().err


def test_deleting_asks_first(monkeypatch):
    monkeypatch.setattr(antivirus_quarantine, "have_done", lambda *_, **__: 1 / 0)
    assert command.run(["antivirus", "quarantine", "delete", "ab12"]) != 0
