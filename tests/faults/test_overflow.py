"""The console is away for longer than the spool holds: what was lost is counted, recorded and shown; the rest arrives."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent


def _lost_here(agent: Any) -> int:
    status = agent.ask("status")
    return sum(int(lane["lost"]) for lane in status["lanes"]) if status else 0


def _row(agent: Any, query: str) -> Any:
    with agent.console.database() as db:
        return db.execute(query).fetchone()


@pytest.mark.timeout(900)
def test_what_an_outage_cost_is_known_to_the_console(agent: Any, until: Callable[..., None]) -> None:
    agent.configure("spool: {max_size: 1MiB}\n")
    agent.console.kill()
    agent.start(sys.executable, str(HERE / "chatty_agent.py"), str(agent.config))
    until(lambda: _lost_here(agent) > 500, 120, agent.log)
    agent.kill()
    agent.console.start()
    agent.console.wait()
    agent.start(sys.executable, str(HERE / "chatty_agent.py"), str(agent.config), "quiet")
    until(lambda: (agent.ask("status") or {}).get("lanes") and all(lane["waiting"] == 0 for lane in agent.ask("status")["lanes"]),
          90, agent.log)  # fmt: skip
    lost = _lost_here(agent)
    assert _row(agent, "SELECT coalesce(sum(count), 0) FROM losses")[0] == lost
    assert _row(agent, "SELECT lost FROM agents")[0] == lost
    assert _row(agent, "SELECT count(*) FROM events WHERE kind = 'agent.events_lost'")[0] >= 1
    with agent.console.database() as db:
        for lane in range(3):
            held = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM events WHERE lane = ?", (lane,)).fetchone()
            gone = db.execute(
                "SELECT coalesce(sum(last - first + 1), 0) FROM losses WHERE lane = ?", (lane,)
            ).fetchone()[0]
            assert held[0] + gone == held[1], "every number is an event or part of a loss"
        critical = db.execute("SELECT coalesce(sum(count), 0) FROM losses WHERE lane = 0").fetchone()[0]
        bulk = db.execute("SELECT coalesce(sum(count), 0) FROM losses WHERE lane = 2").fetchone()[0]
    assert bulk > 0
    assert critical <= bulk


@pytest.mark.timeout(900)
def test_a_corrupted_spool_is_set_aside_and_the_service_goes_on(
    agent: Any, until: Callable[..., None], tmp_path: Path
) -> None:
    agent.start()
    until(lambda: _row(agent, "SELECT count(*) FROM events")[0] > 2, 60, agent.log)
    agent.kill()
    spool = tmp_path / "agent" / "spool.db"
    for leftover in tmp_path.glob("agent/spool.db-*"):
        leftover.unlink()
    spool.write_bytes(b"this is no database " * 500)
    agent.start()
    until(
        lambda: _row(agent, "SELECT count(*) FROM events WHERE kind = 'agent.spool_set_aside'")[0] == 3, 60, agent.log
    )
    assert list((tmp_path / "agent").glob("spool.db.damaged*"))
    assert agent.ask("status")["console"]["connected"]
