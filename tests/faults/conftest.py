"""A real console that tests start, kill and read, and a real agent to go with it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.free_port import free_port

ROOT = Path(__file__).resolve().parents[2]
HOLDFAST = Path(sys.executable).with_name("holdfast")
PATIENCE_S = 150.0
"""A machine that is busy with other tests is given so much time, whatever a test asks for."""


class Console:
    """A real console that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people, self.agents = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "console.yaml").write_text("")
        self.options = ("-c", str(folder / "console.yaml"), "--state-dir", str(folder / "console"))

    def start(self) -> None:
        with (self.folder / "console.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(HOLDFAST), "console", "serve", *self.options,
                 "--people", f"127.0.0.1:{self.people}", "--agents", f"127.0.0.1:{self.agents}"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.agents), timeout=10).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "console.log").read_text())

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def token(self) -> str:
        done = subprocess.run(
            [str(HOLDFAST), "console", "token", "create", *self.options, "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return str(json.loads(done.stdout)["token"])

    def database(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.folder / 'console' / 'console.db'}?mode=ro", uri=True, timeout=60)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    made = Console(tmp_path)
    made.start()
    made.wait()
    yield made
    made.kill()


class Agent:
    """A real agent below `folder`, enrolled at a console."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder, self.console = folder, console
        self.config = folder / "agent.yaml"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str = "") -> None:
        base = f"directories: {{state: {self.folder}/agent, runtime: {self.folder}/run}}\nheartbeat: {{every: 1s}}\n"
        self.config.write_text(base + text)

    def enrol(self) -> None:
        subprocess.run(
            [str(HOLDFAST), "enroll", f"https://127.0.0.1:{self.console.agents}", "--token", self.console.token(), "-c", str(self.config)],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self, *argv: str, environment: dict[str, str] | None = None) -> None:
        words = argv or (sys.executable, "-P", "-m", "agent.daemon", "-c", str(self.config))
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def ask(self, *words: str) -> Any:
        done = subprocess.run([str(HOLDFAST), *words, "--json", "-c", str(self.config)], capture_output=True, text=True)
        if done.returncode != 0 or not done.stdout.strip():
            return None
        return (
            [json.loads(line) for line in done.stdout.splitlines()] if words[0] == "events" else json.loads(done.stdout)
        )

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()[-4000:]


@pytest.fixture
def agent(console: Console, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path, console)
    made.configure()
    made.enrol()
    yield made
    made.kill()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until a condition holds, or fail with what `why` says."""

    def wait(holds: Callable[[], object], seconds: float, why: Callable[[], str] = lambda: "") -> None:
        seconds = max(seconds, PATIENCE_S)
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s: {why()}"
            time.sleep(0.1)

    return wait
