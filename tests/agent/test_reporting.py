"""Reporting follows the settings and says why it does not report."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.reporting import Reporting, reporter_settings
from agent.settings import AgentSettings, ConsoleSettings, HeartbeatSettings
from agent.spool.spool import Spool, SpoolLimits
from agent.state import State
from contracts.coverage import Coverage
from contracts.host import Facts
from contracts.wire import Heartbeat

FACTS = Facts(
    hostname="h", machine_id="0", boot_id="0", kernel="6", os_name="Debian", architecture="x", cpus=1, memory_bytes=1
)


def heartbeat() -> Heartbeat:
    return Heartbeat(sent_ms=1, instance="i", version="1", facts=FACTS, uptime_s=1, every_s=30, coverage=Coverage())


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, clock = folder, SystemClock()
        self.state, _ = State.open(folder / "state.db", clock)
        self.made = Reporting(folder, AgentSettings(), self.state, clock)
        self.spool, _ = Spool.open(folder / "spool.db", self.made.agent, SpoolLimits(), clock)

    def start(self, settings: AgentSettings) -> Reporting:
        self.made = Reporting(self.folder, settings, self.state, SystemClock())
        self.made.start(self.spool, heartbeat, lambda event: None, FACTS, "1")
        return self.made

    def error(self, part: str) -> str:
        for _ in range(400):
            status = self.made.status()
            if part in status.last_error:
                return status.last_error
            time.sleep(0.05)
        pytest.fail(f"{part} never showed in {self.made.status()}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.made.stop(1.0)
    made.spool.close()
    made.state.close()


def test_the_id_is_made_once_and_kept(bench: Bench) -> None:
    assert len(bench.made.agent) == 32
    assert Reporting(bench.folder, AgentSettings(), bench.state, SystemClock()).agent == bench.made.agent


def test_an_agent_that_is_not_enrolled_says_so(bench: Bench) -> None:
    bench.start(AgentSettings())
    bench.error("not enrolled")
    assert "holdfast enroll" in bench.made.status().advice


def test_a_token_that_cannot_be_read_is_said_and_nothing_waits(bench: Bench, tmp_path: Path) -> None:
    console = ConsoleSettings(url="https://127.0.0.1:1", token=f"file:{tmp_path}/none")
    bench.start(AgentSettings(console=console))
    assert "cannot be read" in bench.error("enrolment at https://127.0.0.1:1")


def test_a_text_that_is_no_token_is_said(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("nonsense")
    console = ConsoleSettings(url="https://127.0.0.1:1", token=f"file:{tmp_path}/token")
    bench.start(AgentSettings(console=console))
    bench.error("not an enrolment token")


def test_only_a_change_that_matters_makes_a_new_reporter(bench: Bench) -> None:
    made = bench.start(AgentSettings())
    former = made._reporter
    made.use(AgentSettings(heartbeat=HeartbeatSettings()))
    assert made._reporter is former
    made.use(AgentSettings(heartbeat=HeartbeatSettings(every=5.0)))
    assert made._reporter is not former


def test_the_reporters_part_of_the_settings() -> None:
    settings = AgentSettings(
        console=ConsoleSettings(url="https://c:8444/", ca="/ca"), heartbeat=HeartbeatSettings(every=7.0)
    )
    found = reporter_settings(settings)
    assert (found.url, found.ca, found.every) == ("https://c:8444", "/ca", 7.0)
