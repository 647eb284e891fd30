"""The whole of it in a real browser: a real console, a real agent, a real port, a real silence."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.free_port import free_port

pytestmark = pytest.mark.browser

HOLDFAST = Path(sys.executable).with_name("holdfast")


class Floor:
    """One console and one agent on loopback, enrolled by the real token path, with short periods."""

    def __init__(self, folder, room):
        self.room = room
        self.folder = folder
        self.people, self.agents = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self._children = []
        folder.chmod(0o755)
        for name in ("agent", "run", "console", "log"):
            (folder / name).mkdir(mode=0o755 if name == "run" else 0o700)
        self._console = folder / "console.yaml"
        # "Late" is there long enough to be seen.
        self._console.write_text("heartbeats:\n  every: 1s\n  grace: 8s\n")
        self._agent = folder / "agent.yaml"
        self._agent.write_text(
            f"directories:\n  state: {json.dumps(str(folder / 'agent'))}\n  runtime: {json.dumps(str(folder / 'run'))}\n"
            f"outputs:\n  ndjson:\n    path: {json.dumps(str(folder / 'log' / 'events.ndjson'))}\n"
            "heartbeat:\n  every: 1s\ncollectors:\n  ports:\n    every: 1s\n"
        )
        self._own = ("-c", str(self._console), "--state-dir", str(folder / "console"))

    def start_console(self):
        self._spawn("console", "serve", *self._own, "--people", self.people, "--agents", self.agents)
        end = time.monotonic() + 60
        while "agents  https://" not in self.log():
            assert time.monotonic() < end, f"the console does not answer: {self.log()}"
            time.sleep(0.05)

    def start_agent(self):
        token = json.loads(self.ask("console", "token", "create", *self._own, "--json"))["token"]
        self.ask("enroll", f"https://{self.agents}", "--token", token, "-c", str(self._agent))
        return self._spawn("run", "-c", str(self._agent))

    def link(self):
        return json.loads(self.ask("console", "user", "link", *self._own, "--people", self.people, "--json"))["link"]

    def ask(self, *argv):
        done = subprocess.run([*self.room.all, str(HOLDFAST), *argv], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (argv, done.stdout, done.stderr, self.log())
        return done.stdout

    def log(self):
        return "".join(path.read_text(errors="replace")[-3000:] for path in (self.folder / "log").glob("*.log"))

    def _spawn(self, *argv):
        # The shell writes down its id, which is the one that the program has inside the room.
        script = 'echo $$ >"$1"; shift; exec "$@"'
        inner = ["sh", "-c", script, "sh", str(self.folder / f"{argv[0]}.pid"), str(HOLDFAST), *argv]
        with (self.folder / "log" / f"{argv[0]}.log").open("ab") as log:
            child = subprocess.Popen(
                [*self.room.all, *inner], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        self._children.append((child, self.folder / f"{argv[0]}.pid"))
        return child

    def stop(self):
        for child, pid_file in reversed(self._children):
            if child.poll() is None:
                self.room.end(pid_file)
        for child, _ in reversed(self._children):
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)


class Room:
    """Networks and processes of its own, so that no other test's ports are seen. Without root there is only one world."""

    def __init__(self):
        self._init = None
        self.all, self.network = [], []
        if os.geteuid() == 0:
            argv = ["unshare", "--net", "--pid", "--mount-proc", "--kill-child", "--fork", "sleep", "1000"]
            self._init = subprocess.Popen(argv)
            inner = self._wait_for_child()
            self.all = ["nsenter", "-t", inner, "--net", "--pid", "--mount", "--"]
            self.network = ["nsenter", "-t", inner, "--net", "--"]
            subprocess.run([*self.network, "ip", "link", "set", "lo", "up"], check=True)

    def _wait_for_child(self):
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        end = time.monotonic() + 30
        while not children.read_text().split():
            assert time.monotonic() < end
            time.sleep(0.02)
        inner = children.read_text().split()[0]
        while Path(f"/proc/{inner}/comm").read_text() != "sleep\n":
            time.sleep(0.02)
        return inner

    def end(self, pid_file):
        """Ask the process whose id, as this room counts, is in `pid_file` to end."""
        subprocess.run([*self.all, "kill", "-TERM", pid_file.read_text().strip()], check=True)

    def close(self):
        if self._init:
            self._init.kill()  # takes everything in the room with it
            self._init.wait(10)


@pytest.fixture
def room():
    made = Room()
    yield made
    made.close()


@pytest.fixture
def floor(tmp_path, room):
    made = Floor(tmp_path, room)
    yield made
    made.stop()


@pytest.fixture
def indoors(tmp_path, room):
    """A Chromium in that network."""
    wrapper = tmp_path / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(room.network)} /usr/bin/chromium "$@"\n')
    wrapper.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(wrapper), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(20_000)
        yield page
        browser.close()


LISTENER = """import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def listening(room, port):
    """A process that listens at `port` for as long as the block runs."""
    argv = [*room.all, sys.executable, "-c", LISTENER, str(port)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child.stdout.readline().strip()
        child.stdin.close()


@pytest.mark.timeout(900)
def test_from_the_first_report_to_silence(indoors, floor, room):
    page = indoors
    expect.set_options(timeout=60_000)
    floor.start_console()
    agent = floor.start_agent()
    page.goto(floor.link())
    page.get_by_role("button", name="Sign in").click()
    row = page.get_by_role("row", name=socket.gethostname())
    expect(row).to_contain_text("s ago")
    row.get_by_role("link").first.click()
    for part in ("#firewall", "#ports", "#coverage"):
        expect(page.locator(part)).not_to_contain_text("Not looked yet")
    agents_port = floor.agents.rpartition(":")[2]
    expect(page.locator("#ports").get_by_role("row", name=f"{agents_port}/tcp")).to_be_visible()
    page.evaluate("window.untouched = true")

    port = free_port()
    opened = page.locator("#ports").get_by_role("row", name=f"{port}/tcp")
    with listening(room, port) as pid:
        expect(opened).to_be_visible()
        expect(opened).to_contain_text(f"({pid})")
        expect(page.locator("#events")).to_contain_text(str(port))
    expect(opened).to_have_count(0)

    room.end(floor.folder / "run.pid")
    agent.wait(60)
    tag = page.locator("#state .tag")
    expect(tag).to_have_text("Late")
    expect(tag).to_have_text("Down")
    assert page.evaluate("window.untouched")
