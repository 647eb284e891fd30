"""`holdfast status` as people read it: what is not seen first, green only with proof."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner

from agent.cli import status

ANSWER: dict[str, Any] = {
    "agent": "a" * 32,
    "version": "0.1.0",
    "pid": 7,
    "uptime_s": 90.0,
    "hostname": "web1",
    "config": {"file": "/etc/holdfast/agent.yaml", "digest": "d1", "pending": False, "refused": []},
    "core": {"uid": 990, "capabilities": []},
    "console": {"connected": True, "last_ok_ms": 1, "last_error": "", "advice": ""},
    "sights": [{"subject": "ports", "state": "seen", "blind": [], "since_ms": 1, "last_ok_ms": 1, "rows": 5}],
    "counts": {"held": 0},
    "workers": [{"name": "reader", "state": "running", "pid": 8, "restarts": 0, "uid": 991, "detail": ""}],
    "lanes": [{"lane": "normal", "waiting": 3, "bytes": 900, "next_seq": 9, "lost": 0}],
    "outputs": [],
    "proofs": [],
    "disk": "",
}


def text(**more: Any) -> str:
    return "\n".join(status.lines({**ANSWER, **more}))


def plainly(**more: Any) -> str:
    return click.unstyle(text(**more))


def test_a_healthy_agent_reads_well() -> None:
    shown = plainly()
    assert "up 2 min" in shown and "connected" in shown and "worker reader" in shown and "events waiting: 3" in shown


def test_seen_is_green_only_when_a_look_proved_it() -> None:
    green = click.style("seen    ", fg="green")
    assert green in text()
    assert green not in text(sights=[{**ANSWER["sights"][0], "last_ok_ms": 0}])


def test_what_is_not_seen_says_why_and_what_would_do() -> None:
    blind = {"what": "the ruleset", "why": "tool_missing", "detail": "nft is not installed", "fix": "Install nftables."}
    shown = plainly(sights=[{**ANSWER["sights"][0], "state": "unseen", "blind": [blind]}])
    assert "cannot see the ruleset: nft is not installed" in shown
    assert "Install nftables." in shown


def test_an_unreached_console_says_why_and_what_to_do() -> None:
    shown = plainly(console={"connected": False, "last_error": "not enrolled", "advice": "run `holdfast enroll`"})
    assert "not reached: not enrolled" in shown and "holdfast enroll" in shown


def test_a_full_disk_lost_events_and_a_pending_configuration_are_said() -> None:
    lanes = [{**ANSWER["lanes"][0], "lost": 4}]
    config = {**ANSWER["config"], "pending": True, "refused": ["agent.yaml:1:1: no"]}
    shown = plainly(disk="no space", counts={"held": 2}, lanes=lanes, config=config)
    assert "Nothing new can be stored: no space (2 results wait)" in shown
    assert "4 were lost" in shown and "is not loaded" in shown and "refused: agent.yaml:1:1" in shown


def test_a_proof_that_no_longer_holds_is_not_green() -> None:
    proof = {"subject": "notify/admins", "verb": "reached", "at_ms": 1, "detail": ""}
    assert "no longer proven" in plainly(proofs=[{"proof": proof, "holds": False}])
    assert click.style("proven", fg="green") in text(proofs=[{"proof": proof, "holds": True}])


def test_a_hostile_name_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in plainly(hostname="evil\x1b[2J")


def test_json_is_the_agents_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "ask", lambda path, verb: ANSWER)
    done = CliRunner().invoke(status.status, ["--json"])
    assert json.loads(done.output) == ANSWER
    assert "web1" in CliRunner().invoke(status.status, []).output
