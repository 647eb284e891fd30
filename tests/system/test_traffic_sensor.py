"""The sensor in its unit under a real systemd: the sandbox lets it read rules and see packets, and lets it do nothing else."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.conftest import Container

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CONFIG = "collectors: {traffic: {enabled: true, interfaces: [lo], rules: [/etc/holdfast/rules], rules_every: 1s}}\n"
RULE = 'alert http any any -> any any (msg:"HFS seen"; http.uri; content:"/sought"; sid:9000001;)\n'
ASK = """
import http.server, threading, urllib.error, urllib.request
server = http.server.HTTPServer(("127.0.0.1", 8099), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    urllib.request.urlopen("http://127.0.0.1:8099/sought", timeout=60)
except urllib.error.HTTPError as error:
    assert error.code == 404
"""


@pytest.fixture
def system(container: Container) -> Iterator[Container]:
    """The container as `make install` leaves it, with one rule; the sensor's libraries came with it."""
    container.run("mkdir", "-p", "/etc/holdfast/rules")
    container.run("tee", "/etc/holdfast/rules/local.rules", text=RULE)
    container.run("tee", "/etc/holdfast/agent.d/traffic.yaml", text=CONFIG)
    container.run("systemctl", "restart", "holdfast-agent.service")
    yield container
    container.run("rm", "/etc/holdfast/agent.d/traffic.yaml")
    container.run("systemctl", "reload", "holdfast-agent.service")


def events(system: Container, kind: str) -> list[dict[str, Any]]:
    done = system.run("holdfast", "events", "--kind", kind, "--json", check=False)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


def test_the_unit_reads_rules_sees_a_packet_and_may_nothing_else(system: Container) -> None:
    system.wait_for(lambda: events(system, "traffic.rules_*"), "the rules are read or refused")
    assert events(system, "traffic.rules_not_loaded") == []
    pid = system.main_pid("holdfast-sensor")
    status = system.run("cat", f"/proc/{pid}/status").stdout
    uid = system.run("id", "-u", "holdfast-sensor").stdout.strip()
    assert re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", status, re.M).groups() == (uid,) * 4  # type: ignore[union-attr]
    for line in ("CapPrm", "CapEff", "CapBnd"):
        assert re.search(rf"^{line}:\s+0*2000$", status, re.M), f"{line} is CAP_NET_RAW alone: {status}"
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    system.run("python3", "-c", ASK)
    system.wait_for(lambda: events(system, "traffic.alert"), "the alert")
    assert '"sid":9000001' in json.dumps(events(system, "traffic.alert"), separators=(",", ":"))
    told = system.run("holdfast", "traffic", "status").stdout
    assert "Sensor: watching" in told and "1 in use, 0 refused" in told, told
    assert system.main_pid("holdfast-sensor") == pid, "the same worker all along"
    assert system.property("holdfast-sensor.service", "NRestarts") == "0"


def test_a_capture_filter_without_libpcap_says_what_is_missing_and_the_sensor_needs_it_for_nothing_else(
    system: Container,
) -> None:
    assert system.run("find", "/usr/lib", "-name", "libpcap*").stdout == "", "a fresh Debian has none"
    system.run("tee", "/etc/holdfast/agent.d/traffic.yaml", text=CONFIG.replace("enabled", 'filter: "tcp", enabled'))
    system.run("systemctl", "reload", "holdfast-agent.service")
    system.wait_for(
        lambda: "install libpcap0.8" in system.run("holdfast", "coverage", check=False).stdout, "libpcap is named"
    )
    system.run("tee", "/etc/holdfast/agent.d/traffic.yaml", text=CONFIG)
    system.run("systemctl", "reload", "holdfast-agent.service")
    system.wait_for(
        lambda: "Sensor: watching" in system.run("holdfast", "traffic", "status", check=False).stdout, "it watches"
    )
