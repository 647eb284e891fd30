"""The core is killed again and again while events flow and the console goes up and down: every event arrives, once, in order."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.event import GENESIS, Envelope, Lane, link
from tests.faults.conftest import PATIENCE_S

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOLDFAST = Path(sys.executable).with_name("holdfast")
KILLS = int(os.environ.get("HOLDFAST_KILLS", "200"))
SEED = int(os.environ.get("HOLDFAST_SEED", "20261121"))
"""`make soak` raises the first and draws the second."""


@contextlib.contextmanager
def _running_agent(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the agent, and kill it when left."""
    with (folder / "agent.log").open("ab") as log:
        agent = subprocess.Popen(
            [sys.executable, str(HERE / "chatty_agent.py"), str(folder / "agent.yaml"), *words], stdout=log, stderr=log, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield agent
    finally:
        agent.kill()
        agent.wait()


def _spooled(folder: Path) -> dict[str, int]:
    """Return the last sequence number of each lane of the agent's spool; none while the spool is being made."""
    path = folder / "agent" / "spool.db"
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
        made = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        if not made.issuperset(lane.value for lane in Lane):
            return {}
        return {lane.value: int(db.execute(f"SELECT max(last) FROM {lane.value}").fetchone()[0] or 0) for lane in Lane}


def _wait_until_it_talks(folder: Path, agent: subprocess.Popen[bytes]) -> None:
    before = _spooled(folder)
    end = time.monotonic() + PATIENCE_S
    while agent.poll() is None and time.monotonic() < end:
        if sum(_spooled(folder).values()) > sum(before.values()) + 3:
            return
        time.sleep(0.02)
    raise AssertionError((folder / "agent.log").read_text()[-4000:])


@pytest.mark.timeout(1500 + 8 * KILLS)
def test_every_spooled_event_reaches_the_console_exactly_once_and_in_order(console: Any, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    folder = tmp_path
    (folder / "agent.yaml").write_text(
        f"directories: {{state: {folder}/agent, runtime: {folder}/run}}\nheartbeat: {{every: 1s}}\n"
    )
    subprocess.run(
        [str(HOLDFAST), "enroll", f"https://127.0.0.1:{console.agents}", "--token", console.token(), "-c", str(folder / "agent.yaml")],
        check=True, capture_output=True,
    )  # fmt: skip
    for number in range(KILLS):
        with _running_agent(folder) as agent:
            if number % 10 == 4:
                console.kill(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            if number % 10 == 7:
                console.start()
            if number % 4:
                _wait_until_it_talks(folder, agent)
                time.sleep(chance.uniform(0.0, 0.3))
            else:  # at some moment of its start
                time.sleep(chance.uniform(0.0, 0.6))
            assert agent.poll() is None, (folder / "agent.log").read_text()[-4000:]
    if console.process is None:
        console.start()
    console.wait()
    with _running_agent(folder, "quiet"):
        time.sleep(1)
        heads = _spooled(folder)
        _wait_for_heads(console, heads)
    _check(console)


def _wait_for_heads(console: Any, heads: dict[str, int]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with console.database() as db:
            held = [row[0] for row in db.execute("SELECT seq FROM lanes ORDER BY lane")]
        if len(held) == 3 and all(have >= want for have, want in zip(held, heads.values(), strict=True)):
            return
        time.sleep(0.2)
    raise AssertionError(f"the console holds {held}, the spool {heads}")


def _check(console: Any) -> None:
    counted: list[int] = []
    with console.database() as db:
        for lane in range(3):
            chain, expected, last = GENESIS, 1, 0
            rows = db.execute("SELECT seq, chain, body FROM events WHERE lane = ? ORDER BY seq", (lane,)).fetchall()
            for seq, stored_chain, body in rows:
                assert seq == expected
                chain = link(chain, body)
                assert chain == stored_chain, f"lane {lane} record {seq}"
                envelope = _envelope(body)
                assert envelope.seq == seq
                if envelope.event.kind.startswith("chatty."):
                    number = envelope.event.fields["number"]
                    assert isinstance(number, int) and number > last, "in order within its lane"
                    last = number
                    counted.append(number)
                expected += 1
        assert db.execute("SELECT count(*) FROM losses").fetchone()[0] == 0
    assert len(counted) > 5 * KILLS
    assert sorted(counted) == list(range(1, len(counted) + 1)), "every number once"


def _envelope(body: bytes) -> Envelope:
    return msgspec.msgpack.decode(body, type=Envelope)
