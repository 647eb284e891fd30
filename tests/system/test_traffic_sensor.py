"""The sensor in its unit under a real systemd: the sandbox lets it read rules and see packets, and lets it do nothing else."""

import configparser
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import CACHE, ROOT, Container, _run

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CONFIG = "collectors: {traffic: {enabled: true, interfaces: [lo], rules: [/etc/holdfast/rules], rules_every: 1s}}\n"
RULE = 'alert http any any -> any any (msg:"HFS seen"; http.uri; content:"/sought"; sid:9000001;)\n'
ASK = """
import http.server, threading, urllib.error, urllib.request
server = http.server.HTTPServer(("127.0.0.1", 8099), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    urllib.request.urlopen("http://127.0.0.1:8099/sought", timeout=5)
except urllib.error.HTTPError as error:
    assert error.code == 404
"""


def sensor_lock() -> str:
    """Return what the lock of the tests says of the libraries of `holdfast[sensor]`, hashes and all."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = {line.split()[0] for line in setup["options.extras_require"]["sensor"].splitlines() if line.strip()}
    blocks = re.split(r"(?m)^(?=[a-z])", (ROOT / "requirements" / "test.lock").read_text())
    found = [block for block in blocks if block.partition("==")[0] in wanted]
    assert {block.partition("==")[0] for block in found} == wanted
    return "".join(found)


@pytest.fixture(scope="session")
def sensor_wheels() -> Path:
    """The locked packages of the sensor, downloaded once."""
    target, lock = CACHE / "sensor-wheels", sensor_lock()
    stamp = target / "sensor.lock"
    if not stamp.exists() or stamp.read_text() != lock:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "wanted").write_text(lock)
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:",
             "-r", str(target / "wanted"), "-d", str(target))  # fmt: skip
        (target / "wanted").rename(stamp)
    return target


@pytest.fixture
def system(container: Container, sensor_wheels: Path) -> Iterator[Container]:
    """The container with the libraries of the sensor and one rule."""
    shutil.copytree(sensor_wheels, container.root / "sensor-wheels")
    container.run("/opt/holdfast/current/bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
                  "--require-hashes", "--find-links=/sensor-wheels", "-r", "/sensor-wheels/sensor.lock")  # fmt: skip
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
    system.wait_for(lambda: events(system, "traffic.rules_*"), 60, "the rules are read or refused")
    assert events(system, "traffic.rules_not_loaded") == []
    pid = system.main_pid("holdfast-sensor")
    status = system.run("cat", f"/proc/{pid}/status").stdout
    uid = system.run("id", "-u", "holdfast-sensor").stdout.strip()
    assert re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", status, re.M).groups() == (uid,) * 4  # type: ignore[union-attr]
    for line in ("CapPrm", "CapEff", "CapBnd"):
        assert re.search(rf"^{line}:\s+0*2000$", status, re.M), f"{line} is CAP_NET_RAW alone: {status}"
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    system.run("python3", "-c", ASK)
    system.wait_for(lambda: events(system, "traffic.alert"), 20, "the alert")
    assert '"sid":9000001' in json.dumps(events(system, "traffic.alert"), separators=(",", ":"))
    told = system.run("holdfast", "traffic", "status").stdout
    assert "Sensor: watching" in told and "1 in use, 0 refused" in told, told
    assert system.main_pid("holdfast-sensor") == pid, "the same worker all along"
    assert system.property("holdfast-sensor.service", "NRestarts") == "0"
