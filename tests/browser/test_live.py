"""The whole of it in a real browser: a real console, a real agent, a real port, a real silence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

HOLDFAST = Path(sys.executable).with_name("holdfast")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Floor:
    """One console and one agent on loopback, enrolled by the real token path, with short periods."""

    def __init__(self, folder):
        self.folder = folder
        self.people, self.agents = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self._children = []
        folder.chmod(0o755)
        for name in ("agent", "run", "console", "log"):
            (folder / name).mkdir(mode=0o755 if name == "run" else 0o700)
        self._console = folder / "console.yaml"
        self._console.write_text("heartbeats:\n  every: 1s\n  grace: 2s\n")
        self._agent = folder / "agent.yaml"
        self._agent.write_text(
            f"directories:\n  state: {json.dumps(str(folder / 'agent'))}\n  runtime: {json.dumps(str(folder / 'run'))}\n"
            f"outputs:\n  ndjson:\n    path: {json.dumps(str(folder / 'log' / 'events.ndjson'))}\n"
            "heartbeat:\n  every: 1s\ncollectors:\n  ports:\n    every: 1s\n"
        )
        self._own = ("-c", str(self._console), "--state-dir", str(folder / "console"))

    def start_console(self):
        self._spawn("console", "serve", *self._own, "--people", self.people, "--agents", self.agents)
        host, port = self.people.split(":")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the console does not answer: {self.log()}")

    def start_agent(self):
        token = json.loads(self.ask("console", "token", "create", *self._own, "--json"))["token"]
        self.ask("enroll", f"https://{self.agents}", "--token", token, "-c", str(self._agent))
        return self._spawn("run", "-c", str(self._agent))

    def link(self):
        return json.loads(self.ask("console", "user", "link", *self._own, "--people", self.people, "--json"))["link"]

    def ask(self, *argv):
        done = subprocess.run([str(HOLDFAST), *argv], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (argv, done.stdout, done.stderr, self.log())
        return done.stdout

    def log(self):
        return "".join(path.read_text(errors="replace")[-3000:] for path in (self.folder / "log").glob("*.log"))

    def _spawn(self, *argv):
        with (self.folder / "log" / f"{argv[0]}.log").open("ab") as log:
            child = subprocess.Popen([str(HOLDFAST), *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        self._children.append(child)
        return child

    def stop(self):
        for child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in reversed(self._children):
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)


@pytest.fixture
def floor(tmp_path):
    made = Floor(tmp_path)
    made.start_console()
    yield made
    made.stop()


@pytest.mark.timeout(180)
def test_from_the_first_report_to_silence(page, floor):
    agent = floor.start_agent()
    page.goto(floor.link())
    page.get_by_role("button", name="Sign in").click()
    row = page.get_by_role("row", name=socket.gethostname())
    expect(row).to_contain_text("s ago", timeout=20_000)
    row.get_by_role("link").first.click()
    for part in ("#firewall", "#ports", "#coverage"):
        expect(page.locator(part)).not_to_contain_text("Not looked yet", timeout=30_000)
    expect(page.locator("#ports tbody tr").first).to_be_visible(timeout=20_000)
    page.evaluate("window.untouched = true")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    try:
        opened = page.locator("#ports").get_by_role("row", name=f"{port}/tcp")
        expect(opened).to_be_visible(timeout=20_000)
        if os.geteuid() == 0:
            expect(opened).to_contain_text(str(os.getpid()))
        # Other tests may open many ports meanwhile, and then the agent states one event with their number.
        expect(page.locator("#events")).to_contain_text(re.compile(f"{port}|Many changed"), timeout=20_000)
    finally:
        listener.close()
    expect(page.locator("#ports").get_by_role("row", name=f"{port}/tcp")).to_have_count(0, timeout=20_000)

    agent.send_signal(signal.SIGTERM)
    agent.wait(20)
    tag = page.locator("#state .tag")
    expect(tag).to_have_text("Late", timeout=15_000)
    expect(tag).to_have_text("Down", timeout=15_000)
    assert page.evaluate("window.untouched")
