"""How deeds are asked for: progress, the end, and what failed with its exit code."""

from pathlib import Path

import pytest

from agent import command
from agent.cli import antivirus, antivirus_ask
from agent.cli.antivirus_ask import NotDone, have_done
from contracts.errors import Refused


def answers(monkeypatch, *said):
    monkeypatch.setattr(antivirus_ask, "stream", lambda *_, **__: iter(said))


def test_the_end_is_returned_and_progress_is_not(monkeypatch):
    progress = {"progress": {"done": 3.0, "total": 0.0, "unit": "files", "what": "0 infected\x1b[2J"}}
    end = {"ok": True, "summary": "done", "answer": {"code": 1}, "outcome": {}}
    answers(monkeypatch, progress, end)
    assert have_done(Path("/s"), "scan", {}) == end
    assert "\x1b" not in antivirus_ask._line(progress["progress"])


@pytest.mark.parametrize(("answer", "code"), [({"code": 2}, 2), ({}, 1)])
def test_what_failed_is_raised_with_its_code(monkeypatch, answer, code):
    answers(monkeypatch, {"ok": False, "summary": "", "answer": answer, "outcome": {"error": "no daemon\x1b"}})
    with pytest.raises(NotDone, match="no daemon") as told:
        have_done(Path("/s"), "scan", {})
    assert told.value.exit_code == code and "\x1b" not in str(told.value)


def test_a_scan_of_an_empty_name_is_refused_and_every_refusal_ends_as_clamscan_does(monkeypatch, capsys):
    monkeypatch.setattr(antivirus, "have_done", lambda *_, **__: 1 / 0)
    assert command.run(["antivirus", "scan", ""]) != 0 and "empty name" in capsys.readouterr().err

    def refuse(*_, **__):
        raise Refused("you may not command this agent")

    monkeypatch.setattr(antivirus, "have_done", refuse)
    assert command.run(["antivirus", "scan", "/srv"]) == 2 and "may not" in capsys.readouterr().err
