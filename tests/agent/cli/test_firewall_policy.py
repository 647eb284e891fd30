"""`holdfast firewall policy` against an agent that answers from a recording, over a real control socket."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli import policy_targets
from agent.cli.firewall import firewall
from agent.cli.firewall_policy import NoPolicy, WouldCut
from agent.cli.sessions import Session
from contracts.errors import HoldfastError, Refused, Unreachable
from contracts.policy import Policy, Service, digest
from contracts.subjects.datapath import Row
from settings.errors import ConfigErrors

from .test_firewall import Agent as Plain

POLICY = Policy(enforce=True, services={"ssh": Service(ports=("22",))})
LINK = {
    "ifname": "eth0", "ifindex": 2, "flags": ["UP"], "operstate": "UP", "link_type": "ether",
    "addr_info": [{"family": "inet", "local": "192.0.2.1", "prefixlen": 24, "scope": "global"}],
}  # fmt: skip
ROWS = {
    "link eth0": Row(what="link", document=json.dumps(LINK)),
    "route 4 1": Row(what="route", text="4", document=json.dumps({"dst": "default", "dev": "eth0", "table": "main"})),
    "route 4 2": Row(
        what="route", text="4",
        document=json.dumps({"type": "local", "dst": "192.0.2.1", "dev": "eth0", "table": "local"}),
    ),
    "routing-rule 4 1": Row(
        what="routing-rule", text="4", document=json.dumps({"priority": 0, "src": "all", "table": "local"})
    ),
    "routing-rule 4 2": Row(
        what="routing-rule", text="4", document=json.dumps({"priority": 32766, "src": "all", "table": "main"})
    ),
}  # fmt: skip


class Agent(Plain):
    """Answers each subject by itself; `done` holds the orders it was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        subjects = {
            "datapath": {"revision": 1, "rows": msgspec.to_builtins(ROWS), "at_ms": 5},
            "ports": {"revision": 1, "rows": {}, "at_ms": 5},
            "policy": {"revision": 1, "rows": {"declared": {"digest": digest(POLICY)}}, "at_ms": 5},
        }
        self.verbs: Any = _Verbs(self)
        self.subjects: dict[str, Any] = subjects
        self.look: dict[str, Any] = {"outcome": {"type": "ok"}}
        self.console = ""
        self.result: dict[str, Any] = {
            "ok": True,
            "summary": "done",
            "answer": {"digest": "d1", "seconds": 120, "remaining": ""},
        }

    @property
    def done(self) -> list[dict[str, Any]]:
        return [arguments for verb, arguments in self.asked if verb == "do"]


class _Verbs:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def __getitem__(self, verb: str) -> Any:
        agent = self._agent
        if verb == "subject":
            return agent.subjects[agent.asked[-1][1]["subject"]]
        return {"look": agent.look, "do": agent.result, "status": {"console": {"url": agent.console}}}[verb]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    agent = Agent(tmp_path / "control.sock")
    agent.sessions = []
    monkeypatch.setattr(policy_targets, "sessions", lambda: (tuple(agent.sessions), ()))
    yield agent
    agent.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("firewall: {policy: {enforce: true, services: {ssh: {ports: [22]}}}}\n")
    return path


@pytest.fixture
def call(agent: Agent, config: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        words = ["policy", *arguments, "-c", str(config), "--socket", str(agent.path)]
        return CliRunner().invoke(firewall, words, standalone_mode=False)

    return run


def test_plan_shows_nft_and_what_differs(call) -> None:
    result = call("plan")
    assert result.return_value == 1, result.exception
    assert 'tcp dport 22 accept comment "service ssh"' in result.output
    assert "+ tcp every other port over IPv4 from internet to 192.0.2.1: reachable now, not declared" in result.output


def test_plan_as_json_has_everything(call) -> None:
    told = json.loads(call("plan", "--json").output)
    assert told["digest"] == digest(POLICY)
    assert told["nft"].startswith("add table inet holdfast")
    assert {each["change"] for each in told["differences"]} == {"open"}
    assert (told["cuts"], told["notes"]) == ([], [])


def test_plan_says_when_the_agent_judges_by_another_policy(agent, call) -> None:
    agent.subjects["policy"]["rows"] = {}
    assert "reload it" in call("plan").output


def test_apply_looks_first_and_sends_what_it_showed(agent, call) -> None:
    result = call("apply", "--minutes", "5")
    assert result.exception is None, result.exception
    assert ("look", {"subject": "datapath"}) in agent.asked
    (order,) = agent.done
    assert (order["action"], order["dry_run"]) == ("policy_apply", False)
    assert order["arguments"]["seconds"] == 300
    assert msgspec.json.decode(order["arguments"]["policy"], type=Policy) == POLICY
    assert "holdfast firewall policy confirm" in result.output


@pytest.mark.parametrize("flags", [(), ("--yes-cut",), ("--yes-cut-again",)])
def test_what_would_cut_a_session_is_refused_by_name_and_rule(agent, call, config, flags) -> None:
    config.write_text("firewall: {policy: {enforce: true, services: {web: {ports: [80]}}}}\n")
    agent.sessions.append(Session("anna", "203.0.113.5", "192.0.2.1", 22))
    refused = {"type": "failed", "error": "the policy was not applied"}
    agent.result = {"ok": False, "summary": "", "outcome": refused, "answer": {"cuts": ["would cut bob's session"]}}
    result = call("apply", *flags)
    assert isinstance(result.exception, WouldCut)
    assert result.exception.exit_code == 77
    assert "! would cut bob's session" in result.output  # the agent itself found another one
    (order,) = agent.done
    assert order["arguments"]["told"] == int("--yes-cut" in flags)
    (line,) = order["arguments"]["cuts"]
    assert "anna from 203.0.113.5 to port 22" in line and "everything else is refused" in line


def test_console_and_backup_targets_are_among_what_must_not_be_cut(agent, call, config) -> None:
    agent.console = "https://console.invalid:8444"
    config.write_text(
        "firewall: {policy: {enforce: true, services: {ssh: {ports: [22]}}}}\n"
        "backup: {jobs: {system: {repository: 'sftp://web1@backup.invalid//r'}}}\n"
    )
    call("apply")
    lines = agent.done[0]["arguments"]["cuts"]
    assert lines[0].startswith("may cut the console https://console.invalid:8444: console.invalid does not resolve")
    assert lines[1].startswith("may cut the backup target backup.invalid of system: backup.invalid does not resolve")


def test_what_else_hinders_the_agent_is_said_in_its_words(agent, call) -> None:
    agent.result = {"ok": False, "summary": "", "outcome": {"type": "failed", "error": "nft says no"}, "answer": {}}
    assert "nft says no" in str(call("apply").exception)


def test_told_twice_it_goes_on_and_says_what_was_overridden(agent, call, config) -> None:
    config.write_text("firewall: {policy: {enforce: true, services: {web: {ports: [80]}}}}\n")
    agent.sessions.append(Session("anna", "203.0.113.5", "192.0.2.1", 22))
    assert call("apply", "--yes-cut", "--yes-cut-again").exception is None
    assert "anna" in agent.done[0]["arguments"]["cuts"][0]
    assert agent.done[0]["arguments"]["told"] == 2


def test_a_firewall_that_cannot_be_seen_now_is_no_ground_to_apply_on(agent, call) -> None:
    agent.look = {"outcome": {"type": "unavailable", "detail": "nft is not installed"}}
    result = call("apply")
    assert isinstance(result.exception, Unreachable)
    assert "nft is not installed" in str(result.exception)
    assert agent.done == []


def test_what_is_not_to_be_enforced_is_not_applied(agent, call, config) -> None:
    config.write_text("firewall: {policy: {services: {ssh: {ports: [22]}}}}\n")
    result = call("apply")
    assert isinstance(result.exception, Refused)
    assert "enforce" in str(result.exception)
    assert agent.asked == []


@pytest.mark.parametrize("word", ["plan", "apply"])
def test_without_a_policy_it_says_how_to_declare_one(call, config, word) -> None:
    config.write_text("{}\n")
    result = call(word)
    assert isinstance(result.exception, NoPolicy)
    assert "firewall.policy" in str(result.exception)


def test_a_mistake_in_the_file_is_told_with_its_place(call, config) -> None:
    config.write_text("firewall: {policy: {services: {ssh: {ports: [22:22]}}}}\n")
    result = call("plan")
    assert isinstance(result.exception, ConfigErrors)
    assert "agent.yaml:1:46: firewall.policy.services.ssh.ports[0]" in str(result.exception)


def test_confirm_and_revert_ask_the_agent(agent, call) -> None:
    assert "holds from now on" in call("confirm", "d1").output
    assert "no policy of Holdfast is in force" in call("revert", "--all").output
    assert [(each["action"], each["arguments"]) for each in agent.done] == [
        ("policy_confirm", {"digest": "d1"}),
        ("policy_revert", {"all": True}),
    ]


def test_what_the_agent_refuses_is_told_with_its_advice(agent, call) -> None:
    agent.result = {
        "ok": False,
        "outcome": {"type": "unavailable", "detail": "the trial is over", "fix": "Apply it again."},
        "summary": "",
        "answer": {},
    }
    result = call("confirm")
    assert isinstance(result.exception, HoldfastError)
    assert str(result.exception) == "the trial is over; Apply it again."
    assert result.exception.exit_code == 1


def test_what_the_agent_cannot_confirm_ends_with_the_code_that_says_so(agent, call) -> None:
    agent.result = {
        "ok": False,
        "outcome": {"type": "failed", "error": "no policy is on trial; apply one with `x`"},
        "summary": "",
        "answer": {"code": 2},
    }
    for words in (("confirm",), ("confirm", "--json"), ("revert",)):
        result = call(*words)
        assert isinstance(result.exception, HoldfastError)
        assert (result.exception.exit_code, result.output) == (2, "")
