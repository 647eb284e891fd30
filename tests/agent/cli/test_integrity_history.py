"""`holdfast integrity history` and `rollback`: what they ask of the agent, and what they show."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.integrity_history import history, rollback
from contracts.errors import HoldfastError

from .test_firewall import Agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "control.sock")
    yield agent
    agent.close()


def _call(agent: Agent, command, *words: str):
    return CliRunner().invoke(command, [*words, "--socket", str(agent.path)], standalone_mode=False)


def _answers(agent: Agent, summary: str = "done", **answer: object) -> None:
    agent.verbs["do"] = {"ok": True, "summary": summary, "answer": answer}


def _orders(agent: Agent) -> list[tuple[str, dict, bool]]:
    return [(asked["action"], asked["arguments"], asked["dry_run"]) for verb, asked in agent.asked if verb == "do"]


LINES = ["01700000000000-aaaaaaaa\t12\t0644\t0:0\ta change", "01700000001000-bbbbbbbb\t-1\t0000\t0:0\tasked for"]


def test_versions_are_listed_newest_first(agent) -> None:
    _answers(agent, versions=LINES, path="/etc/x")
    said = _call(agent, history, "/etc/x").output.splitlines()
    assert said[0].startswith("01700000001000-bbbbbbbb") and "nothing there" in said[0]
    assert "12 bytes, 0644, 0:0" in said[1]
    told = json.loads(_call(agent, history, "/etc/x", "--json").output)
    assert told["versions"][0]["at_ms"] == 1_700_000_000_000


def test_a_file_without_versions_is_said_so(agent) -> None:
    _answers(agent, versions=[], path="/etc/x")
    assert _call(agent, history, "/etc/x").output == "No version is kept of /etc/x yet.\n"


def test_a_diff_is_shown_with_what_was_cut(agent) -> None:
    _answers(agent, lines=["-a", "+b\x1b[31m"], cut=3)
    assert "… and 3 lines more" in (said := _call(agent, history, "/etc/x", "--diff=-1").output)
    assert "\x1b" not in said
    assert _orders(agent) == [("history_show", {"path": "/etc/x", "version": "-1", "diff": True}, False)]


def test_a_version_is_kept_when_asked_for(agent) -> None:
    _answers(agent, "1 new version", kept=1)
    assert _call(agent, history, "/etc/x", "--keep").output == "1 new version.\n"


def test_a_rollback_needs_a_reason_and_may_be_tried(agent) -> None:
    _answers(agent, "would put /etc/x back", changed=True)
    assert _call(agent, rollback, "/etc/x", "--to=-1").exception is not None
    assert _call(agent, rollback, "/etc/x", "--to=-1", "--why", "ticket", "--dry-run").output.startswith("would put")
    assert _orders(agent) == [("rollback", {"path": "/etc/x", "to": "-1", "why": "ticket"}, True)]


def test_what_went_wrong_is_said(agent) -> None:
    agent.verbs["do"] = {"ok": False, "outcome": {"error": "no version is kept"}}
    failed = _call(agent, rollback, "/etc/x", "--to=-1", "--why", "w").exception
    assert isinstance(failed, HoldfastError) and "no version is kept" in str(failed)
