"""The wall clock of a real agent is stepped by an hour both ways: no heartbeat is missed, no look skipped or run twice."""

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def _faketime() -> str:
    for path in Path("/usr/lib").rglob("libfaketime.so.1"):
        return str(path)
    raise AssertionError("needs the Debian package faketime")


def _heartbeats(agent: Any) -> int:
    """Return the time of the last heartbeat by the console's clock, which nobody steps."""
    with agent.console.database() as db:
        row = db.execute("SELECT heartbeat_ms FROM agents").fetchone()
    return int(row[0]) if row else 0


def _runs(agent: Any) -> int:
    rows = agent.ask("ledger") or []
    return sum(int(row["runs"]) for row in rows if row["name"] == "ports")


@pytest.mark.timeout(240)
def test_a_step_of_an_hour_either_way_disturbs_nothing(
    agent: Any, until: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    offset = tmp_path_factory.mktemp("clock") / "offset"  # not beside the configuration: the folder of that is watched
    offset.write_text("+0s")
    agent.configure("collectors: {ports: {every: 2s}}\n")
    _start(agent, offset)
    until(lambda: _heartbeats(agent) and _runs(agent) > 1, 60, agent.log)
    seen: list[int] = []
    for step in ("+0s", "+3600s", "+0s", "-3600s", "+0s"):
        offset.write_text(step)
        began, runs = time.monotonic(), _runs(agent)
        while time.monotonic() < began + 8:
            last = _heartbeats(agent)
            if not seen or last != seen[-1]:
                seen.append(last)
            time.sleep(0.1)
        ran, due = _runs(agent) - runs, (time.monotonic() - began) / 2
        assert due - 2 <= ran <= due + 2, f"after {step}: {ran} looks where about {due:.0f} were due"
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert max(gaps) < 4000, f"a heartbeat was missed: {gaps}"
    kinds = [envelope["event"]["kind"] for envelope in agent.ask("events", "--limit", "200")]
    assert kinds.count("agent.clock_stepped") == 4


def _start(agent: Any, offset: Path) -> None:
    """Start the agent under the fake clock; the monotonic one stays the kernel's, as it does when a clock is set.

    Seen once, under this library only: the planner's start fails with EINVAL; the agent says so and ends. Then once more.
    """
    environment = {
        "LD_PRELOAD": _faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    for _ in range(3):
        agent.start(environment=environment)
        try:
            agent.process.wait(8)
        except subprocess.TimeoutExpired:
            return
        assert "cannot be started: Invalid argument" in agent.log(), agent.log()
        agent.process = None


def test_the_fake_clock_is_a_real_test_of_it(tmp_path: Path) -> None:
    """The library does step the clock of this Python; without that the test above could not fail."""
    offset = tmp_path / "offset"
    offset.write_text("+3600s")
    environment = {**os.environ, "LD_PRELOAD": _faketime(), "FAKETIME_TIMESTAMP_FILE": str(offset)}
    done = subprocess.run(["date", "+%s"], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) - time.time() > 3500
