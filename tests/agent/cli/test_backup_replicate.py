"""`holdfast backup replicate`: by the agent, and what a server needs."""

from pathlib import Path

import pytest

from tests.agent.cli.backup_home import Home, home
from tests.agent.cli.test_firewall import Agent

__all__ = ["home"]


def test_the_agent_is_asked_for_that_step_alone(home: Home, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "control.sock")
    agent.verbs = {"do": {"ok": True, "outcome": {}, "summary": "copied", "answer": {"code": 0}}}
    said = home.call("replicate", "--socket", agent.path, "-j", "etc")
    assert (said.code, said.out.strip()) == (0, "copied")
    agent.close()


def test_setup_prints_the_servers_side_and_the_way_back(home: Home) -> None:
    assert "has no copies" in home.call("replicate setup").err
    key = home.folder / "ssh"
    home.configure(f", replicas: [{{target: 'sftp://web1@backup.example.org//repository', ssh: {{key_file: {key}}}}}]")
    said = home.call("replicate setup")
    assert (said.code, "ssh-keygen" in said.err) == (2, True)
    (home.folder / "ssh.pub").write_text("ssh-ed25519 AAAA web1\n")
    said = home.call("replicate setup", "--base", "/srv/copies")
    assert "ForceCommand internal-sftp -P" in said.out
    assert "ssh-ed25519 AAAA web1" in said.out
    assert "restic --no-lock" in said.out


@pytest.mark.parametrize("words", [("--job", "other")])
def test_an_unknown_job_is_refused(home: Home, words: tuple[str, ...]) -> None:
    assert home.call("replicate setup", *words).code == 2
