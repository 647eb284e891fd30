"""The outputs follow the settings, and trouble with one never keeps the agent from its work."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.loop import Loop
from agent.outlets import Outlets
from agent.outputs.rendering import Rendering
from agent.settings import JournaldSettings, NdjsonSettings, OutputSettings, PrometheusSettings
from contracts.coverage import Coverage
from contracts.event import Envelope, Event, Lane, Severity
from contracts.host import Facts
from contracts.wire import Heartbeat

FACTS = Facts(
    hostname="h", machine_id="0", boot_id="0", kernel="6", os_name="Debian", architecture="x", cpus=1, memory_bytes=1
)
ENVELOPE = Envelope(
    id="0" * 32,
    agent="a",
    lane=Lane.NORMAL,
    seq=1,
    event=Event(kind="x.y", key="k", severity=Severity.LOW, observed_ms=1),
)


def heartbeat() -> Heartbeat:
    return Heartbeat(sent_ms=1, instance="i", version="1", facts=FACTS, uptime_s=1, every_s=30, coverage=Coverage())


def settings(**more: object) -> OutputSettings:
    return OutputSettings(journald=JournaldSettings(enabled=False), **more)  # type: ignore[arg-type]


@pytest.fixture
def outlets() -> Iterator[Outlets]:
    made = Outlets(Loop(), heartbeat)
    yield made
    made.close()


def rendering() -> Rendering:
    return Rendering({}, lambda: FACTS, "1")


def test_events_go_to_the_file_that_the_settings_name(outlets: Outlets, tmp_path: Path) -> None:
    ndjson = NdjsonSettings(enabled=True, path=str(tmp_path / "events.ndjson"))
    outlets.use(settings(ndjson=ndjson), rendering())
    outlets.write(ENVELOPE)
    assert json.loads((tmp_path / "events.ndjson").read_text())["metadata"]
    assert outlets.states()[0].written == 1
    outlets.use(settings(), rendering())
    assert outlets.states() == ()


def test_an_address_in_use_is_shown_and_stops_nothing(outlets: Outlets, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ndjson = NdjsonSettings(enabled=True, path=str(tmp_path / "e"))
        outlets.use(settings(prometheus=PrometheusSettings(listen=address), ndjson=ndjson), rendering())
    outlets.write(ENVELOPE)
    assert [bool(state.problem) for state in outlets.states()] == [False, True]


def test_metrics_are_served_on_a_unix_socket(outlets: Outlets, tmp_path: Path) -> None:
    outlets.use(settings(prometheus=PrometheusSettings(listen=f"unix:{tmp_path}/m.sock")), rendering())
    outlets.write(ENVELOPE)
    with socket.socket(socket.AF_UNIX) as asker:
        asker.connect(str(tmp_path / "m.sock"))
        asker.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        for _ in range(3):
            outlets._loop.call_soon_threadsafe(lambda: None)
            outlets._loop._round()
        assert b'holdfast_events_total{severity="low"} 1' in asker.recv(65536)
