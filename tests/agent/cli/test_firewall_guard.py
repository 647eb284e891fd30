"""`holdfast firewall guard`: pause, resume, restore."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.firewall import firewall
from contracts.errors import UsageError

from .test_firewall import Agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "control.sock")
    answer = {"until_ms": 1_800_000_000_000, "tables": ["inet filter"]}
    agent.verbs["do"] = {"ok": True, "summary": "restored inet filter", "answer": answer}
    yield agent
    agent.close()


@pytest.fixture
def call(agent: Agent) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        return CliRunner().invoke(firewall, ["guard", *words, "--socket", str(agent.path)], standalone_mode=False)

    return run


def orders(agent: Agent) -> list[tuple[str, dict[str, int]]]:
    return [(asked["action"], asked["arguments"]) for verb, asked in agent.asked if verb == "do"]


def test_a_pause_says_until_when(agent, call) -> None:
    assert "The guard rests until 20" in call("pause", "30m").output
    assert orders(agent) == [("guard_pause", {"seconds": 1800})]


@pytest.mark.parametrize("word", ["30", "soon", ""])
def test_what_is_no_duration_is_an_error(agent, call, word: str) -> None:
    result = call("pause", word)
    assert isinstance(result.exception, UsageError)
    assert "DURATION" in str(result.exception)
    assert orders(agent) == []


def test_resume_ends_a_pause(agent, call) -> None:
    assert call("resume").output == "The guard is awake.\n"
    assert orders(agent) == [("guard_pause", {"seconds": 0})]


def test_restore_says_what_it_brought_back(agent, call) -> None:
    assert call("restore").output == "Restored inet filter.\n"
    assert json.loads(call("restore", "--json").output)["tables"] == ["inet filter"]
