"""The wall clock of a real agent is stepped by an hour both ways: no heartbeat is missed, no look skipped or run twice."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
WINDOW_S = 7
"""How long each step lasts at least."""
LATE_S = 20
"""More than a machine that is busy with other tests holds up a heartbeat, of which one is due each second."""
SLEEP = "import select, time; time.sleep = lambda seconds: select.select((), (), (), seconds) and None\n"


def _faketime() -> str:
    for path in Path("/usr/lib").rglob("libfaketime.so.1"):
        return str(path)
    raise AssertionError("needs the Debian package faketime")


def _heartbeats(agent: Any) -> int:
    """Return the time of the last heartbeat by the console's clock, which nobody steps."""
    with agent.console.database() as db:
        row = db.execute("SELECT heartbeat_ms FROM agents").fetchone()
    return int(row[0]) if row else 0


@contextlib.contextmanager
def _noting_heartbeats(agent: Any) -> Iterator[list[int]]:
    """Note when each heartbeat comes, until left."""
    seen: list[int] = []
    over = threading.Event()

    def note() -> None:
        while not over.wait(0.1):
            last = _heartbeats(agent)
            if not seen or last != seen[-1]:
                seen.append(last)

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _runs(agent: Any) -> int:
    return sum(int(row["runs"]) for row in _asked(agent, "ledger") if row["name"] == "ports")


def _asked(agent: Any, *words: str) -> Any:
    """Return the agent's answer: none yet is not the answer that there is nothing."""
    end = time.monotonic() + PATIENCE_S
    while (answer := agent.ask(*words)) is None:
        assert time.monotonic() < end, agent.log()
    return answer


@pytest.mark.timeout(900)
def test_a_step_of_an_hour_either_way_disturbs_nothing(
    agent: Any, until: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("clock")  # not beside the configuration: the folder of that is watched
    offset = folder / "offset"
    offset.write_text("+0s")
    agent.configure("collectors: {ports: {every: 1s}}\n")
    agent.start(environment=_fake_clock(folder, offset))
    until(lambda: _heartbeats(agent) and _runs(agent) > 1, 60, agent.log)
    with _noting_heartbeats(agent) as seen:
        for step in ("+3600s", "+0s", "-3600s", "+0s"):
            _step(offset, step)
            began, runs, beats = time.monotonic(), _runs(agent), len(seen)
            time.sleep(WINDOW_S)
            # What follows the wall clock waits for the hour to pass again; on a busy machine it is late by seconds.
            until(lambda runs=runs, beats=beats: _runs(agent) > runs + 2 and len(seen) > beats + 2, 40, agent.log)
            ran, due = _runs(agent) - runs, time.monotonic() - began
            assert ran <= due + 3, f"after {step}: {ran} looks where about {due:.0f} were due"
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert max(gaps) < LATE_S * 1000, f"a heartbeat was missed: {gaps}"
    stepped = [each["event"]["fields"]["seconds"] for each in _asked(agent, "events", "--kind", "agent.clock_stepped")]
    reached = [round(at, -2) for at in itertools.accumulate(stepped)]
    # libfaketime keeps what it read in one place for all threads, so that one of them may see the true time for a moment: there and back.
    assert len(reached) % 2 == 0
    assert [at for at, _ in itertools.groupby(at for at in reached if at)] in ([3600, -3600], [-3600, 3600]), stepped
    assert reached[-1] == 0, stepped


def _step(offset: Path, to: str) -> None:
    """Step the clock at once: a reader between the emptying of a file and its writing would see a step to the true time."""
    offset.with_suffix(".new").write_text(to)
    offset.with_suffix(".new").replace(offset)


def _fake_clock(folder: Path, offset: Path) -> dict[str, str]:
    """Return the environment with the fake clock; the monotonic one stays the kernel's, as it does when a clock is set.

    With the monotonic clock left alone, Debian 12's libfaketime (0.9.10) still shifts it in `clock_nanosleep`, to long before the
    machine started, and the kernel refuses that with EINVAL (its issue 426). Python's `time.sleep` is that call, and `subprocess.run`
    with a deadline sleeps when a child has closed its output and is not gone yet, as on a busy machine. So every Python that the agent
    starts sleeps by another call here.
    """
    (folder / "sitecustomize.py").write_text(SLEEP)
    return {
        "LD_PRELOAD": _faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }


def test_the_fake_clock_is_a_real_test_of_it(tmp_path: Path) -> None:
    """The library does step the clock of this Python; without that the test above could not fail."""
    offset = tmp_path / "offset"
    offset.write_text("+3600s")
    environment = {**os.environ, "LD_PRELOAD": _faketime(), "FAKETIME_TIMESTAMP_FILE": str(offset)}
    done = subprocess.run(["date", "+%s"], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) - time.time() > 3500


def test_a_child_can_be_waited_for_under_the_fake_clock(tmp_path: Path) -> None:
    (tmp_path / "offset").write_text("+0s")
    environment = {**os.environ, **_fake_clock(tmp_path, tmp_path / "offset")}
    code = "import subprocess; subprocess.run(['sh', '-c', 'exec >&- 2>&-; sleep 0.1'], capture_output=True, timeout=9)"
    subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True)
