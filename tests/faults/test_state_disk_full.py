"""The disk of the state directory is full: the agent answers, watches and reports that, and what it saw arrives once there is room."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import HOLDFAST, Agent, Console
from tests.faults.small_disk import SmallDisk


@pytest.fixture
def agent(console: Console, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path, console)
    made.configure("collectors: {firewall: {enabled: false}, antivirus: {enabled: false}}\n")
    yield made
    made.kill()


@pytest.fixture
def disk(agent: Agent, console: Console) -> Iterator[SmallDisk]:
    made = SmallDisk(agent)
    try:
        enrol = [str(HOLDFAST), "enroll", f"https://127.0.0.1:{console.agents}", "--token", console.token()]
        subprocess.run([*made.inside, *enrol, "-c", str(agent.config)], check=True, capture_output=True)
        yield made
    finally:
        made.close()


def _listen() -> socket.socket:
    """Something new to see: a port that opens and stays open."""
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(0)
    return made


@pytest.mark.timeout(900)
def test_an_agent_on_a_full_disk_goes_on_and_loses_nothing(
    agent: Agent, console: Console, disk: SmallDisk, until: Callable[..., None]
) -> None:
    argv = (*disk.inside, sys.executable, "-P", "-m", "agent.daemon", "-c", str(agent.config))

    def told(kind: str, text: str = "") -> Any:
        with console.database() as db:
            query = "SELECT count(*) FROM events WHERE kind = ? AND text LIKE ?"
            return db.execute(query, (kind, f"%{text}%")).fetchone()[0]

    def says_full() -> bool:
        with console.database() as db:
            (beat,) = db.execute("SELECT heartbeat FROM agents").fetchone()
        return b"state disk" in (beat or b"")

    def all_waits_end() -> bool:
        status = agent.ask("status")
        return bool(status and not status["disk"] and all(not lane["waiting"] for lane in status["lanes"]))

    def why() -> str:
        with console.database() as db:
            there = db.execute("SELECT text FROM events ORDER BY number DESC LIMIT 20").fetchall()
        here = [each["text"] for each in agent.ask("events", "--limit", "20") or ()]
        return f"at the console {there}, here {here}, {agent.ask('status')}, {agent.log()}"

    agent.start(*argv)
    until(lambda: told("ports.first_look"), 60, agent.log)
    until(lambda: (disk.folder / "reserve").exists(), 60, agent.log)
    disk.fill()
    with _listen() as first:
        until(lambda: (agent.ask("status") or {}).get("disk"), 60, agent.log)
        until(says_full, 60, agent.log)
        assert agent.process is not None and agent.process.poll() is None
        port = first.getsockname()[1]
        assert not told("ports.listener_opened", f"127.0.0.1:{port} "), "it was stored, so the disk was not full"
        until(lambda: (agent.ask("status") or {"console": {}})["console"].get("connected"), 60, agent.log)
        disk.free()
        until(lambda: told("ports.listener_opened", f"127.0.0.1:{port} "), 60, why)
        until(lambda: told("agent.disk_full"), 60, why)

        disk.fill()
        until(lambda: not (disk.folder / "reserve").exists() and (agent.ask("status") or {}).get("disk"), 60, agent.log)
        agent.kill(signal.SIGKILL)
        agent.start(*argv)
        until(lambda: (agent.ask("status") or {}).get("disk"), 60, agent.log)
        with _listen() as second:
            port = second.getsockname()[1]
            disk.free()
            until(lambda: told("ports.listener_opened", f"127.0.0.1:{port} "), 60, why)
    until(all_waits_end, 60, agent.log)
    assert sum(int(lane["lost"]) for lane in agent.ask("status")["lanes"]) == 0
    assert not list(disk.folder.glob("*.damaged*")), json.dumps([path.name for path in disk.folder.iterdir()])
    until(lambda: told("agent.disk_room_again"), 60, agent.log)
