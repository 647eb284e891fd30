"""Bans by a whole agent: they survive its end, its restart and a flushed firewall, and nothing is lost on the way."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.control import stream
from tests.agent.test_end_to_end import Agent

SETTINGS = "outputs: {journald: {enabled: false}}\nactions: {block: {watch: 200ms}}\n"


@pytest.fixture
def space() -> Iterator[subprocess.Popen[bytes]]:
    """A network namespace that outlives the agent in it."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    yield holder
    holder.kill()
    holder.wait()


@pytest.fixture
def agent(space: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    real = subprocess.Popen

    def inside(argv: list[str], *rest: Any, **words: Any) -> Any:
        if argv[:2] == ["unshare", "--net"]:
            argv = ["nsenter", f"--net=/proc/{space.pid}/ns/net", *argv[2:]]
        return real(argv, *rest, **words)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Agent(Path(folder))
        made.configure(SETTINGS)
        monkeypatch.setattr(subprocess, "Popen", inside)
        yield made
        stop(made)


def stop(agent: Agent) -> None:
    if agent.process is not None and agent.process.poll() is None:
        agent.process.terminate()
        agent.process.wait(60)


def act(agent: Agent, action: str, **arguments: Any) -> dict[str, Any]:
    request = {"action": action, "arguments": arguments, "dry_run": False}
    *_, told = stream(agent.socket, "do", request)
    return told


def nft(space: subprocess.Popen[bytes], *words: str) -> str:
    argv = ["nsenter", f"--net=/proc/{space.pid}/ns/net", "nft", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_a_ban_survives_a_flush_a_restart_and_the_end_of_the_agent(
    agent: Agent, space: subprocess.Popen[bytes]
) -> None:
    agent.start()
    told = act(agent, "block", address="203.0.113.7", seconds=3600.0, reason="scans")
    assert told["ok"] and told["answer"]["effective"], told
    agent.until(lambda: "203.0.113.7" in agent.ask("subject", subject="bans")["rows"], 30)
    nft(space, "flush", "ruleset")
    agent.until(lambda: "203.0.113.7" in nft(space, "list", "set", "inet", "holdfast_block", "banned4"), 30)
    agent.until(lambda: {"bans.table_lost", "block.restored"} <= set(agent.kinds()), 30)
    stop(agent)
    assert "203.0.113.7" in nft(space, "list", "set", "inet", "holdfast_block", "banned4")
    nft(space, "delete", "table", "inet", "holdfast_block")
    agent.start()
    agent.until(lambda: "203.0.113.7" in nft(space, "list", "set", "inet", "holdfast_block", "banned4"), 30)
    agent.until(lambda: "203.0.113.7" in agent.ask("subject", subject="bans")["rows"], 30)
    row = agent.ask("subject", subject="bans")["rows"]["203.0.113.7"]
    assert (row["who"], row["reason"]) == ("root", "scans")


def test_a_rule_s_ban_is_only_recorded_at_first(agent: Agent, space: subprocess.Popen[bytes]) -> None:
    rule = "{when: ports.listener_opened, do: block, with: {address: 203.0.113.7, handshake: true}, dry_run: false}"
    agent.configure(f"{SETTINGS}rules: [{rule}]\n")
    agent.start()
    agent.until(lambda: "ports.first_look" in agent.kinds(), 30)
    argv = ["nsenter", f"--net=/proc/{space.pid}/ns/net", "python3", "-c"]
    code = "import socket,time; s=socket.create_server(('127.0.0.1', 0)); time.sleep(60)"
    listener = subprocess.Popen([*argv, code])
    try:
        event = agent.event("block.would_block", 50)
    finally:
        listener.kill()
        listener.wait()
    assert event["fields"]["network"] == "203.0.113.7" and event["fields"]["seconds"] == 600.0
    assert "holdfast_block" not in nft(space, "list", "tables")
