"""`holdfast ban`, `unban`, `bans` and `allow` against an agent that answers from a recording, over a real control socket."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli import ban as commands
from agent.cli.ban import NotDone, NotHeld, listing
from contracts.errors import UsageError
from contracts.subjects.bans import Ban
from tests.agent.cli.test_firewall import Agent

NOW_MS = 1_800_000_000_000
ROWS = {
    "203.0.113.7": Ban(
        network="203.0.113.7",
        family=4,
        since_ms=NOW_MS - 120_000,
        until_ms=NOW_MS + 3_600_000,
        who="rule",
        reason="scans\x1b[2J",
        cause="0190",
        packets=64,
        leaked=2,
    ),
    "allowed 198.51.100.0/24": Ban(
        network="198.51.100.0/24", family=4, since_ms=1, who="ops", reason="office", allowed=True
    ),
    "limited 203.0.113.8": Ban(network="203.0.113.8", family=4, since_ms=NOW_MS, until_ms=NOW_MS + 5000, limited=True),
}
DONE: dict[str, Any] = {
    "ok": True,
    "outcome": {"type": "ok"},
    "summary": "blocked",
    "answer": {"effective": True, "causes": []},
}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path / "control.sock")
    made.verbs = {
        "do": DONE,
        "look": {},
        "coverage": {"sights": [{"subject": "bans", "state": "seen"}]},
        "subject": {"subject": "bans", "revision": 1, "at_ms": 5, "rows": msgspec.to_builtins(ROWS), "accepted": None},
    }
    yield made
    made.close()


@pytest.fixture
def call(agent: Agent) -> Callable[..., Result]:
    def run(command: click.Command, *arguments: str) -> Result:
        words = [*arguments, "--socket", str(agent.path)]
        return CliRunner().invoke(command, words, standalone_mode=False)

    return run


def asked(agent: Agent) -> dict[str, Any]:
    return next(arguments for verb, arguments in reversed(agent.asked) if verb == "do")


def test_a_ban_is_asked_for_in_seconds_and_its_summary_shown(agent: Agent, call) -> None:
    result = call(commands.ban, "203.0.113.7", "--for", "1h", "--reason", "scans")
    assert result.exception is None and result.output == "blocked\n"
    assert asked(agent) == {
        "action": "block",
        "arguments": {"address": "203.0.113.7", "seconds": 3600.0, "reason": "scans"},
        "dry_run": False,
    }


def test_a_ban_of_no_time_is_not_taken_for_the_usual_one(agent: Agent, call) -> None:
    result = call(commands.ban, "203.0.113.7", "--for", "0s")
    assert isinstance(result.exception, UsageError) and "0s" in str(result.exception)
    assert agent.asked == []


def test_a_ban_for_good_and_a_dry_run(agent: Agent, call) -> None:
    call(commands.ban, "203.0.113.7", "--permanently", "--dry-run")
    assert asked(agent)["arguments"]["permanent"] is True and asked(agent)["dry_run"] is True


def test_lists_are_loaded_by_the_same_command(agent: Agent, call) -> None:
    call(commands.ban, "--lists")
    assert asked(agent)["action"] == "blocklist"


def test_a_refusal_is_an_error_with_its_reason(agent: Agent, call) -> None:
    agent.verbs["do"] = {
        **DONE,
        "summary": "127.0.0.1 was not blocked: it is loopback",
        "answer": {"refused": "it is loopback"},
    }
    failure = call(commands.ban, "127.0.0.1").exception
    assert isinstance(failure, NotDone) and failure.exit_code == 1
    assert "127.0.0.1 was not blocked: it is loopback" in str(failure)


def test_a_failure_says_why(agent: Agent, call) -> None:
    agent.verbs["do"] = {
        "ok": False,
        "outcome": {"type": "unavailable", "detail": "nft is not installed", "fix": "install it"},
        "answer": {},
    }
    assert str(call(commands.ban, "203.0.113.7").exception) == "nft is not installed; install it"


def test_a_ban_that_does_not_hold_has_its_own_exit_code(agent: Agent, call) -> None:
    agent.verbs["do"] = {**DONE, "answer": {"effective": False, "causes": ["`accept` stands before ours"]}}
    failure = call(commands.ban, "203.0.113.7").exception
    assert isinstance(failure, NotHeld) and failure.exit_code == 3 and "`accept` stands" in str(failure)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ban", []),
        ("ban", ["203.0.113.7", "--for", "soon"]),
        ("ban", ["203.0.113.7", "--for", "1h", "--permanently"]),
        ("ban", ["203.0.113.7", "--lists"]),
        ("unban", ["203.0.113.7", "--for", "x"]),
        ("allow", []),
        ("allow", ["203.0.113.7"]),
        ("allow", ["203.0.113.7", "--owner", "ops"]),
        ("allow", ["203.0.113.7", "--owner", "ops", "--reason", "x", "--until", "yesterday"]),
        ("allow", ["203.0.113.7", "--owner", "ops", "--reason", "x", "--until", "2020-01-01T00:00"]),
    ],
)
def test_words_that_make_no_sense_ask_nothing(agent: Agent, call, command: str, words: list[str]) -> None:
    assert isinstance(call(getattr(commands, command), *words).exception, UsageError)
    assert agent.asked == []


def test_unban_says_how_long_it_sticks(agent: Agent, call) -> None:
    call(commands.unban, "203.0.113.7", "--for", "0s", "--reason", "a mistake")
    assert asked(agent)["arguments"] == {"address": "203.0.113.7", "seconds": 0.0, "reason": "a mistake"}


def test_allow_takes_a_span_or_a_time(agent: Agent, call) -> None:
    call(commands.allow, "203.0.113.7", "--owner", "ops", "--reason", "office", "--until", "30d")
    assert asked(agent)["arguments"]["seconds"] == 30 * 86400
    tomorrow = (datetime.now() + timedelta(days=1)).isoformat(timespec="minutes")
    call(commands.allow, "203.0.113.7", "--owner", "ops", "--reason", "office", "--until", tomorrow)
    assert 86300 < asked(agent)["arguments"]["seconds"] <= 86400
    call(commands.allow, "203.0.113.7", "--remove")
    assert asked(agent) == {"action": "disallow", "arguments": {"address": "203.0.113.7"}, "dry_run": False}


def test_the_allowlist_is_shown(agent: Agent, call) -> None:
    assert call(commands.allow, "--list").output.splitlines()[1].split()[:2] == ["198.51.100.0/24", "ops"]
    assert json.loads(call(commands.allow, "--list", "--json").output).keys() == {"allowed 198.51.100.0/24"}


def test_bans_show_who_why_since_when_until_when_and_how_much() -> None:
    lines = list(listing(ROWS, NOW_MS))
    assert "203.0.113.7" in lines[1]
    for word in ("2 min ago", "(in 1 h)", "64+", "rule", "0190"):
        assert word in lines[1]
    assert "\x1b[2J" not in "".join(lines)
    assert "2 or more packets got past the ban" in lines[2]
    assert any("limited" in line for line in lines) and any("office" in line for line in lines)
    assert list(listing({}, NOW_MS)) == ["Nobody is blocked."]


def test_bans_look_first_and_say_what_cannot_be_seen(agent: Agent, call) -> None:
    blind = {"what": "bans", "why": "permission", "detail": "may not", "fix": "Run as root."}
    agent.verbs["coverage"] = {"sights": [{"subject": "bans", "state": "unseen", "blind": [blind]}]}
    text = call(commands.bans).output
    assert text.startswith("The bans cannot be seen now; this is what was seen last.\ncannot see bans: may not")
    assert next(verb for verb, _ in agent.asked) == "look"
    told = json.loads(call(commands.bans, "--json").output)
    assert told["state"] == "unseen" and told["rows"].keys() == ROWS.keys()
